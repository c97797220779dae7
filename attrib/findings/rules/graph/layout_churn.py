"""layout-churn: nodes that only move data."""

from attrib.findings.evidence.ledger_queries import (
    both_times,
    delta_ns,
    ids,
    module_lines,
    nodes_of,
    op_counts,
    op_of,
    rows_of,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.units import format_ns
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the nodes that move data against what PyTorch spends on the same."""
    rows = rows_of(evidence, "layout")
    nodes = nodes_of(rows)
    return RuleResult(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "node"),
        summary=_summary(evidence, rows),
        evidence=module_lines(evidence, rows) + _free_views(evidence, nodes),
        fix=_fix(evidence, nodes),
    )


def _free_views(evidence: Evidence, nodes: tuple[str, ...]) -> tuple[EvidenceRow, ...]:
    """What each kind of node takes: a Reshape copies nothing, a Transpose copies all."""
    kinds: dict[str, list[str]] = {}
    for node in nodes:
        kinds.setdefault(op_of(evidence, "onnxruntime", node), []).append(node)
    spent = {op: evidence.ledger.work("onnxruntime", names).median for op, names in kinds.items()}
    texts = [
        f"{len(kinds[op])} {op} in {format_ns(ns)}"
        for op, ns in sorted(spent.items(), key=lambda i: -i[1])
        if ns
    ]
    return (EvidenceRow(text=f"By kind: {listed(texts)}"),) if texts else ()


def _summary(evidence: Evidence, rows: tuple[LedgerRow, ...]) -> str:
    nodes = nodes_of(rows)
    if not nodes:
        return "ONNX Runtime runs no node that only moves data."
    return (
        f"{op_counts(evidence, 'onnxruntime', nodes)}: moving data takes {both_times(rows)}, "
        "where most views cost nothing."
    )


def _fix(evidence: Evidence, nodes: tuple[str, ...]) -> str:
    if any(op_of(evidence, "onnxruntime", node) == "Transpose" for node in nodes):
        return (
            "Most transposes of a transformer stand around its attention: an exporter that keeps "
            "attention whole removes them (`attrib profile --opset 23`, or onnxscript's "
            "`optimize_for_ort`)."
        )
    return "Export with static shapes and simplify the graph: `onnxslim in.onnx out.onnx`."


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
