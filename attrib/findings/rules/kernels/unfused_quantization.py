"""unfused-quantization: time that goes into quantizing and dequantizing, and into integer kernels that do not pay."""

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.advice import either, phrase, rewritten
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import (
    both_times,
    ids,
    nodes_line,
    nodes_ns,
    nodes_of,
    op_counts,
    rows_holding,
    rows_line,
)
from attrib.findings.evidence.reference_cost import Terms, weight_once
from attrib.findings.evidence.significance import is_certain
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.units import format_ns
from attrib.wording import counted, listed

CONVERSIONS = ("DequantizeLinear", "QuantizeLinear", "DynamicQuantizeLinear")
INTEGER = frozenset({
    "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm", "QAttention", "ConvInteger",
    "QLinearConv", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearSoftmax", "QEmbedLayerNormalization",
    "QSkipLayerNormalization", "QGelu", "MatMulNBits",
})  # fmt: skip
"""Nodes that compute on integers."""

KINDS = {"DynamicQuantizeLinear": "activations that are quantized with a range found in every run"}
WEIGHTS = "weights that are dequantized anew in every run"
SLOW = (
    "This processor runs integer products no faster than float: keep fp32, or quantize symmetrically (S8S8) where it has"
    " VNNI or AMX."
)


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the conversions, and the integer kernels where they are slower than PyTorch's calls."""
    ran = executed_graph(evidence)
    kinds: dict[str, list[GraphNode]] = {}
    for node in ran.graph.nodes:
        if node.op in CONVERSIONS and ran.ids([node]):
            kind = KINDS.get(node.op, "activations")
            if node.op == "DequantizeLinear" and node.inputs and ran.is_constant(node.inputs[0]):
                kind = WEIGHTS
            kinds.setdefault(kind, []).append(node)
    integer = [row for row in evidence.ledger.rows if not INTEGER.isdisjoint(row.onnx_ops)]
    if not kinds and not integer:
        return RuleResult(failed=False, summary="Nothing is quantized.")
    conversions = sorted((node for group in kinds.values() for node in group), key=lambda node: node.index)
    nodes = ran.ids(conversions)
    total = evidence.ledger.total(
        ids(integer)
    )  # of all of them: do they take longer than PyTorch's calls for certain?
    slow = integer if total.median > 0 and is_certain(total, 1) else []
    terms = Terms()
    terms.add(weight_once(nodes))
    terms.add(weight_once(name for name in nodes_of(slow) if name not in nodes))
    terms.add_calls(weight_once(call for row in slow for call in row.torch_calls), -1)
    spent = format_ns(nodes_ns(evidence, nodes))
    details = [f"{counted(len(nodes), 'node')} convert to and from integers ({spent})"] if nodes else []
    details += ["integer kernels are slower than PyTorch's"] if slow else []
    lines = []
    for kind, group in kinds.items():
        results = [(ran.result(node), node.name) for node in group]
        largest = sorted(results, key=lambda pair: -(pair[0].elements if pair[0] is not None else 0))
        shown = listed([f"{name} ({tensor})" for tensor, name in largest[:2]], 2)
        ops = op_counts(evidence, "onnxruntime", ran.ids(group))
        lines.append(nodes_line(evidence, f"{kind}: {ops}, the largest {shown}, in ", ran.ids(group)))
    lines += [rows_line("integer arithmetic: ", integer)] if integer else []
    return RuleResult(
        failed=True,
        rows=tuple({row.id: row for row in (*rows_holding(evidence, nodes), *slow)}),
        claim=evidence.ledger.weigh({"onnxruntime": terms.nodes, "torch": terms.calls}),
        works=tuple(dict.fromkeys((*terms.nodes, *terms.calls))),
        detail=", ".join(details),
        summary=f"{op_counts(evidence, 'onnxruntime', nodes) or 'No conversions'}: {spent} of a step;"
        f" {counted(len(nodes_of(integer)), 'node')} of integer arithmetic: {both_times(integer)}.",
        evidence=tuple(lines),
        fix=_weights_fix(evidence) if WEIGHTS in kinds else SLOW if slow else _conversions_fix(evidence),
    )


def _weights_fix(evidence: Evidence) -> str:
    return either(
        "do not quantize what is only looked up or read once: exclude embeddings by"
        " `op_types_to_quantize=['MatMul', 'Gemm']` of `onnxruntime.quantization`",
        phrase("use the QOperator format: {}", rewritten(evidence, "int8-qoperator")),
    )


def _conversions_fix(evidence: Evidence) -> str:
    return either(
        phrase(
            "quantize with fixed ranges, so that the conversions are fused into the integer nodes: {}",
            rewritten(evidence, "int8-qdq"),
        ),
        "keep fp32 for the layers with little arithmetic",
    )


RULE = Rule(
    id="unfused-quantization",
    passed="No measurable time is lost to quantization",
    failed="{}",
    example="25 nodes convert to and from integers (1.2 ms)",
    about=(
        "Integer arithmetic saves time only where the conversions around it are fused away. A DequantizeLinear of weights"
        " that no integer kernel takes in runs in every step (a whole embedding table, for a handful of rows);"
        " DynamicQuantizeLinear passes twice over every activation; under a provider without integer kernels nodes fall back"
        " to the CPU (12 to 232 ms in microsoft/onnxruntime#10267). The rule adds up the conversions, and the integer"
        " kernels where they take longer than PyTorch's calls."
    ),
    cause="quantize",
    needs=("delta", "partitions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C12",),
    experiments=("int8-dynamic", "int8-qdq"),
)
