"""folded-work: what PyTorch computes in every step, and the exported graph holds as a constant or not at all."""

from attrib.findings.evidence.absorbable import constant_inputs
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    calls_of,
    delta_ns,
    group_by_module,
    ids,
    op_counts,
    rows_of,
    side_ns,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.model.manifest import CHANGED_STATE
from attrib.units import format_ns
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the calls that the export left nothing of."""
    # Where a module also has nodes without a call, these may be the counterpart that the match has missed.
    open_nodes = {row.module for row in evidence.ledger.rows if row.onnx_nodes and not row.torch_calls}
    rows = [
        row
        for row in rows_of(evidence, "missing_work")
        if not row.onnx_nodes and row.module not in open_nodes and _is_free(evidence, row)
    ]
    calls = counted(len(calls_of(rows)), "call")
    lines = []
    for module, group in group_by_module(rows)[:MOST_GROUPS]:
        text = f"{module}: {op_counts(evidence, 'torch', calls_of(group))} in {format_ns(side_ns(group, 'torch'))}"
        lines.append(EvidenceRow(text=text, rows=ids(group), value_ns=delta_ns(group)))
    for reader, name, tensor in constant_inputs(evidence.exported)[:MOST_GROUPS] if evidence.exported else ():
        text = (
            f"{reader} reads {name}, {tensor}, which depends on no input: the session computes it once, when it is"
            " created"
        )
        lines.append(EvidenceRow(text=text))
    return RuleResult(
        failed=delta_ns(rows) < 0,
        rows=ids(rows),
        detail=calls,
        summary=f"{calls} of PyTorch left no node in the exported graph: {format_ns(side_ns(rows, 'torch'))}."
        if rows
        else "No call of PyTorch was left out by the export.",
        evidence=tuple(lines),
        fix=_fix(evidence),
    )


def _is_free(evidence: Evidence, row: LedgerRow) -> bool:
    """Whether a row's calls depend on no input of the model; also where nobody watched."""
    return evidence.input_free is None or evidence.input_free.issuperset(row.torch_calls)


def _fix(evidence: Evidence) -> str:
    """What to do about them: kept as constants only where nothing that they may read changes."""
    torch = evidence.side("torch")
    if torch is not None and torch.settings.get(CHANGED_STATE):
        return _STATE_FIX
    return _FIX if evidence.input_free is not None else _UNPROVED_FIX


_STATE_FIX = (
    "Some of these calls may read or change what a step changes in the model itself, which the exported graph keeps as it"
    " was at export: make that state an input and an output of the model, and compare again."
)
_FIX = (
    "PyTorch need not compute it anew either: these calls depend on no input, and can be run once in `__init__`, their"
    " result kept with `register_buffer`. Nothing needs to change in ONNX Runtime."
)
_UNPROVED_FIX = (
    "Nothing needs to change in ONNX Runtime. See whether these calls depend on an input: what does not can be run once in"
    " `__init__`, and its result kept with `register_buffer`."
)


RULE = Rule(
    id="folded-work",
    passed="No measurable time goes into work that the export folded away",
    failed="Run in PyTorch only: {} that the export folded or dropped",
    example="7 calls",
    about=(
        "What depends on no input is a constant to an exporter: a mask, a position table or a matrix that `forward` builds"
        " anew on every call is computed once, at export or when the session is created. Checks and no-ops vanish, too."
        " PyTorch runs them in every step. The rule adds up the ledger rows of the cause `missing_work` that no node"
        " belongs to and, where the capture watched a step, no input reaches."
    ),
    cause="missing_work",
    needs=("delta", "partitions", "exported"),
    direction="faster",
    audit=audit,
    tier="remainder",
    catalog=("C14",),
    unproved="It explains why PyTorch takes longer; the remedy is a change of the module's code.",
)
