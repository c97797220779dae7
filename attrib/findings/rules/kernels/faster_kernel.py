"""faster-kernel: the same operator takes less time in ONNX Runtime."""

from attrib.findings.evidence.kernels import (
    KernelGroup,
    differing_groups,
    group_flops,
    group_lines,
    kernel_groups,
    reached,
)
from attrib.findings.evidence.ledger_queries import both_times, ids, torch_is_eager
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Find the operators, by shape, that are faster in ONNX Runtime."""
    groups = differing_groups(evidence, sign=-1)
    if not groups:
        kinds = counted(len(kernel_groups(evidence)), "kind of operator", "kinds of operators")
        return RuleResult(
            failed=False, summary=f"{kinds} compared by op and shape: none is faster for certain."
        )
    rows = tuple(row for group in groups for row in group.rows)
    return RuleResult(
        failed=True,
        rows=ids(rows),
        detail=counted(len(groups), "kind of operator runs", "kinds of operators run"),
        summary=f"The same work takes {both_times(rows)}; the largest part is {groups[0].label}."
        + reached(evidence, groups),
        evidence=group_lines(evidence, groups) + _library_evidence(evidence, groups),
        fix="Nothing to mend in ONNX Runtime."
        + (" `--torch-mode compile` shows how fast PyTorch can be here." if torch_is_eager(evidence) else ""),
    )


def _library_evidence(evidence: Evidence, groups: tuple[KernelGroup, ...]) -> tuple[EvidenceRow, ...]:
    """Which libraries stand behind the matrix products, where that may be the reason."""
    cpu = evidence.manifest.environment.cpu if evidence.manifest else ""
    if "AMD" not in cpu or not any(group_flops(evidence, group.rows, "torch") for group in groups):
        return ()
    text = (
        f"The processor is an {cpu}: PyTorch's matrix products come from Intel MKL, which is tuned for "
        "Intel's processors, ONNX Runtime's from its own MLAS. `MKL_VERBOSE=1` shows the code path that "
        "MKL takes."
    )
    return (EvidenceRow(text=text),)


RULE = Rule(
    id="faster-kernel",
    passed="No operator is measurably faster in ONNX Runtime",
    failed="{} faster in ONNX Runtime",
    example="2 kinds of operators run",
    about=(
        "The counterpart of slower-kernel: it explains why ONNX Runtime is faster. It groups the ledger "
        "rows of the cause `kernel` by op and shape, keeps the groups whose interval lies below 0 after a "
        "correction for the number of groups, and gives the rate of matrix products on either side, and how "
        "far either is from what the machine can do. There is nothing to save, so its saving is 0."
    ),
    cause="kernel",
    needs=("delta", "partitions"),
    direction="faster",
    audit=audit,
    tier="remainder",
    catalog=("C20",),
    experiments=("torch-compile", "torch-attention"),
)
