"""slower-kernel: the same operator takes longer in ONNX Runtime."""

from attrib.findings.evidence.kernels import (
    KernelGroup,
    differing_groups,
    group_flops,
    group_lines,
    kernel_groups,
    reached,
)
from attrib.findings.evidence.ledger_queries import both_times, ids
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Find the operators, by shape, that are slower in ONNX Runtime."""
    groups = differing_groups(evidence, sign=1)
    if not groups:
        kinds = counted(len(kernel_groups(evidence)), "kind of operator", "kinds of operators")
        return RuleResult(
            failed=False, summary=f"{kinds} compared by op and shape: none is slower for certain."
        )
    rows = tuple(row for group in groups for row in group.rows)
    return RuleResult(
        failed=True,
        rows=ids(rows),
        detail=counted(len(groups), "kind of operator runs", "kinds of operators run"),
        summary=f"The same work takes {both_times(rows)}; the largest part is {groups[0].label}."
        + reached(evidence, groups),
        evidence=group_lines(evidence, groups),
        fix=_fix(evidence, groups),
    )


def _fix(evidence: Evidence, groups: tuple[KernelGroup, ...]) -> str:
    if any(group_flops(evidence, group.rows, "onnxruntime") for group in groups):
        return (
            "Before blaming a kernel, make sure that the checks above on threads, TF32 and precision hold; then these are "
            "other matrix "
            "kernels: try another execution provider (`--provider OpenVINOExecutionProvider` on Intel), a "
            "newer onnxruntime, or report the shapes to microsoft/onnxruntime."
        )
    return "Try a newer onnxruntime or another execution provider, or report the shapes to microsoft/onnxruntime."


RULE = Rule(
    id="slower-kernel",
    passed="No operator is measurably slower in ONNX Runtime",
    failed="{} slower in ONNX Runtime",
    example="3 kinds of operators run",
    about=(
        "Where one PyTorch call matches ONNX nodes that do the same work, any difference is the kernel's: "
        "another library, another instruction set, other threading. The rule groups the ledger rows of "
        "the cause `kernel` by op and shape, keeps the groups whose interval lies above 0 after a "
        "correction for the number of groups, and for matrix products gives the rate that either side "
        "reached in GFLOP/s. Where the capture measured what the machine can do, it says how far either "
        "side is from that limit."
    ),
    cause="kernel",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    tier="remainder",
    catalog=("C20",),
    unproved="A kernel is part of ONNX Runtime: only another version or execution provider has a different one.",
)
