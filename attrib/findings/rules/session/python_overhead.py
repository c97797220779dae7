"""python-overhead: modules of PyTorch that spend time in their own Python, outside any operator."""

from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    delta_ns,
    group_by_module,
    ids,
    rows_of,
    side_ns,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_ns
from attrib.wording import counted, listed

OWN_PYTHON = "(framework)/Python of "
"""Region of what one module spends between its calls."""


def audit(evidence: Evidence) -> RuleResult:
    """Name the modules whose own Python the ledger shows apart."""
    rows = tuple(row for row in rows_of(evidence, "framework") if row.region.startswith(OWN_PYTHON))
    if not rows:
        return RuleResult(failed=False, summary="No module spends unusually much time in its own Python.")
    names = [module for module, _ in group_by_module(rows)]
    return RuleResult(
        failed=True,
        rows=ids(rows),
        detail=counted(len(rows), "module"),
        summary=f"{listed(names)}: {format_ns(side_ns(rows, 'torch'))} of a PyTorch step pass inside `forward`, in no"
        " operator and in no inner module. The exported graph holds operators only.",
        evidence=tuple(_line(module, group) for module, group in group_by_module(rows)[:MOST_GROUPS]),
        fix="Move what does not depend on the input out of `forward`; what must stay, `--torch-mode compile` may cut."
        " Nothing to mend in ONNX Runtime.",
    )


def _line(module: str, group: list[LedgerRow]) -> EvidenceRow:
    each = f" ({counted(len(group), 'module')})" if len(group) > 1 else ""
    text = f"{module}{each}: {both_times(group)} in its own Python"
    return EvidenceRow(text=text, rows=ids(group), value_ns=delta_ns(group))


RULE = Rule(
    id="python-overhead",
    passed="No module of PyTorch spends unusual time in its own Python",
    failed="{} of PyTorch with much Python of its own",
    example="1 module",
    about=(
        "A `forward` that loops over lists, checks shapes or converts data leaves no operator in a profile: its time is a"
        " gap. An exporter runs it once, so that ONNX Runtime does not pay for it. attrib marks every module, and gives a"
        " row of its own to each that spends eight times as much between its calls as modules of the same model usually do"
        " for as many calls. The rule names them."
    ),
    cause="framework",
    needs=("delta", "partitions"),
    direction="faster",
    audit=audit,
    catalog=("C23",),
    experiments=("torch-compile",),
)
