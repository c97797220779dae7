"""double-precision: nodes that compute in float64 what PyTorch computes in float32."""

from collections.abc import Sequence

from attrib.analysis.attribution.roofline.peaks import machine_limits
from attrib.analysis.match.ops import SPELLED
from attrib.findings.evidence.advice import either, phrase, rewritten
from attrib.findings.evidence.executed_graph import explained_works
from attrib.findings.evidence.kernels import flops_of
from attrib.findings.evidence.ledger_queries import (
    both_times,
    group_by_module,
    ids,
    nodes_ns,
    nodes_of,
    op_counts,
    rows_holding,
    rows_line,
)
from attrib.findings.evidence.numerics import DOUBLE, FLOAT, bytes_of
from attrib.findings.evidence.reference_cost import (
    Terms,
    weight_once,
    weights_at_product_rate,
    weights_by_elements,
    weights_of_equal_size,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.tensor import Tensor
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.wording import counted

NS = 1_000_000_000

HALF = 0.5
"""Elementwise work moves half the bytes in float: where that is what takes the time, it takes half."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the nodes in double, and the casts to and from double, against the same work in float."""
    works = tuple(evidence.work["onnxruntime"].values())
    calls = evidence.work.get("torch", {})
    every = [work for work in works if _computes_in_double(work)]
    if not every:
        return RuleResult(failed=False, summary="ONNX Runtime computes nothing in double.")
    asked = {  # nodes of regions in which PyTorch computes in double, too
        node
        for row in evidence.ledger.rows
        if any(t.dtype == DOUBLE for name in row.torch_calls if name in calls for t in calls[name].inputs)
        for node in row.onnx_nodes
    }
    island = [work for work in every if work.id not in asked]
    both = not island
    island = island or every
    casts = [
        work
        for work in works
        if work.op == "Cast"
        and any(tensor.dtype == DOUBLE for tensor in (*work.inputs, *work.outputs))
        and (both or work.id not in asked)
    ]
    terms = Terms()
    terms.add(weight_once(work.id for work in (*island, *casts)))
    for work in island:
        terms.add(_in_float(evidence, works, work), -1)
    nodes = tuple(work.id for work in works if work in island or work in casts)
    rows = rows_holding(evidence, nodes)
    spent = format_ns(nodes_ns(evidence, [work.id for work in casts]))
    lines = []
    for module, group in group_by_module(rows):
        ops = op_counts(evidence, "onnxruntime", [node for node in nodes_of(group) if node in nodes])
        lines.append(rows_line(f"{module}: {ops}, ", group))
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=evidence.ledger.weigh({"onnxruntime": terms.nodes}),
        explains_delta=not both,
        works=explained_works(rows, nodes),
        detail=counted(len(island), "node computes", "nodes compute"),
        summary=f"{op_counts(evidence, 'onnxruntime', [work.id for work in island])} in double: {both_times(rows)}."
        f" {counted(len(casts), 'cast')} to and from double take {spent} of it."
        + (" PyTorch computes in double, too: both engines waste it." if both else ""),
        evidence=tuple(lines),
        fix=either(
            phrase("compute in float: {}", rewritten(evidence, "double-to-float")),
            "look in the model for a numpy constant of type float64 and for `.double()`, which PyTorch's exporters keep",
        ),
    )


def _computes_in_double(work: Work) -> bool:
    return work.op != "Cast" and any(tensor.dtype == DOUBLE for tensor in work.outputs)


def _in_float(evidence: Evidence, works: Sequence[Work], work: Work) -> dict[str, float]:
    """Weights whose sum is the time of the same work in float; the least that it can be where no other node tells."""
    result = Tensor(FLOAT, work.outputs[0].shape)
    kind = SPELLED.get(work.op, work.op)
    flops = flops_of(work)

    def same(other: Work) -> bool:
        return SPELLED.get(other.op, other.op) == kind and not _computes_in_double(other)

    return (
        (weights_at_product_rate(works, flops, FLOAT) if flops else {})
        or weights_of_equal_size(works, result, same)
        or weights_by_elements(works, result, same)
        or {work.id: _least_share(evidence, work)}
    )


def _least_share(evidence: Evidence, work: Work) -> float:
    """The share of a node's time that it needs in float at least: what its bytes take at this machine's bandwidth, or half.

    A kernel in double need not be bound by its bytes: of Sigmoid, Exp and Softmax only the float one is vectorized.
    """
    peaks = machine_limits(evidence.manifest.sides).get("onnxruntime") if evidence.manifest else None
    spent = nodes_ns(evidence, [work.id])
    in_float = sum(
        bytes_of(Tensor(FLOAT, its.shape) if its.dtype == DOUBLE else its)
        for its in (*work.inputs, *work.outputs)
    )
    rate = peaks.bandwidth(in_float) if peaks is not None else None
    if peaks is None or rate is None or rate.per_s <= 0 or spent <= 0:
        return HALF
    return min(HALF, (in_float / rate.per_s * NS + peaks.floor_ns) / spent)


RULE = Rule(
    id="double-precision",
    passed="No measurable time is lost to computing in double",
    failed="{} in double precision",
    example="4 nodes compute",
    about=(
        "A constant of type float64, or a `.double()` for a sum that should be exact, turns what follows into double in"
        " the exported graph: twice the bytes, half the vector width, and casts on the way in and out. The rule finds the"
        " nodes whose results are double where PyTorch's calls are not, and claims what they take beyond the same work in"
        " float, as other nodes of the run do it (where none does, as its bytes allow at this machine's bandwidth), with the"
        " casts around them."
    ),
    cause="kernel",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C10", "C21"),
    experiments=("double-islands",),
)
