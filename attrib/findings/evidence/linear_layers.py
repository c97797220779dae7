"""How each engine runs linear layers: which kernel holds product and bias, and which products could be merged."""

from collections import Counter
from collections.abc import Iterator

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.ops import base_op, node_role
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, rows_of
from attrib.findings.protocol import Evidence
from attrib.wording import counted, listed

LINEAR_CALLS = frozenset({"linear", "addmm"})

PRODUCTS = ("addmm", "mkldnn_linear", "_linear_pointwise", "baddbmm", "matmul", "bmm")
"""What `aten::linear` runs inside, the kernels that also add the bias first."""

PRODUCT_NODES = frozenset({"Gemm", "MatMul", "FusedGemm", "FusedMatMul"})


def linear_layers(evidence: Evidence) -> str:
    """Sentences on how the linear layers run on both sides; empty where there are none."""
    ways = Counter(_ways(evidence))
    lines = [f"{counted(count, 'linear layer')}: {way}." for way, count in ways.most_common(MOST_GROUPS)]
    pairs = unmerged_products(evidence.optimized) if evidence.optimized else ()
    if pairs:
        names = listed([f"{first} and {second}" for first, second in pairs])
        lines.append(f"Nothing stands between {names}, and neither engine merges them into one product.")
    return " ".join(lines)


def _ways(evidence: Evidence) -> Iterator[str]:
    """How each linear layer runs that has a row of its own."""
    calls, nodes = evidence.work.get("torch", {}), evidence.work.get("onnxruntime", {})
    for cause in ("kernel", "fused", "decomposed"):
        for row in rows_of(evidence, cause):
            ours = [calls[name] for name in row.torch_calls if name in calls]
            theirs = [nodes[name].op for name in row.onnx_nodes if node_role(nodes[name]) == "compute"]
            if len(ours) == 1 and base_op(ours[0].op) in LINEAR_CALLS and theirs:
                inner = {base_op(op): op for op in reversed(ours[0].inner)}
                kernel = next((inner[name] for name in PRODUCTS if name in inner), ours[0].op)
                ran, known = " + ".join(dict.fromkeys(theirs)), evidence.regions.get(row.region)
                lineage = known.lineage if known is not None else ()
                wrote = (
                    [evidence.exported.nodes[i].op for i in lineage[0]]
                    if evidence.exported and lineage
                    else []
                )
                exported = " + ".join(dict.fromkeys(wrote))
                also = f" (exported as {exported})" if exported not in ("", ran) else ""
                yield f"PyTorch runs each as {kernel}, ONNX Runtime as {ran}{also}"


def unmerged_products(graph: Graph) -> tuple[tuple[str, str], ...]:
    """Names of pairs of products with constant weights, the second of which reads nothing but the result of the first."""
    readers = Counter(name for node in graph.nodes for name in node.inputs)
    makers = {node.outputs[0]: node for node in graph.nodes if _has_weights(graph, node)}
    return tuple(
        (makers[node.inputs[0]].name, node.name)
        for node in graph.nodes
        if _has_weights(graph, node)
        and node.inputs[0] in makers
        and readers[node.inputs[0]] == 1
        and node.inputs[0] not in graph.outputs
    )


def _has_weights(graph: Graph, node: GraphNode) -> bool:
    return node.op in PRODUCT_NODES and len(node.inputs) > 1 and graph.constants.issuperset(node.inputs[1:])
