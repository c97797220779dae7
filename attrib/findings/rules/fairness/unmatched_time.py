"""unmatched-time: time whose counterpart attrib could not find, or is not sure of."""

from collections.abc import Iterable

from attrib.findings.evidence.advice import exporter_of, other_exporter, phrase
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    group_by_module,
    ids,
    rows_line,
    rows_of,
    step_ns,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import LedgerRow
from attrib.units import format_percent
from attrib.wording import counted

UNMATCHED_LIMIT = 0.02
"""Two percent of the slower step: two captures of the same thing differ by that much."""

UNSURE_LIMIT = 0.10
"""A tenth of the time in doubtful matches still leaves the larger causes in their order."""

LOW_CONFIDENCE = 0.5
"""Below this a match rests on order or shape alone."""

NO_REGION = frozenset({"framework", "profiler_overhead", "device_idle", "page_faults"})
"""Causes that have no counterpart by their nature."""


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the rows without a counterpart, and the rows whose match is doubtful."""
    step = max(step_ns(evidence), 1)
    lost = rows_of(evidence, "unattributed")
    unsure = [row for row in evidence.ledger.rows if is_unsure(row)]
    lost_share, unsure_share = (min(spent_ns(rows) / step, 1.0) for rows in (lost, unsure))
    fix = phrase(
        "Export with the dynamo exporter, which writes the module scope and the fx node of every ONNX node: {}.",
        other_exporter(evidence) if exporter_of(evidence) == "torchscript" else "",
    )
    fix = (
        fix
        or "See what they are with `attrib explain TRACE_DIR NODE`: nothing that the capture could record is missing."
    )
    if evidence.manifest is None:
        fix = (
            "Record with `attrib profile`: it notes module scopes and keeps both graphs. Without them calls and nodes can"
            " be matched by order and shape only."
        )
    elif evidence.exported is None or evidence.optimized is None:
        fix = (
            "Keep onnx/exported.onnx and onnx/optimized.onnx in the trace directory: the match rests on them."
        )
    return RuleResult(
        failed=lost_share > UNMATCHED_LIMIT or unsure_share > UNSURE_LIMIT,
        rows=ids(lost),
        detail=format_percent(max(lost_share, unsure_share)),
        summary=f"{format_percent(lost_share)} of the step has no counterpart on the other side, and"
        f" {format_percent(unsure_share)} rests on matches of low confidence.",
        evidence=tuple(
            rows_line(f"{module}: {counted(len(group), 'row')} with {what}, ", group)
            for what, rows in (("no counterpart", lost), ("low confidence", unsure))
            for module, group in group_by_module(rows)[:MOST_GROUPS]
        ),
        fix=fix,
    )


def is_unsure(row: LedgerRow) -> bool:
    """Whether the row compares two sides that may not belong together."""
    paired = bool(row.torch_calls) and bool(row.onnx_nodes)
    return paired and row.cause not in NO_REGION and row.match.confidence < LOW_CONFIDENCE


def spent_ns(rows: Iterable[LedgerRow]) -> int:
    """Time in the rows in ns: of either side the larger."""
    return sum(max(row.torch_ns, row.onnxruntime_ns, abs(row.delta_ns)) for row in rows)


RULE = Rule(
    id="unmatched-time",
    passed="Nearly all time was matched between the engines",
    failed="{} of the step could not be matched well",
    example="4.2 %",
    about=(
        "A ledger is only as good as the pairs in it. The rule adds up the rows of the cause `unattributed`, and the rows"
        " whose two sides were brought together by a weak link (order or shape alone). Above"
        f" {format_percent(UNMATCHED_LIMIT)} of the step without a counterpart, or {format_percent(UNSURE_LIMIT)} in weak"
        " matches, read the causes as a rough division."
    ),
    cause=None,
    needs=("delta", "partitions"),
    direction="any",
    audit=audit,
    tier="remainder",
    unproved="It is about attrib's own evidence: a better record is the remedy, and no setting of an engine.",
)
