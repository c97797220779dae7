"""Batch norms of the run that the constant weights of a product beside them could take in."""

from collections.abc import Iterator

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.executed_graph import ExecutedGraph

BATCH_NORM = "BatchNormalization"
PRODUCTS_BEHIND = frozenset({"FusedGemm", "Gemm", "MatMul"})
"""What a batch norm goes into where the product reads it; FusedGemm applies its activation to what comes out."""

PRODUCTS_BEFORE = PRODUCTS_BEHIND - {"FusedGemm"}
"""What a batch norm goes into where it reads the product: nothing may lie between the two."""

PARTS = 5
"""Inputs of a batch norm: what it turns, scale, bias, mean and variance."""

WEIGHT = 1
"""The input of such a product that may be constant."""

MATRIX = 2
"""Dimensions of a matrix: with more, the channels of the norm are not what the product sums over."""


def foldable_norms(ran: ExecutedGraph) -> Iterator[GraphNode]:
    """Find the batch norms in inference beside a product of matrices whose weights, like the norm's own, are constant.

    Per channel the norm is `a x + c`, so that `(a x + c) W + b` is `x (a W) + (c W + b)`, and `(x W + b) a + c` is
    `x (W a) + (b a + c)`: the same graph with other weights and without the node. ONNX Runtime does this for convolutions.
    """
    for node in ran.graph.nodes:
        whole = node.op == BATCH_NORM and not node.domain and len(node.inputs) == PARTS and bool(node.outputs)
        if whole and _is_affine(ran, node) and (_in_front(ran, node) or _behind(ran, node)):
            yield node


def _is_affine(ran: ExecutedGraph, node: GraphNode) -> bool:
    result = ran.result(node)
    trains = node.attributes.get("training_mode", "0") != "0"
    return (
        not trains
        and result is not None
        and len(result.shape) == MATRIX
        and all(_is_fixed(ran, value) for value in node.inputs[1:])
    )


def _in_front(ran: ExecutedGraph, node: GraphNode) -> bool:
    """Whether a product alone reads the norm, as its rows."""
    product = ran.reader(node.outputs[0])
    return (
        product is not None
        and product.op in PRODUCTS_BEHIND
        and product.inputs[0] == node.outputs[0]
        and product.attributes.get("transA", "0") == "0"
        and _has_fixed_weights(ran, product)
    )


def _behind(ran: ExecutedGraph, node: GraphNode) -> bool:
    """Whether the norm alone reads a product."""
    product = ran.maker(node.inputs[0])
    return (
        product is not None
        and product.op in PRODUCTS_BEFORE
        and ran.reader(node.inputs[0]) is node
        and _has_fixed_weights(ran, product)
    )


def _has_fixed_weights(ran: ExecutedGraph, product: GraphNode) -> bool:
    return len(product.inputs) > WEIGHT and _is_fixed(ran, product.inputs[WEIGHT])


def _is_fixed(ran: ExecutedGraph, value: str) -> bool:
    return ran.is_constant(value) and value not in ran.graph.overridable
