"""What a call or a node has to do at least: arithmetic operations and bytes, from its tensors' shapes and types.

Conventions, and where they come from:

1. A matrix product of `[M, K]` and `[K, N]` is 2·M·N·K operations, a multiplication and an addition counted as two, as
   BLAS and LINPACK count (Dongarra, Du Croz, Hammarling, Duff, "A set of level 3 basic linear algebra subprograms", 1990); a
   bias adds nothing to that. `torch.utils.flop_counter` counts the same.
2. A convolution is such a product for every output element: 2·outputs·(channels per group)·(kernel), by its definition
   in the ONNX operator specification.
3. Attention is its two products, queries by keys and scores by values, as `torch.utils.flop_counter.sdpa_flop` counts. It
   has to move queries, keys, values and the result once: the scores need not leave the processor (Dao et al.,
   "FlashAttention", 2022).
4. Elementwise work, normalization and softmax count every operation and every function (exp, erf, ...) of their
   definition in the ONNX specification once per element: `PER_ELEMENT`. Their limit is the bytes that they move.
5. Bytes are those of every input read once and every output written once; of a table, the rows that are gathered and the
   result; a weight that ONNX Runtime packed for itself, and leaves out of its profile, is counted all the same. A view moves
   nothing.

What is not in the tables, or has a shape or type that does not fit, has no cost: nothing is guessed.
"""

import math
from collections.abc import Callable

from attrib.analysis.attribution.roofline.cost import (
    Cost,
    UnknownCostError,
    broadcast,
    bytes_of,
    require,
    size_of,
)
from attrib.analysis.attribution.roofline.products import (
    attention_call,
    attention_node,
    convolution,
    integer_product,
    linear,
    matmul,
    node_product,
    packed_product,
    product_sum,
)
from attrib.analysis.match.ops import IDENTITY_OPS, base_op
from attrib.model.work import Work

PER_ELEMENT = {
    **dict.fromkeys(("add", "sub", "rsub", "mul", "div", "pow", "neg", "abs", "exp", "log", "sqrt", "rsqrt", "reciprocal",
                     "tanh", "erf", "sin", "cos", "relu", "where", "masked_fill", "clamp", "maximum", "minimum", "eq", "ne",
                     "ge", "gt", "le", "lt", "bitwise_and", "bitwise_or", "logical_and", "logical_or", "logical_not",
                     "isnan", "cumsum"), 1),
    "addcmul": 2, "leaky_relu": 2, "sigmoid": 3, "silu": 4, "gelu": 5, "softmax": 5, "log_softmax": 5, "batch_norm": 4,
    "layer_norm": 7, "group_norm": 7, "rms_norm": 5,
}  # fmt: skip
"""Operations for each element: sigmoid 1/(1+exp(-x)); gelu x·0.5·(1+erf(x/√2)); softmax max, subtract, exp, sum, divide;
layer norm mean, subtract, square, mean, scale, gain, bias."""

_MOST = 1 << 62
"""Larger figures are no tensors of this world, and no integers that JSON readers take."""


def cost_of(work: Work) -> Cost | None:
    """What a call or node has to do at least; None where its op or its tensors do not tell."""
    formula = CALLS.get(base_op(work.op)) if work.engine == "torch" else NODES.get(work.op)
    if formula is None:
        return None
    try:
        tensors = (*work.inputs, *work.outputs)
        require(bool(tensors) and all(size >= 0 for tensor in tensors for size in tensor.shape))
        cost = formula(work)
    except UnknownCostError:
        return None
    return cost if max(cost.ops, cost.bytes) < _MOST else None


def elementwise(per_element: int, dtype: str = "") -> Callable[[Work], Cost]:
    """So many operations for each element of the result; `dtype` where it is not that of the inputs."""

    def formula(work: Work) -> Cost:
        if work.outputs:
            elements = work.outputs[0].elements
            return Cost(ops=per_element * elements, bytes=bytes_of((*work.inputs, *work.outputs)))
        elements = math.prod(broadcast(tensor.shape for tensor in work.inputs))
        kept = next((t.dtype for t in work.inputs if "float" in t.dtype), work.inputs[0].dtype)
        return Cost(
            ops=per_element * elements, bytes=bytes_of(work.inputs) + elements * size_of(dtype or kept)
        )

    return formula


def normalization(per_element: int) -> Callable[[Work], Cost]:
    """The result has the shape of the first input; gains and offsets are read once."""

    def formula(work: Work) -> Cost:
        require(bool(work.inputs))
        moved = bytes_of((*work.inputs, *(work.outputs or work.inputs[:1])))
        return Cost(ops=per_element * work.inputs[0].elements, bytes=moved)

    return formula


def reduction(work: Work) -> Cost:
    """Every element is read; a result whose shape is unknown is smaller."""
    require(bool(work.inputs))
    return Cost(ops=work.inputs[0].elements, bytes=bytes_of((*work.inputs, *work.outputs)))


def embedding(call: Work) -> Cost:
    """A table `[rows, width]` and indices: the rows that they name are read and written."""
    require(len(call.inputs) > 1 and len(call.inputs[0].shape) == 2)  # noqa: PLR2004
    table, indices = call.inputs[:2]
    rows = indices.elements * table.shape[1] * size_of(table.dtype)
    return Cost(ops=0, bytes=bytes_of([indices]) + 2 * rows)


def gather(node: Work) -> Cost:
    """A table, indices and the result: the rows that they name are read and written."""
    require(len(node.inputs) > 1 and bool(node.outputs))
    return Cost(ops=0, bytes=bytes_of([node.inputs[1]]) + 2 * bytes_of(node.outputs[:1]))


_COMPARISONS = frozenset(
    {"eq", "ne", "ge", "gt", "le", "lt", "logical_and", "logical_or", "logical_not", "isnan"}
)
_NORMS = frozenset({"layer_norm", "group_norm", "rms_norm", "batch_norm", "softmax", "log_softmax"})
_VIEWS = ("view", "transpose", "permute", "t", "expand", "unsqueeze", "squeeze", "slice", "select", "narrow", "split",
          "chunk", "unbind", "as_strided", "movedim")  # fmt: skip

CALLS: dict[str, Callable[[Work], Cost]] = {
    **{
        op: elementwise(n, "bool" if op in _COMPARISONS else "")
        for op, n in PER_ELEMENT.items()
        if op not in _NORMS
    },
    **{op: normalization(PER_ELEMENT[op]) for op in _NORMS},
    **dict.fromkeys((*IDENTITY_OPS, *_VIEWS), lambda _: Cost(ops=0, bytes=0)),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "all", "any", "argmax"), reduction),
    "linear": linear,
    "matmul": matmul,
    "addmm": product_sum,
    "baddbmm": product_sum,
    "scaled_dot_product_attention": attention_call,
    "embedding": embedding,
}
"""Aten op (`base_op`) -> its cost."""

_NODES_LIKE = {
    **{name: name.lower() for name in ("Add", "Sub", "Mul", "Div", "Pow", "Neg", "Abs", "Exp", "Log", "Sqrt", "Reciprocal",
                                       "Tanh", "Erf", "Sin", "Cos", "Relu", "Where", "Sigmoid", "IsNaN", "CumSum", "Gelu")},
    "Clip": "clamp", "Max": "maximum", "Min": "minimum", "Equal": "eq", "Greater": "gt", "Less": "lt",
    "GreaterOrEqual": "ge", "LessOrEqual": "le", "And": "logical_and", "Or": "logical_or", "Not": "logical_not",
    "LeakyRelu": "leaky_relu",
}  # fmt: skip
_FUSED_ELEMENTWISE = {
    "BiasGelu": PER_ELEMENT["gelu"] + 1,
    "QuickGelu": PER_ELEMENT["silu"] + 1,
    "FastGelu": 8,  # 0.5·x·(1 + tanh(x·(a + b·x·x)))
}
_NODE_NORMS = {
    "LayerNormalization": "layer_norm", "SimplifiedLayerNormalization": "rms_norm", "RMSNormalization": "rms_norm",
    "GroupNormalization": "group_norm", "BatchNormalization": "batch_norm", "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
}  # fmt: skip

NODES: dict[str, Callable[[Work], Cost]] = {
    **{node: elementwise(PER_ELEMENT[op]) for node, op in _NODES_LIKE.items()},
    **{node: elementwise(count) for node, count in _FUSED_ELEMENTWISE.items()},
    **{node: normalization(PER_ELEMENT[op]) for node, op in _NODE_NORMS.items()},
    "SkipLayerNormalization": normalization(PER_ELEMENT["layer_norm"] + 1),
    "SkipSimplifiedLayerNormalization": normalization(PER_ELEMENT["rms_norm"] + 1),
    "BiasSoftmax": normalization(PER_ELEMENT["softmax"] + 1),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ArgMax"), reduction),
    **dict.fromkeys(("Gather", "GatherND", "GatherElements"), gather),
    **dict.fromkeys(("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "TransposeMatMul", "FusedMatMulActivation"),
                    node_product),
    **dict.fromkeys(("MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul", "QLinearMatMul", "QGemm"),
                    integer_product),
    "MatMulNBits": packed_product,
    **dict.fromkeys(("Conv", "FusedConv", "NhwcConv", "NhwcFusedConv"), convolution(1)),
    "QLinearConv": convolution(3, integer=True),
    "ConvInteger": convolution(1, integer=True),
    "Attention": attention_node,
    "MultiHeadAttention": attention_call,
}  # fmt: skip
"""ONNX op -> its cost."""
