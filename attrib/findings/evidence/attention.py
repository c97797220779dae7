"""Attention blocks, as the ledger and the optimized graph show them."""

from collections import defaultdict
from collections.abc import Iterable

from attrib.analysis.lineage.graph import Graph, GraphNode, walk
from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.executed_graph import executed_graph
from attrib.findings.evidence.ledger_queries import nodes_of, op_of, rows_holding
from attrib.findings.protocol import Evidence
from attrib.model.document import LedgerRow

ATTENTION_CALLS = frozenset({
    "scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention",
})  # fmt: skip
ATTENTION_NODES = frozenset({
    "Attention", "MultiHeadAttention", "GroupQueryAttention", "PackedAttention", "PackedMultiHeadAttention",
    "DecoderMaskedMultiHeadAttention", "QAttention", "SparseAttention", "PagedAttention",
})  # fmt: skip
"""One node for a whole attention: ONNX's own (opset 23) and ONNX Runtime's contrib ops."""


WHOLE_ATTENTION_OPSET = 23
"""ONNX has an Attention operator of its own since this opset."""


def attention_regions(rows: Iterable[LedgerRow]) -> dict[str, list[LedgerRow]]:
    """Rows of every region in which PyTorch calls attention as one op."""
    regions: dict[str, list[LedgerRow]] = defaultdict(list)
    for row in rows:
        regions[row.region].append(row)
    return {
        region: found
        for region, found in regions.items()
        if any(base_op(op) in ATTENTION_CALLS for row in found for op in row.torch_ops)
    }


def is_whole(rows: Iterable[LedgerRow]) -> bool:
    """Whether ONNX Runtime computes the region's attention in one node."""
    return any(op in ATTENTION_NODES for row in rows for op in row.onnx_ops)


MOVES = frozenset({"Transpose", "Reshape"})
"""What brings the heads in front of the tokens and back; one node for the attention reads and writes them as they are."""

BEFORE_SOFTMAX = frozenset({"Add", "Mul", "Div", "Where", "Cast"})
"""What may stand between the product of the scores and their Softmax."""

SCORES = frozenset({"MatMul", "FusedMatMul", "Gemm"})
"""What that product may be."""

READS_HEADS = frozenset({"MatMul", "FusedMatMul", "TransposeMatMul", "Mul", "Div"})
"""Products, and the scale before them: what reads a mask reads no heads."""


def moves_around(evidence: Evidence, rows: Iterable[LedgerRow]) -> tuple[LedgerRow, ...]:
    """Rows of the moves that serve only the attention of these rows: what it alone reads, and what alone reads its result.

    A row that also holds other nodes is left out. Without the graph that ran none are known.
    """
    if evidence.optimized is None:
        return ()
    ran = executed_graph(evidence)
    nodes = {work: node for node in ran.graph.nodes for work in ran.ids([node])}
    own = [nodes[name] for name in nodes_of(rows) if name in nodes]
    made = {value for node in own for value in node.outputs}
    heads = [value for node in own if node.op in READS_HEADS for value in node.inputs if value not in made]

    def above(value: str) -> GraphNode | None:
        maker = ran.maker(value)
        alone = maker is not None and maker.op in MOVES and ran.reads[maker.outputs[0]] == 1
        return maker if alone else None

    def below(value: str) -> GraphNode | None:
        reader = ran.reader(value)
        return reader if reader is not None and reader.op in MOVES and reader.inputs[0] == value else None

    found = [
        move
        for value in heads
        for move in walk(above(value), lambda move: above(move.inputs[0]) if move.inputs else None)
    ]
    found += [
        move
        for value in made
        for move in walk(below(value), lambda move: below(move.outputs[0]) if move.outputs else None)
    ]
    moves = set(ran.ids(found))
    return tuple(
        row
        for row in rows_holding(evidence, moves)
        if row.cause == "layout" and moves.issuperset(row.onnx_nodes)
    )


def count_calls(evidence: Evidence, calls: Iterable[str]) -> int:
    """Number of the calls that are attention."""
    return sum(base_op(op_of(evidence, "torch", call)) in ATTENTION_CALLS for call in calls)


def guard_nodes(graph: Graph) -> tuple[GraphNode, ...]:
    """Find the guard that exporters put behind Softmax: IsNaN, and the Where that reads its result.

    PyTorch's attention gives 0 for a row whose every score is masked, Softmax gives NaN: hence the guard.
    """
    guards = [node for node in graph.nodes if node.op == "IsNaN"]
    flags = {value for node in guards for value in node.outputs}
    chosen = [node for node in graph.nodes if node.op == "Where" and node.inputs and node.inputs[0] in flags]
    return tuple(sorted(guards + chosen, key=lambda node: node.index))


def softmax_blocks(graph: Graph) -> int:
    """Number of Softmax nodes that a matrix product feeds through elementwise nodes: attention in separate nodes."""
    makers = {value: node for node in graph.nodes for value in node.outputs}

    def above(node: GraphNode) -> GraphNode | None:
        if node.op not in BEFORE_SOFTMAX:
            return None
        return makers.get(next((name for name in node.inputs if name in makers), ""))

    return sum(
        any(node.op in SCORES for node in walk(makers.get(softmax.inputs[0]), above))
        for softmax in graph.nodes
        if softmax.op == "Softmax" and softmax.inputs
    )
