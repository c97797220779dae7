"""double-in-pytorch: calls of PyTorch in float64 for what ONNX Runtime computes in float32."""

from collections import defaultdict

from attrib.analysis.match.ops import call_role
from attrib.findings.evidence.ledger_queries import (
    calls_of,
    group_by_module,
    ids,
    op_counts,
    rows_holding,
    rows_line,
)
from attrib.findings.evidence.numerics import DOUBLE, FLOAT
from attrib.findings.evidence.reference_cost import Terms, weights_at_call_rate
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.wording import counted

HALF = 0.5
"""What is left of a call in float where no other call tells: elementwise work moves half the bytes."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the calls in double, and the casts of their modules, against the same work in float."""
    calls = tuple(evidence.work["torch"].values())
    nodes = evidence.work.get("onnxruntime", {})
    counterparts = defaultdict[str, list[Work]](list)
    for row in evidence.ledger.rows:
        counterparts[row.region] += [nodes[name] for name in row.onnx_nodes if name in nodes]
    both, floats = set[str](), set[str]()  # calls whose nodes are in double, too, and those with other nodes
    for row in evidence.ledger.rows:
        if known := counterparts[row.region]:
            (both if any(map(_has_double, known)) else floats).update(row.torch_calls)
    island = [call for call in calls if call.id in floats and call_role(call) != "cast" and _in_double(call)]
    if not island:
        return RuleResult(
            failed=False, summary="PyTorch computes nothing in double that ONNX Runtime does not."
        )
    scopes = {call.scope for call in island}
    casts = [
        call for call in calls if call_role(call) == "cast" and call.scope in scopes and call.id not in both
    ]
    names = tuple(call.id for call in (*island, *casts))
    terms = Terms()
    terms.add_calls(dict.fromkeys(names, -1.0))
    in_float = [call for call in calls if any(t.dtype == FLOAT for t in call.inputs) and not _in_double(call)]
    for call in island:
        terms.add_calls(weights_at_call_rate(in_float, call) or {call.id: HALF})
    rows = rows_holding(evidence, names)
    spent = evidence.ledger.work("torch", [call.id for call in casts]).median
    lines = []
    for module, group in group_by_module(rows):
        ops = op_counts(evidence, "torch", [call for call in calls_of(group) if call in names])
        lines.append(rows_line(f"{module}: {ops}, ", group))
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=evidence.ledger.weigh({"torch": terms.calls}),
        works=names,
        detail=counted(len(island), "call"),
        summary=f"{op_counts(evidence, 'torch', [call.id for call in island])} in double in PyTorch; the casts around them"
        f" take {format_ns(spent)}. ONNX Runtime computes the same in float.",
        evidence=tuple(lines),
        fix="In PyTorch leave out `.double()`, and numpy and Python constants of type float64; where a sum needs them,"
        " convert the sum and not the weights. Nothing needs to change in ONNX Runtime.",
    )


def _has_double(node: Work) -> bool:
    """Whether a node reads or gives doubles: an ArgMax of doubles gives none."""
    return any(t.dtype == DOUBLE for t in (*node.inputs, *node.outputs))


def _in_double(call: Work) -> bool:
    """Whether a call computes in double. A Python number is a double without a dimension, and changes no type."""
    return any(t.dtype == DOUBLE and t.shape for t in call.inputs)


RULE = Rule(
    id="double-in-pytorch",
    passed="PyTorch loses no measurable time to computing in double",
    failed="PyTorch computes in double: {}",
    example="1 call",
    about=(
        "A `.double()` in `forward`, or a constant of type float64, turns what follows into double: twice the bytes, half"
        " the vector width, and casts of inputs and weights in every call. Where the exported graph computes the same in"
        " float, that explains why ONNX Runtime is faster. The rule claims what the calls take beyond the same work in"
        " float, as other calls of the run do it, with the casts of their modules."
    ),
    cause="kernel",
    needs=("delta", "partitions"),
    direction="faster",
    audit=audit,
    tier="cause",
    catalog=("C10", "C21"),
    unproved="The model's own code has to change: no option of the capture computes in another type.",
)
