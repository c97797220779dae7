"""einsum-products: matrix products that the graph computes with Einsum."""

import math
from collections.abc import Sequence

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.advice import either, phrase, rewritten
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph, explained_works
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    calls_of,
    ids,
    nodes_ns,
    rows_holding,
)
from attrib.findings.evidence.reference_cost import Terms, weight_once, weights_at_product_rate
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the products by Einsum against the other matrix products of the same run."""
    ran = executed_graph(evidence)
    found: list[tuple[GraphNode, Work, int]] = []
    for node in ran.graph.nodes:
        work = ran.work(node) if node.op == "Einsum" else None
        if work is not None and work.outputs:
            shapes = [tensor.shape for tensor in work.inputs]
            if flops := einsum_flops(node.attributes.get("equation", ""), shapes):
                found.append((node, work, flops))
    if not found:
        return RuleResult(failed=False, summary="No matrix product is computed by Einsum.")
    terms, every = Terms(), tuple(evidence.work["onnxruntime"].values())
    for node, work, flops in found:
        terms.add(weight_once(_with_bias(ran, node)))
        terms.add(weights_at_product_rate(every, flops, work.outputs[0].dtype), -1)
    nodes = tuple(name for node, _, _ in found for name in _with_bias(ran, node))
    rows = rows_holding(evidence, nodes)
    has_peers = len(terms.nodes) > len(nodes)
    if not has_peers:
        terms.add_calls(weight_once(calls_of(rows)), -1)
    claim = evidence.ledger.weigh({"onnxruntime": terms.nodes, "torch": terms.calls})
    spent = nodes_ns(evidence, nodes)
    reference = (
        "they would take at the rate of the graph's other matrix products"
        if has_peers
        else "PyTorch takes for them"
    )
    lines = []
    for node, work, flops in found[:MOST_GROUPS]:
        held, own = rows_holding(evidence, [work.id]), nodes_ns(evidence, [work.id])
        rate = f" ({flops / own:,.0f} GFLOP/s)" if own > 0 else ""  # operations per ns are GFLOP/s
        equation = node.attributes.get("equation", "")
        text = f"{work.id} computes {equation} in {format_ns(own)}{rate}; its region: {both_times(held)}"
        lines.append(EvidenceRow(text=text, rows=ids(held), value_ns=own))
    return RuleResult(
        failed=has_peers or bool(terms.calls),
        rows=ids(rows),
        claim=claim,
        works=explained_works(rows, nodes),
        detail=counted(len(found), "matrix product is", "matrix products are"),
        summary=f"{counted(len(found), 'product')} by Einsum: {format_ns(spent)}, with the bias."
        + ("" if has_peers else " The graph holds no other product to compare them with."),
        price=f"That is {{}} more than {reference}." if claim.median > 0 else "",
        evidence=tuple(lines),
        fix=either(
            phrase(
                "write them as MatMul, which the optimizer also fuses with the bias: {}",
                rewritten(evidence, "einsum-to-matmul"),
            ),
            "in the model use `torch.matmul` or `nn.Linear` in place of `torch.einsum`",
        ),
    )


def einsum_flops(equation: str, shapes: Sequence[Sequence[int]]) -> int:
    """Operations of an Einsum of two factors that sums over an index of both; 0 for anything else."""
    left, arrow, result = equation.replace(" ", "").partition("->")
    factors = left.split(",")
    if not arrow or len(factors) != 2 or "." in equation or len(shapes) != 2:  # noqa: PLR2004 - two factors
        return 0
    if any(len(names) != len(shape) for names, shape in zip(factors, shapes, strict=True)):
        return 0
    sizes = {
        index: size
        for names, shape in zip(factors, shapes, strict=True)
        for index, size in zip(names, shape, strict=True)
    }
    if not (set(factors[0]) & set(factors[1])) - set(result):
        return 0
    return 2 * math.prod(sizes.values())


def _with_bias(ran: ExecutedGraph, node: GraphNode) -> tuple[str, ...]:
    """An Einsum, and the Add behind it that brings a bias: a fused product holds both."""
    add = ran.reader(node.outputs[0])
    bias = add is not None and add.op == "Add" and any(ran.is_constant(name) for name in add.inputs)
    return ran.ids([node, add] if add is not None and bias else [node])


RULE = Rule(
    id="einsum-products",
    passed="No measurable time is lost to products by Einsum",
    failed="{} computed by Einsum",
    example="12 matrix products are",
    about=(
        "Einsum is the general form of a product, and ONNX Runtime computes it in a general way: it transposes and"
        " reshapes its factors in every run, also the weights, and no optimizer fuses it with the bias behind it. The rule"
        " finds the Einsum nodes that are matrix products, and claims what they take beyond the rate that MatMul and Gemm"
        " nodes of the same graph reach; where it has none, beyond what PyTorch takes for them."
    ),
    cause="kernel",
    needs=("delta", "partitions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C20", "C14"),
    experiments=("einsum",),
)
