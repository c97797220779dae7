"""python-overhead: modules of PyTorch that spend time in their own Python, outside any operator."""

from attrib.findings.evidence.advice import try_compiled
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    group_by_module,
    ids,
    rows_line,
    rows_of,
    side_ns,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.units import format_ns
from attrib.wording import counted, listed

OWN_PYTHON = "(framework)/Python of "
"""How the region begins that holds what one module spends between its calls."""


def audit(evidence: Evidence) -> RuleResult:
    """Name the modules whose own Python has ledger rows of its own."""
    rows = tuple(row for row in rows_of(evidence, "framework") if row.region.startswith(OWN_PYTHON))
    if not rows:
        return RuleResult(failed=False, summary="No module spends unusually much time in its own Python.")
    groups = group_by_module(rows)
    lines = []
    for module, group in groups[:MOST_GROUPS]:
        each = f" ({counted(len(group), 'module')})" if len(group) > 1 else ""
        lines.append(rows_line(f"{module}{each}, own Python: ", group))
    return RuleResult(
        failed=True,
        rows=ids(rows),
        detail=counted(len(rows), "module"),
        summary=f"{listed([module for module, _ in groups])}: {format_ns(side_ns(rows, 'torch'))} of a PyTorch step pass"
        " inside `forward`, in no operator and in no inner module. The exported graph holds operators only.",
        evidence=tuple(lines),
        fix="Move what does not depend on the input out of `forward`."
        + try_compiled(evidence, "{} may cut the rest.")
        + " Nothing needs to change in ONNX Runtime.",
    )


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
