"""output-mismatch: the engines do not compute the same."""

from attrib.findings.evidence.numerics import describe_difference, why_outputs_differ
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import SURPLUS
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Compare every output with the tolerance of the precision."""
    outputs = [output for output in evidence.outputs if output.reason != SURPLUS]
    wrong = [output for output in outputs if output.differs]
    total = counted(len(outputs), "output")
    why, fix = why_outputs_differ(evidence)
    return RuleResult(
        failed=bool(wrong),
        detail=f"{len(wrong)} of {total}",
        summary=why if wrong else f"{total} compared, all within the tolerance of the precision.",
        evidence=tuple(EvidenceRow(text=describe_difference(output)) for output in (wrong or outputs)),
        fix=fix,
    )


RULE = Rule(
    id="output-mismatch",
    passed="Both engines give the same outputs",
    failed="{} differ between the engines",
    example="1 of 2 outputs",
    about=(
        "A faster engine that computes something else is not faster. The rule reads outputs.json: the largest difference of"
        " every output, relative to PyTorch's largest value, against the tolerance of the precision. What"
        " ONNX Runtime alone returns is left to unused-outputs."
    ),
    cause=None,
    needs=("outputs",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C21",),
    unproved="It is about the numbers, not the time: no change of speed can prove it.",
)
