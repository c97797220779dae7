"""layout-churn: nodes that only move data."""

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
    fix = "Export with static shapes and simplify the graph: `onnxslim in.onnx out.onnx`."
    if "Transpose" in kinds:
        fix = (
            "Most transposes of a transformer stand around its attention: an exporter that keeps attention whole removes"
            " them (`attrib profile --opset 23`, or onnxscript's `optimize_for_ort`)."
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
