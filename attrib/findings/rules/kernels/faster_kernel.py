"""faster-kernel: the same operator takes less time in ONNX Runtime."""

from msgspec.structs import replace

from attrib.findings.evidence.advice import try_compiled
from attrib.findings.evidence.kernels import compare_kernels, group_flops
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow


def audit(evidence: Evidence) -> RuleResult:
    """Find the operators, by shape, that are faster in ONNX Runtime."""
    result, groups = compare_kernels(evidence, "faster")
    lines = list(result.evidence)
    cpu = evidence.manifest.environment.cpu if evidence.manifest else ""
    if "AMD" in cpu and any(group_flops(evidence, group.rows, "torch") for group in groups):
        text = (
            f"The processor is an {cpu}: PyTorch's matrix products come from Intel MKL, which is tuned for Intel's"
            " processors, ONNX Runtime's from its own MLAS. `MKL_VERBOSE=1` shows the code path that MKL takes."
        )
        lines.append(EvidenceRow(text=text))
    advice = try_compiled(evidence, "{} shows how fast PyTorch can be here.")
    fix = f"Nothing needs to change in ONNX Runtime.{advice}"
    return replace(result, evidence=tuple(lines), fix=fix)


RULE = Rule(
    id="faster-kernel",
    passed="No operator is measurably faster in ONNX Runtime",
    failed="{} faster in ONNX Runtime",
    example="2 kinds of operators run",
    about=(
        "The counterpart of slower-kernel: it explains why ONNX Runtime is faster. It groups the ledger rows of the cause"
        " `kernel` by op and shape, keeps the groups whose interval lies below 0 after a correction for the number of"
        " groups, and gives the rate of matrix products on either side, and how far either is from what the machine can do."
        " There is nothing to save, so its saving is 0."
    ),
    cause="kernel",
    needs=("delta", "partitions"),
    direction="faster",
    audit=audit,
    tier="remainder",
    catalog=("C20",),
    experiments=("torch-compile", "torch-attention"),
)
