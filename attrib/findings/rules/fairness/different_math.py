"""different-math: the engines were asked for different computations."""

from attrib.findings.comparability.check import Facts
from attrib.findings.comparability.math import autocast_alike, same_attention, same_precision, same_rounding
from attrib.findings.comparability.work import inference_mode
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow

CHECKS = (inference_mode, same_precision, autocast_alike, same_rounding, same_attention)
"""The checks of the comparison that are about numbers."""


def audit(evidence: Evidence) -> RuleResult:
    """Collect every setting in which the engines compute with other numbers."""
    facts = Facts(evidence=evidence)
    answers = [check(facts) for check in CHECKS]
    wrong = [answer for answer in answers if answer.state == "failed"]
    known = [answer for answer in answers if answer.state != "unknown"]
    if not known:
        return RuleResult(failed=False, lacks="needs the engines' settings: `attrib profile` notes them")
    return RuleResult(
        failed=bool(wrong),
        detail="; ".join(answer.detail for answer in wrong),
        summary=" ".join(answer.effect for answer in wrong)
        if wrong
        else "; ".join(answer.detail for answer in known) + ".",
        evidence=tuple(EvidenceRow(text=f"{answer.detail}. {answer.effect}") for answer in wrong),
        fix="; ".join(answer.fix for answer in wrong),
    )


RULE = Rule(
    id="different-math",
    passed="Both engines were asked for the same computation",
    failed="The engines were not asked for the same computation: {}",
    example="ONNX Runtime may round to TF32 and PyTorch does not",
    about=(
        "Dropout left on, TF32 on one side, another precision or another attention: the faster engine then does something"
        " else. ONNX Runtime's CUDA provider rounds float32 products to TF32 by default, PyTorch's matmul does not"
        " (microsoft/onnxruntime#19357). The rule collects the checks of a fair comparison that are about numbers."
    ),
    cause=None,
    needs=("manifest",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C11", "C21"),
    experiments=("attention", "torch-attention"),
)
