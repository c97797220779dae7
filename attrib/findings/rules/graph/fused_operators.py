"""fused-operators: what ONNX Runtime gains by running several calls as fewer nodes."""

from attrib.findings.evidence.advice import try_compiled
from attrib.findings.evidence.fusions import fusion_line, group_by_fusion, taking_in
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    delta_ns,
    ids,
    rows_of,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted


def audit(evidence: Evidence) -> RuleResult:
    """Compare the fused nodes with the calls that they replace."""
    rows = rows_of(evidence, "fused")
    if not rows:
        return RuleResult(failed=False, summary="ONNX Runtime fused no operators that PyTorch runs apart.")
    groups = group_by_fusion(evidence, rows)
    nodes = dict.fromkeys(node for row in rows for node in taking_in(evidence, row))
    return RuleResult(
        failed=delta_ns(rows) < 0,
        rows=ids(rows),
        detail=counted(len(nodes), "fused node is", "fused nodes are"),
        summary=f"What several calls do in PyTorch and fewer nodes in ONNX Runtime takes {both_times(rows)}.",
        evidence=tuple(fusion_line(evidence, kind, group) for kind, group in groups[:MOST_GROUPS]),
        fix="Nothing needs to change in ONNX Runtime."
        + try_compiled(evidence, "{} shows what fusing gives PyTorch."),
    )


RULE = Rule(
    id="fused-operators",
    passed="No fused operator makes ONNX Runtime measurably faster",
    failed="{} faster than the PyTorch calls for the same work",
    example="24 fused nodes are",
    about=(
        "ONNX Runtime's optimizer merges chains of operators into one node (SkipLayerNormalization, BiasGelu, "
        "FusedMatMul), which saves passes over memory and is a common reason for it to be faster. The rule adds up the "
        "ledger rows of the cause `fused` that no other rule accounts for; fusions that cost time are slower-fusion's."
    ),
    cause="fused",
    needs=("delta", "partitions", "regions"),
    direction="faster",
    audit=audit,
    tier="remainder",
    catalog=("C8",),
    experiments=("torch-compile",),
)
