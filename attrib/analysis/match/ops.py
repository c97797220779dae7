"""What ops are: their role, and which ONNX ops an exporter writes for an aten op.

Tables, not branches. The aten-to-ONNX table lists what torch's two exporters emit; it decides only where no fx node says.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

from attrib.analysis.match.compiled import is_compiled
from attrib.model.work import Work

OpRole = Literal["compute", "layout", "cast", "shape", "memcpy", "quantize"]

OPS_KEPT = 4096
"""Spellings of ops that are remembered: a model has some dozens, and every call and node asks several times."""

SMALL_SHAPE_ELEMENTS = 64
"""An integer tensor of rank at most one and no more elements than this is taken for a shape, axes or an index."""

_NODE_ROLES: dict[str, OpRole] = {
    **dict.fromkeys(("Cast", "CastLike"), "cast"),
    **dict.fromkeys(
        ("Transpose", "Reshape", "Concat", "Slice", "Expand", "Squeeze", "Unsqueeze", "Flatten", "Split", "Identity",
         "Pad", "Tile", "DepthToSpace", "SpaceToDepth", "ReorderInput", "ReorderOutput"), "layout",
    ),
    **dict.fromkeys(("Shape", "Size", "ConstantOfShape", "Range", "Constant"), "shape"),
    **dict.fromkeys(("MemcpyToHost", "MemcpyFromHost"), "memcpy"),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"), "quantize"),
}  # fmt: skip

_CALL_ROLES: dict[str, OpRole] = {
    **dict.fromkeys(("to", "type", "type_as", "float", "half", "bfloat16"), "cast"),
    **dict.fromkeys(
        ("view", "reshape", "transpose", "permute", "t", "expand", "expand_as", "contiguous", "clone", "unsqueeze",
         "squeeze", "slice", "select", "narrow", "split", "chunk", "unbind", "cat", "stack", "flatten", "unflatten",
         "repeat", "as_strided", "movedim", "swapaxes", "pad", "constant_pad_nd", "roll", "flip"), "layout",
    ),
}  # fmt: skip

_SAME_OP = {
    "_to_copy": "to", "and": "bitwise_and", "or": "bitwise_or", "_softmax": "softmax", "_unsafe_view": "view",
    "reshape": "view",
    "slice_copy": "slice", "mm": "matmul", "bmm": "matmul", "true_divide": "div", "native_layer_norm": "layer_norm",
    "_native_batch_norm_legit_no_training": "batch_norm", "native_batch_norm": "batch_norm",
    "cudnn_batch_norm": "batch_norm",
    "_convolution": "convolution", "alias": "view", "sym_size": "size", "concat": "cat",
}  # fmt: skip
"""Spellings of one op: the dispatcher's and the exporter's."""

IDENTITY_OPS = frozenset({
    "dropout", "contiguous", "detach", "alias", "to", "view_as", "clone", "expand", "lift_fresh", "feature_dropout",
    "alpha_dropout", "resolve_conj", "resolve_neg", "is_nonzero", "item",
})  # fmt: skip
"""Calls that compute nothing in inference (or only answer a question), so that an exporter leaves them out."""

_NORMAL = frozenset({"RandomNormal", "RandomNormalLike"})
_UNIFORM = frozenset({"RandomUniform", "RandomUniformLike"})

DRAWS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("normal", "randn", "randn_like"), _NORMAL),
    **dict.fromkeys(("uniform", "rand", "rand_like", "randint", "randint_like"), _UNIFORM),
    "bernoulli": frozenset({"Bernoulli"}) | _UNIFORM,
    "multinomial": frozenset({"Multinomial"}),
    **dict.fromkeys(("dropout", "native_dropout"), frozenset({"Dropout"})),
}
"""Aten ops that draw random numbers (dropout in training only), and the nodes by which exporters draw them."""

_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Cast"})
_SHAPING = frozenset(
    {"Shape", "Gather", "Concat", "Unsqueeze", "Slice", "Cast", "Reshape", "Expand", "ConstantOfShape"}
)
_SOFTMAX = frozenset({"Softmax", "IsNaN", "Where", "LogSoftmax"})
_ATTENTION = (
    frozenset({"MatMul", "Mul", "Add", "Div", "Sqrt", "Transpose", "Where", "Cast", "Attention", "Pow"})
    | _SOFTMAX
)

EMITS: dict[str, frozenset[str]] = {
    "linear": frozenset({"MatMul", "Gemm", "Add"}),
    "addmm": frozenset({"Gemm", "MatMul", "Add"}),
    "matmul": frozenset({"MatMul", "Gemm"}),
    "baddbmm": frozenset({"MatMul", "Add", "Mul"}),
    "scaled_dot_product_attention": _ATTENTION,
    "softmax": _SOFTMAX,
    "log_softmax": frozenset({"LogSoftmax"}),
    "rms_norm": frozenset(
        {"RMSNormalization", "ReduceMean", "Pow", "Sqrt", "Div", "Mul", "Add", "Reciprocal"}
    ),
    "layer_norm": frozenset({"LayerNormalization", "ReduceMean", "Sub", "Pow", "Sqrt", "Div", "Mul", "Add"}),
    "gelu": frozenset({"Gelu", "Erf", "Tanh", "Pow"}) | _ARITHMETIC,
    "embedding": frozenset({"Gather"}),
    "index_select": frozenset({"Gather"}),
    "index": frozenset({"Gather", "GatherND", "Flatten", "Transpose"}) | _ARITHMETIC | _SHAPING,
    "gather": frozenset({"GatherElements"}),
    "view": frozenset({"Reshape"}) | _SHAPING,
    "flatten": frozenset({"Flatten", "Reshape"}) | _SHAPING,
    "transpose": frozenset({"Transpose"}),
    "permute": frozenset({"Transpose"}),
    "t": frozenset({"Transpose"}),
    "expand": frozenset({"Expand", "Where", "Equal", "Mul", "ConstantOfShape", "Shape"}),
    "slice": frozenset({"Slice"}) | _SHAPING,
    "select": frozenset({"Gather", "Slice", "Squeeze"}),
    "unsqueeze": frozenset({"Unsqueeze", "Reshape"}),
    "squeeze": frozenset({"Squeeze", "Reshape"}),
    "cat": frozenset({"Concat"}),
    "stack": frozenset({"Concat", "Unsqueeze", "ConcatFromSequence"}),
    "split": frozenset({"Split", "Slice"}),
    "chunk": frozenset({"Split", "Slice"}),
    "to": frozenset({"Cast"}),
    "bitwise_and": frozenset({"And", "BitwiseAnd"}),
    "bitwise_or": frozenset({"Or", "BitwiseOr"}),
    "logical_not": frozenset({"Not"}),
    "masked_fill": frozenset({"Where", "Cast"}),
    "where": frozenset({"Where"}),
    "ge": frozenset({"GreaterOrEqual", "Less", "Not"}),
    "gt": frozenset({"Greater"}),
    "le": frozenset({"LessOrEqual"}),
    "lt": frozenset({"Less"}),
    "eq": frozenset({"Equal"}),
    "ne": frozenset({"Equal", "Not"}),
    "rsub": frozenset({"Sub", "Mul", "Cast"}),
    "is_nonzero": frozenset({"If"}),
    "all": frozenset({"ReduceMin", "ReduceMax", "Not"}),
    "mean": frozenset({"ReduceMean"}),
    "sum": frozenset({"ReduceSum"}),
    "cumsum": frozenset({"CumSum", "Cast"}),
    "silu": frozenset({"Sigmoid", "Mul"}),
    "conv2d": frozenset({"Conv"}),
    "convolution": frozenset({"Conv", "ConvTranspose"}),
    "conv1d": frozenset({"Conv"}),
    "batch_norm": frozenset({"BatchNormalization"}),
    "max_pool2d": frozenset({"MaxPool"}),
    "adaptive_avg_pool2d": frozenset({"GlobalAveragePool", "ReduceMean"}),
    **DRAWS,
    **dict.fromkeys(("normal", "uniform"), _NORMAL | _UNIFORM | {"Mul", "Add"}),
    **dict.fromkeys(("randint", "randint_like"), _UNIFORM | {"Mul", "Add", "Floor", "Cast"}),
    "bernoulli": DRAWS["bernoulli"] | {"Less", "Cast"},
    "multinomial": DRAWS["multinomial"] | {"Log", "Cast"},
}

READS_BIAS = frozenset({("linear", "Add"), ("addmm", "Add"), ("conv1d", "Add"), ("conv2d", "Add")})
"""Pieces of a call that read its bias: without it, they are another call's."""

WHOLE: dict[str, frozenset[str]] = {
    "linear": frozenset({"MatMul", "Gemm"}),
    "addmm": frozenset({"MatMul", "Gemm"}),
    "baddbmm": frozenset({"MatMul"}),
    "silu": frozenset({"Sigmoid"}),
    "layer_norm": frozenset({"LayerNormalization"}),
    "rms_norm": frozenset({"RMSNormalization"}),
    "gelu": frozenset({"Gelu"}),
    "scaled_dot_product_attention": frozenset({"Attention", "MatMul", "Softmax"}),
    "softmax": frozenset({"Softmax"}),
    "view": frozenset({"Reshape"}),
    "flatten": frozenset({"Flatten"}),
    "slice": frozenset({"Slice"}),
    "expand": frozenset({"Expand"}),
    "index": frozenset({"GatherND"}),
    **DRAWS,
}
"""The ops that stand for an aten op as a whole; the others in `EMITS` are pieces of it, which other calls emit too."""

PRODUCT_CALLS = frozenset(
    {
        "addbmm",
        "addmm",
        "baddbmm",
        "bmm",
        "conv1d",
        "conv2d",
        "conv3d",
        "convolution",
        "linear",
        "matmul",
        "mm",
    }
)
"""Aten ops that are one product of matrices, or one convolution."""

PRODUCT_NODES = frozenset({"Conv", "Gemm", "MatMul"})
"""The ONNX ops that they are exported as; `SPELLED` has what these are called after an optimizer."""

SPELLED: dict[str, str] = {
    **dict.fromkeys(("FusedMatMul", "TransposeMatMul", "QLinearMatMul", "MatMulInteger", "MatMulIntegerToFloat",
                     "DynamicQuantizeMatMul", "MatMulNBits", "MatMulBnb4", "MatMulFpQ4", "FusedMatMulActivation"),
                    "MatMul"),
    **dict.fromkeys(("FusedGemm", "QGemm", "GemmFloat8", "GemmFastGelu"), "Gemm"),
    **dict.fromkeys(("FusedConv", "NhwcConv", "NhwcFusedConv", "QLinearConv", "ConvInteger"), "Conv"),
    **dict.fromkeys(("BiasGelu", "FastGelu", "QuickGelu", "QGelu", "BiasSplitGelu"), "Gelu"),
    **dict.fromkeys(("BiasSoftmax", "QLinearSoftmax"), "Softmax"),
    **dict.fromkeys(("SkipLayerNormalization", "EmbedLayerNormalization", "QSkipLayerNormalization",
                     "QEmbedLayerNormalization", "SkipGroupNorm"), "LayerNormalization"),
    **dict.fromkeys(("SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"), "RMSNormalization"),
    **dict.fromkeys(("MultiHeadAttention", "GroupQueryAttention", "PackedAttention", "QAttention",
                     "PackedMultiHeadAttention", "DecoderMaskedMultiHeadAttention"), "Attention"),
    "QLinearAdd": "Add", "QLinearMul": "Mul", "QLinearConcat": "Concat", "QLinearSigmoid": "Sigmoid",
    "QLinearLeakyRelu": "LeakyRelu", "QLinearWhere": "Where", "QLinearReduceMean": "ReduceMean",
    "QLinearAveragePool": "AveragePool", "QLinearGlobalAveragePool": "GlobalAveragePool",
    "NhwcMaxPool": "MaxPool", "GatherBlockQuantized": "Gather",
}  # fmt: skip
"""ONNX Runtime's own ops, and the ONNX op whose place they take."""


class Fused(NamedTuple):
    """Aten ops that a fused op may have taken in beside its core, in PyTorch's order; alternatives in each place."""

    before: tuple[frozenset[str], ...] = ()
    after: tuple[frozenset[str], ...] = ()


def _before(*ops: str) -> Fused:
    return Fused(before=tuple(frozenset({op}) for op in ops))


_ACTIVATED = Fused(after=(frozenset({
    "relu", "tanh", "sigmoid", "gelu", "leaky_relu", "silu", "hardtanh", "clamp", "relu6", "hardsigmoid", "elu",
}),))  # fmt: skip
_SCALED = Fused(after=(frozenset({"mul", "div"}),))

FUSES: dict[str, Fused] = {
    **dict.fromkeys(("SkipLayerNormalization", "QSkipLayerNormalization", "SkipGroupNorm",
                     "SkipSimplifiedLayerNormalization"), _before("add")),
    **dict.fromkeys(("EmbedLayerNormalization", "QEmbedLayerNormalization"),
                    _before("embedding", "embedding", "add", "embedding", "add")),
    **dict.fromkeys(("Attention", "QAttention", "PackedAttention"), _before("linear", "linear", "linear")),
    "BiasGelu": _before("linear"),
    "BiasSoftmax": _before("add"),
    **dict.fromkeys(("FusedGemm", "FusedConv", "NhwcFusedConv", "FusedMatMulActivation", "GemmFastGelu"), _ACTIVATED),
    "FusedMatMul": _SCALED,
}  # fmt: skip
"""What ONNX Runtime's fused ops take in beside the op whose place they take."""

ONNX_OPS = frozenset().union(*EMITS.values(), _NODE_ROLES, SPELLED, SPELLED.values(), (
    "Relu", "Sigmoid", "LeakyRelu", "Clip", "HardSwish", "HardSigmoid", "Elu", "Selu", "PRelu", "Softplus", "Exp", "Log",
    "Neg", "Abs", "Max", "Min", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd", "ArgMax", "TopK", "Einsum", "Trilu",
    "ScatterND", "ScatterElements", "OneHot", "NonZero", "Resize", "AveragePool", "ConvTranspose", "GroupNormalization",
    "InstanceNormalization", "RotaryEmbedding", "Reciprocal", "Sin", "Cos", "Mod", "Floor", "Round", "If", "Loop", "Xor",
    "LSTM", "GRU", "RNN",
))  # fmt: skip
"""Op types by which the last part of an exporter's node name is known to be one."""


@lru_cache(OPS_KEPT)
def base_op(op: str) -> str:
    """The op behind `aten::add_`, `aten.add.Tensor` or `aten::__and__`: `add`, `add`, `bitwise_and`."""
    name = op.split("::", 1)[-1] if "::" in op else op.removeprefix("aten.").split(".", 1)[0]
    name = name.strip("_") if name.startswith("__") else name.rstrip("_")
    return _SAME_OP.get(name, name)


@lru_cache(OPS_KEPT)
def emits(call_op: str, node_op: str) -> bool:
    """Whether an exporter writes this ONNX op for that aten op."""
    base = base_op(call_op)
    known = EMITS.get(base)
    return node_op.lower() == base.replace("_", "") if known is None else node_op in known


@lru_cache(OPS_KEPT)
def is_whole(call_op: str, node_op: str) -> bool:
    """Whether this ONNX op stands for that aten op as a whole, and not for a piece of it."""
    base = base_op(call_op)
    return emits(call_op, node_op) and (base not in WHOLE or node_op in WHOLE[base])


SEQUENCES = frozenset({
    "scaled_dot_product_attention", "multi_head_attention_forward", "lstm", "gru", "rnn_tanh", "rnn_relu",
})  # fmt: skip
"""Aten ops that are several computations in a row, each of which reads what the one before it made."""


def reads_all(call_op: str) -> bool:
    """Whether a node that stands for this aten op reads what the call reads, and nothing that another node made."""
    return base_op(call_op) not in SEQUENCES


def writes_one(call_op: str) -> bool:
    """Whether exporters write this aten op as a single node."""
    known = EMITS.get(base_op(call_op))
    return known is None or len(known) == 1


def node_role(node: Work) -> OpRole:
    """What an executed node is there for; a compiled part of the graph computes, whatever it gives out."""
    if is_compiled(node):
        return "compute"
    small = all(t.dtype in ("int64", "int32") and len(t.shape) <= 1 and t.elements <= SMALL_SHAPE_ELEMENTS
                for t in node.outputs)  # fmt: skip
    if node.outputs and small and node.op not in ("MemcpyToHost", "MemcpyFromHost"):
        return "shape"
    return onnx_role(node.op)


def onnx_role(op: str) -> OpRole:
    """What an ONNX op is there for, going by its name alone."""
    return _NODE_ROLES.get(op, "compute")


def call_role(call: Work) -> OpRole:
    """What a PyTorch call is there for; a compiled kernel computes as soon as one of the ops that it covers does."""
    roles = [op_role(member.op) for member in call.members] or [op_role(call.op)]
    return "compute" if "compute" in roles else roles[0]


@lru_cache(OPS_KEPT)
def op_role(op: str) -> OpRole:
    """What an aten op is there for."""
    return _CALL_ROLES.get(base_op(op), "compute")


def computes(call: Work) -> bool:
    """Whether a PyTorch call computes something in inference: no view, no cast, no dropout."""
    return call_role(call) == "compute" and base_op(call.op) not in IDENTITY_OPS


def role(work: Work) -> OpRole:
    """What a unit of work of either engine is there for."""
    return call_role(work) if work.engine == "torch" else node_role(work)


def is_product_op(node_op: str) -> bool:
    """Whether a node is a product of matrices or a convolution, whatever it took in."""
    return SPELLED.get(node_op, node_op) in PRODUCT_NODES
