"""layout-churn: nodes that only move data."""

from attrib.findings.evidence.advice import either, fixed_sizes, phrase, rewritten, whole_attention
from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    ids,
    module_lines,
    nodes_ns,
    nodes_of,
    op_counts,
    op_of,
    rows_of,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_ns
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the nodes that move data against what PyTorch spends on the same."""
    rows = rows_of(evidence, "layout")
    nodes = nodes_of(rows)
    kinds: dict[str, list[str]] = {}
    for node in nodes:
        kinds.setdefault(op_of(evidence, "onnxruntime", node), []).append(node)
    spent = {op: nodes_ns(evidence, names) for op, names in kinds.items()}
    # a Reshape copies nothing, a Transpose copies all
    texts = [
        f"{len(kinds[op])} {op} in {format_ns(ns)}"
        for op, ns in sorted(spent.items(), key=lambda i: -i[1])
        if ns
    ]
    by_kind = (EvidenceRow(text=f"By kind: {listed(texts)}"),) if texts else ()
    whole = whole_attention(evidence) if "Transpose" in kinds else ""
    fix = either(
        phrase("an attention that stays whole needs no transposes around it: {}", whole),
        phrase("fuse what stands around attention: {}", rewritten(evidence, "onnxscript") if whole else ""),
        phrase(
            "export with fixed sizes, so that what only computes shapes is folded: {}", fixed_sizes(evidence)
        ),
        phrase("see what another tool folds: {}", rewritten(evidence, "onnxslim")),
    )
    fix = (
        fix
        or "Write the model so that it moves less: one layout from end to end, and views where a copy is not needed."
    )
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "node"),
        summary=f"{op_counts(evidence, 'onnxruntime', nodes)}: moving data takes {both_times(rows)}, where most views cost"
        " nothing."
        if nodes
        else "ONNX Runtime runs no node that only moves data.",
        evidence=module_lines(evidence, rows) + by_kind,
        fix=fix,
    )


RULE = Rule(
    id="layout-churn",
    passed="No measurable time is lost to layout changes",
    failed="{} only move data",
    example="96 nodes",
    about=(
        "Transpose, Reshape, Concat, Slice, Expand and their like compute nothing. In PyTorch most of "
        "them are views that cost next to nothing; an ONNX node copies the tensor, or at least costs a "
        "dispatch. The rule adds up the ledger rows of the cause `layout` and names the modules that hold "
        "the most. Pairs that undo each other have a rule of their own."
    ),
    cause="layout",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    catalog=("C13",),
    experiments=("static-shapes", "onnxslim", "attention", "opset", "exporter", "inverse-pairs"),
)
