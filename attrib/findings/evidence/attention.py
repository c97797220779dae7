"""Attention blocks, as the ledger and the optimized graph show them."""

from collections import defaultdict
from collections.abc import Iterable

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.ledger_queries import op_of
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
    count = 0
    for node in graph.nodes:
        value = node.inputs[0] if node.op == "Softmax" and node.inputs else ""
        maker = makers.get(value)
        while maker is not None and maker.op in ("Add", "Mul", "Div", "Where", "Cast") and maker.inputs:
            value = next((name for name in maker.inputs if name in makers), "")
            maker = makers.get(value)
        count += maker is not None and maker.op in ("MatMul", "FusedMatMul", "Gemm")
    return count
