"""denormal-values: weights so small that the processor computes with them in microcode."""

from attrib.findings.evidence.advice import phrase, with_entry
from attrib.findings.evidence.numerics import DENORMAL_LIMIT, denormal_share
from attrib.findings.evidence.placement import runs_on_gpu
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_percent


def audit(evidence: Evidence) -> RuleResult:
    """Compare the number of denormal weights with all of them."""
    share = denormal_share(evidence)
    if share is None:
        return RuleResult(
            failed=False,
            lacks="needs the number of denormal weights: `attrib profile` counts them when it loads the model",
        )
    if runs_on_gpu(evidence):
        return RuleResult(failed=False, summary="A GPU computes with denormal numbers at full speed.")
    figure = f"{format_percent(share)} of the weights are denormal"
    return RuleResult(
        failed=share > DENORMAL_LIMIT,
        detail=format_percent(share),
        summary=f"{figure}. Activations are not counted: the experiment denormals-as-zero shows what both cost.",
        evidence=(EvidenceRow(text=figure),),
        fix="Let both engines take them for zero: "
        + phrase("{} for ONNX Runtime and ", with_entry(evidence, "session.set_denormal_as_zero", "1"))
        + "`torch.set_flush_denormal(True)` for PyTorch; or set them to zero once, in the checkpoint.",
    )


RULE = Rule(
    id="denormal-values",
    passed="Hardly any weight is denormal",
    failed="{} of the weights are denormal",
    example="3.2 %",
    about=(
        "Numbers below 1.2e-38 (float32) are computed in microcode on many processors, at a tenth of the speed or less: in"
        " microsoft/onnxruntime#5472 one model took 75 ms instead of 7.7 ms. They come from training with weight decay and"
        " from long products of small numbers. The rule reads how many weights are denormal, which the capture counts on an"
        " even sample of each tensor. What activations add, only the experiment shows."
    ),
    cause=None,
    needs=("manifest",),
    direction="any",
    audit=audit,
    catalog=("C22",),
    experiments=("denormals-as-zero",),
)
