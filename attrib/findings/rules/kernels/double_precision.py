"""double-precision: nodes that compute in float64 what PyTorch computes in float32."""

from collections.abc import Iterable, Sequence

from attrib.analysis.match.ops import SPELLED
from attrib.findings.evidence.executed_graph import accounted
from attrib.findings.evidence.kernels import flops_of
from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    group_by_module,
    ids,
    nodes_of,
    op_counts,
    rows_holding,
)
from attrib.findings.evidence.numerics import DOUBLE, FLOAT
from attrib.findings.evidence.reference_cost import (
    Terms,
    weight_once,
    weights_at_product_rate,
    weights_by_elements,
    weights_of_equal_size,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.model.tensor import Tensor
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.wording import counted

HALF = 0.5
"""Elementwise work moves half the bytes in float."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the nodes in double, and the casts at their shores, against the same work in float."""
    works = tuple(evidence.work["onnxruntime"].values())
    asked = _asked_for(evidence)
    every = [w for w in works if _computes(w)]
    if not every:
        return RuleResult(failed=False, summary="ONNX Runtime computes nothing in double.")
    island = [w for w in every if w.id not in asked]
    both = not island
    island = island or every
    shores = [w for w in works if _crosses(w) and (both or w.id not in asked)]
    terms = Terms()
    terms.add(weight_once(work.id for work in (*island, *shores)))
    for work in island:
        terms.add(_in_float(works, work), -1)
    nodes = tuple(work.id for work in works if work in island or work in shores)
    rows = rows_holding(evidence, nodes)
    casts = evidence.ledger.work("onnxruntime", [work.id for work in shores]).median
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=evidence.ledger.weighted({"onnxruntime": terms.nodes}),
        explains_delta=not both,
        works=accounted(rows, nodes),
        detail=counted(len(island), "node computes", "nodes compute"),
        summary=f"{op_counts(evidence, 'onnxruntime', [w.id for w in island])} in double: {both_times(rows)}."
        f" {counted(len(shores), 'cast')} to and from double take {format_ns(casts)} of it."
        + (" PyTorch computes in double, too: both engines waste it." if both else ""),
        evidence=_lines(evidence, rows, set(nodes)),
        fix="Compute in float: `attrib profile --optimize double-to-float`, or look in the model for a Python or numpy"
        " constant of type float64 and for `.double()`, which PyTorch's exporters keep.",
    )


def _computes(work: Work) -> bool:
    return work.op != "Cast" and any(tensor.dtype == DOUBLE for tensor in work.outputs)


def _crosses(work: Work) -> bool:
    return work.op == "Cast" and any(tensor.dtype == DOUBLE for tensor in (*work.inputs, *work.outputs))


def _asked_for(evidence: Evidence) -> set[str]:
    """Nodes of regions in which PyTorch computes in double, too."""
    calls = evidence.work.get("torch", {})
    return {
        node
        for row in evidence.ledger.rows
        if any(t.dtype == DOUBLE for name in row.torch_calls if name in calls for t in calls[name].inputs)
        for node in row.onnx_nodes
    }


def _in_float(works: Sequence[Work], work: Work) -> dict[str, float]:
    """Weights whose sum is the time of the same work in float."""
    result = Tensor(FLOAT, work.outputs[0].shape)
    kind = SPELLED.get(work.op, work.op)
    flops = flops_of(work)

    def same(other: Work) -> bool:
        return SPELLED.get(other.op, other.op) == kind and not _computes(other)

    return (
        (weights_at_product_rate(works, flops, FLOAT) if flops else {})
        or weights_of_equal_size(works, result, same)
        or weights_by_elements(works, result, same)
        or {work.id: HALF}
    )


def _lines(evidence: Evidence, rows: Iterable[LedgerRow], nodes: set[str]) -> tuple[EvidenceRow, ...]:
    return tuple(
        EvidenceRow(
            text=f"{module}: {op_counts(evidence, 'onnxruntime', [n for n in nodes_of(group) if n in nodes])}, "
            + both_times(group),
            rows=ids(group),
            value_ns=delta_ns(group),
        )
        for module, group in group_by_module(rows)
    )


RULE = Rule(
    id="double-precision",
    passed="No measurable time is lost to computing in double",
    failed="{} in double precision",
    example="4 nodes compute",
    about=(
        "A constant of type float64, or a `.double()` for a sum that should be exact, turns what follows into double in"
        " the exported graph: twice the bytes, half the vector width, and casts on the way in and out. The rule finds the"
        " nodes whose results are double where PyTorch's calls are not, and claims what they take beyond the same work in"
        " float, as other nodes of the run do it, with the casts around them."
    ),
    cause="kernel",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C10", "C21"),
    experiments=("double-islands",),
)
