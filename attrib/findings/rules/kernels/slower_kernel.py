"""slower-kernel: the same operator takes longer in ONNX Runtime."""

from msgspec.structs import replace

from attrib.findings.evidence.kernels import compare_kernels
from attrib.findings.protocol import Evidence, Rule, RuleResult


def audit(evidence: Evidence) -> RuleResult:
    """Find the operators, by shape, that are slower in ONNX Runtime."""
    result, _ = compare_kernels(evidence, "slower")
    return replace(
        result,
        fix="Try a newer onnxruntime or another execution provider, or report the shapes to microsoft/onnxruntime.",
    )


RULE = Rule(
    id="slower-kernel",
    passed="No operator is measurably slower in ONNX Runtime",
    failed="{} slower in ONNX Runtime",
    example="3 kinds of operators run",
    about=(
        "Where one PyTorch call matches ONNX nodes that do the same work, any difference is the kernel's: another library,"
        " another instruction set, other threading. The rule groups the ledger rows of the cause `kernel` by op and shape,"
        " keeps the groups whose interval lies above 0 after a correction for the number of groups, and for matrix products"
        " gives the rate that either side reached in GFLOP/s. Where the capture measured what the machine can do, it says"
        " how far either side is from that limit."
    ),
    cause="kernel",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    tier="remainder",
    catalog=("C20",),
    unproved="A kernel is part of ONNX Runtime: only another version or execution provider has a different one.",
)
