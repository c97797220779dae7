"""Costs of matrix products, convolutions and attention, by the conventions of `roofline.ops`."""

import math
from collections.abc import Callable

from attrib.analysis.attribution.roofline.cost import Cost, broadcast, bytes_of, require, size_of
from attrib.model.work import Work


def _product(ops: int, moved: int, kind: str) -> Cost:
    return Cost(ops=ops, bytes=moved, products=ops, kind=kind)


def linear(call: Work) -> Cost:
    """`input [..., K]`, `weight [N, K]`, bias."""
    require(len(call.inputs) > 1)
    left, weight = call.inputs[:2]
    require(bool(left.shape) and len(weight.shape) == 2 and weight.shape[1] == left.shape[-1] > 0)  # noqa: PLR2004
    result = left.elements // left.shape[-1] * weight.shape[0]
    moved = bytes_of(call.inputs) + result * size_of(left.dtype)
    return _product(2 * left.elements * weight.shape[0], moved, left.dtype)


def matmul(call: Work) -> Cost:
    """`torch.matmul`'s rules: vectors get a dimension, batches are broadcast."""
    require(len(call.inputs) > 1)
    left, right = call.inputs[:2]
    require(bool(left.shape) and bool(right.shape))
    ours = left.shape if len(left.shape) > 1 else (1, *left.shape)
    theirs = right.shape if len(right.shape) > 1 else (*right.shape, 1)
    require(ours[-1] == theirs[-2])
    result = math.prod((*broadcast((ours[:-2], theirs[:-2])), ours[-2], theirs[-1]))
    return _product(2 * result * ours[-1], bytes_of(call.inputs) + result * size_of(left.dtype), left.dtype)


def product_sum(call: Work) -> Cost:
    """`addmm`, `baddbmm`: the first input is added to the product of the others."""
    require(len(call.inputs) > 2)  # noqa: PLR2004
    product = matmul(Work(id="", engine="torch", op=call.op, inputs=call.inputs[1:3]))
    return _product(product.ops, product.bytes + bytes_of((call.inputs[0], *call.inputs[3:])), product.kind)


def node_product(node: Work, integer: bool = False) -> Cost:
    """`A [..., M, K]` (or transposed), constant or computed `B`, result `[..., M, N]`."""
    require(bool(node.inputs) and bool(node.outputs))
    left, result = node.inputs[0], node.outputs[0]
    require(1 <= len(left.shape) <= len(result.shape) and len(result.shape) > 1)
    columns = result.shape[-1]
    inner = left.shape[-1] if len(left.shape) == 1 or left.shape[-2] == result.shape[-2] else left.shape[-2]
    kind = "int8" if integer else left.dtype
    packed = 0
    if not any(sorted(tensor.shape[-2:]) == sorted((inner, columns)) for tensor in node.inputs[1:]):
        require(left.elements == math.prod(result.shape[:-1]) * inner)
        packed = inner * columns * size_of(kind)
    moved = bytes_of((*node.inputs, *node.outputs)) + packed
    return _product(2 * result.elements * inner, moved, kind)


def integer_product(node: Work) -> Cost:
    """A product as `node_product` counts it, with factors of eight bits, whatever type goes in and comes out."""
    return node_product(node, integer=True)


def packed_product(node: Work) -> Cost:
    """`MatMulNBits`: the packed weight tells its own bytes; without it, the bits are unknown."""
    require(len(node.inputs) > 1 and bool(node.outputs) and node.inputs[1].dtype == "uint8")
    left, result = node.inputs[0], node.outputs[0]
    require(bool(left.shape) and left.shape[:-1] == result.shape[:-1])
    return _product(2 * result.elements * left.shape[-1], bytes_of((*node.inputs, *node.outputs)), left.dtype)


def convolution(weight: int, integer: bool = False) -> Callable[[Work], Cost]:
    """`weight` is its position among the inputs: `[outputs, channels per group, kernel...]`."""

    def formula(node: Work) -> Cost:
        require(len(node.inputs) > weight and bool(node.outputs))
        kernel, result = node.inputs[weight], node.outputs[0]
        require(len(kernel.shape) == len(result.shape) > 2)  # noqa: PLR2004
        ops = 2 * result.elements * math.prod(kernel.shape[1:])
        kind = "int8" if integer else node.inputs[0].dtype
        return _product(ops, bytes_of((*node.inputs, *node.outputs)), kind)

    return formula


def attention_call(work: Work) -> Cost:
    """Queries `[..., L, E]`, keys `[..., S, E]`, values `[..., S, V]`, and what else is read, e.g. a mask.

    The heads are a dimension of their own, or in E. Keys of the past would make the products larger.
    """
    require(len(work.inputs) > 2 and len(work.outputs) < 2)  # noqa: PLR2004
    query, key, value = work.inputs[:3]
    require(min(len(t.shape) for t in (query, key, value)) > 2)  # noqa: PLR2004
    length = key.shape[-2]
    require(value.shape[-2] == length and query.shape[-1] == key.shape[-1] > 0)
    result = query.elements // query.shape[-1] * value.shape[-1]
    moved = bytes_of(work.inputs) + result * size_of(query.dtype)
    return _product(2 * (query.elements + result) * length, moved, query.dtype)


def attention_node(node: Work) -> Cost:
    """ONNX's Attention on queries, keys and values, or ONNX Runtime's with the projection before it."""
    require(len(node.inputs) > 1 and bool(node.outputs))
    if len(node.inputs[1].shape) > 2:  # noqa: PLR2004
        return attention_call(node)
    states, result = node.inputs[0], node.outputs[0]
    require(len(states.shape) == 3 == len(result.shape))  # noqa: PLR2004
    require(
        states.shape[:2] == result.shape[:2] and len(node.outputs) == 1
    )  # no past that makes the keys longer
    inner, projected = states.shape[-1], node.inputs[1].shape[-1]
    require(projected == 3 * result.shape[-1])
    recorded = node.inputs[1].shape == (inner, projected)  # else it is the bias, and the weight was packed
    packed = 0 if recorded else inner * projected * size_of(states.dtype)
    ops = 2 * states.elements * projected + 4 * result.elements * result.shape[1]
    return _product(ops, bytes_of((*node.inputs, *node.outputs)) + packed, states.dtype)
