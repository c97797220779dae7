"""layout-churn: nodes that only move data."""

from attrib.findings.protocol import Evidence, Rule, Verdict
from attrib.findings.select import (
    compared,
    counted,
    delta_ns,
    ids,
    module_evidence,
    nodes_of,
    op_counts,
    op_of,
    rows_of,
)
from attrib.lineage.graph import Graph, GraphNode
from attrib.model.document import EvidenceRow, LedgerRow


def audit(evidence: Evidence) -> Verdict:
    """Weigh the nodes that move data against what PyTorch spends on the same."""
    rows = rows_of(evidence, "layout")
    nodes = nodes_of(rows)
    pairs = inverse_transposes(evidence.optimized) if evidence.optimized else ()
    return Verdict(
        failed=delta_ns(rows) > 0,
        rows=ids(rows),
        detail=counted(len(nodes), "node"),
        summary=_summary(evidence, rows),
        evidence=module_evidence(evidence, rows) + _pair_evidence(pairs),
        fix=_fix(evidence, nodes, bool(pairs)),
    )


def inverse_transposes(graph: Graph) -> tuple[tuple[str, str], ...]:
    """Names of Transpose nodes of which the second undoes the first."""
    makers = {value: node for node in graph.nodes if node.op == "Transpose" for value in node.outputs}
    found = []
    for node in graph.nodes:
        before = makers.get(node.inputs[0]) if node.op == "Transpose" and node.inputs else None
        if before is not None and _undoes(before, node):
            found.append((before.name, node.name))
    return tuple(found)


def _undoes(first: GraphNode, second: GraphNode) -> bool:
    try:
        inner, outer = (
            [int(axis) for axis in node.attributes["perm"].split(",")] for node in (first, second)
        )
    except (KeyError, ValueError):  # no `perm`: the axes are reversed, which undoes itself
        return "perm" not in first.attributes and "perm" not in second.attributes
    return len(inner) == len(outer) and [inner[axis] for axis in outer if axis < len(inner)] == sorted(inner)


def _summary(evidence: Evidence, rows: tuple[LedgerRow, ...]) -> str:
    nodes = nodes_of(rows)
    if not nodes:
        return "ONNX Runtime runs no node that only moves data."
    return (
        f"{op_counts(evidence, 'onnxruntime', nodes)}: moving data takes {compared(rows)}, "
        "where most views cost nothing."
    )


def _pair_evidence(pairs: tuple[tuple[str, str], ...]) -> tuple[EvidenceRow, ...]:
    if not pairs:
        return ()
    text = f"{counted(len(pairs), 'Transpose')} undone by the next one, e.g. {pairs[0][0]} and {pairs[0][1]}"
    return (EvidenceRow(text=text),)


def _fix(evidence: Evidence, nodes: tuple[str, ...], pairs: bool) -> str:
    if pairs:
        return "Remove the pairs of Transpose before the session sees the graph: `onnxslim in.onnx out.onnx`."
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
        "dispatch. The rule adds up the ledger rows of the cause `layout`, names the modules that hold "
        "the most, and looks in the optimized graph for a Transpose that the next one undoes."
    ),
    cause="layout",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
)
