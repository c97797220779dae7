"""The marks by which rewrites are named, against ONNX Runtime itself: with the optimizer off, the mark is gone."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.analysis.lineage.rewrites import rewrites

pytestmark = pytest.mark.engines


def floats(*shape):
    return np.random.default_rng(0).random(shape).astype(np.float32)


def ints(*values):
    return np.array(values, dtype=np.int64)


def scalar(value):
    return np.float32(value)


def model(nodes, inputs, constants, opset=20):
    """`nodes` are `op inputs -> outputs` lines with attributes; `y` is the output."""
    made = []
    for number, (text, attributes) in enumerate(nodes):
        left, _, writes = text.partition(" -> ")
        op, *reads = left.split()
        made.append(helper.make_node(op, reads, writes.split(), name=f"{op}_{number}", **attributes))
    graph = helper.make_graph(
        made, "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


def lines(*texts, **last):
    return [(text, last if text is texts[-1] else {}) for text in texts]


NORM = {"w": floats(8), "b": floats(8)}
CONV = {"w": floats(5, 3, 3, 3), "s": floats(5, 1, 1)}
IMAGE = {"x": [1, 3, 8, 8]}
ERF = ["Div {x} q -> e1", "Erf e1 -> e2", "Add e2 o -> e3", "Mul {x} e3 -> e4", "Mul e4 h -> y"]
ERF_CONSTANTS = {"q": scalar(2**0.5), "o": scalar(1), "h": scalar(0.5)}
MEAN = ["ReduceMean x ax -> m", "Sub x m -> d", "Pow d two -> p", "ReduceMean p ax -> v", "Add v e -> ve",
        "Sqrt ve -> sd", "Div d sd -> n", "Mul n w -> nw", "Add nw b -> y"]  # fmt: skip
RMS = [
    "Pow x two -> p",
    "ReduceMean p ax -> v",
    "Add v e -> ve",
    "Sqrt ve -> sd",
    "Div x sd -> n",
    "Mul n w -> y",
]
STATISTICS = {"ax": ints(-1), "two": scalar(2), "e": scalar(1e-5)}
QUANTIZED = ["DynamicQuantizeLinear x -> a s zp", "MatMulInteger a w zp wz -> i", "Cast i -> c", "Mul s ws -> ms",
             "Mul c ms -> y"]  # fmt: skip
INT8 = {"w": np.ones((8, 3), np.int8), "wz": np.int8(0), "ws": scalar(0.1)}
QDQ = ["QuantizeLinear x s zp -> q", "DequantizeLinear q s zp -> dq", "DequantizeLinear w s wz -> dw",
       "MatMul dq dw -> m", "QuantizeLinear m s zp -> q2", "DequantizeLinear q2 s zp -> y"]  # fmt: skip


def cast_to_float(nodes):
    return [(text, {"to": TensorProto.FLOAT} if text.startswith("Cast") else {}) for text, _ in nodes]


CASES = {
    "MatMulAddFusion": (lines("MatMul x w -> a", "Add a b -> y"), {"x": [2, 4, 8]}, {"w": floats(8, 3), "b": floats(3)}),
    "MatMulScaleFusion": (lines("Mul x k -> a", "MatMul a z -> y"), {"x": [1, 4, 8], "z": [1, 8, 4]}, {"k": scalar(0.3)}),
    "MatmulTransposeFusion": ([("Transpose x -> a", {"perm": [0, 2, 1]}), ("MatMul z a -> y", {})],
                              {"x": [1, 4, 8], "z": [1, 4, 8]}, {}),
    "GemmTransposeFusion": ([("Transpose x -> a", {"perm": [1, 0]}), ("Gemm a w -> y", {})],
                            {"x": [4, 8]}, {"w": floats(4, 3)}),
    "GemmSumFusion": (lines("Gemm x w -> a", "Sum a z -> y"), {"x": [4, 8], "z": [4, 3]}, {"w": floats(8, 3)}),
    "GemmActivationFusion": (lines("Gemm x w b -> a", "Tanh a -> y"), {"x": [4, 8]}, {"w": floats(8, 3), "b": floats(3)}),
    "SkipLayerNormFusion": (lines("Add x z -> a", "LayerNormalization a w b -> y"), {"x": [1, 4, 8], "z": [1, 4, 8]}, NORM),
    "LayerNormFusion": (lines(*MEAN), {"x": [1, 4, 8]}, NORM | STATISTICS),
    "SimplifiedLayerNormFusion": (lines(*RMS), {"x": [1, 4, 8]}, {"w": floats(8)} | STATISTICS),
    "GeluFusion": (lines(*(t.format(x="x") for t in ERF)), {"x": [1, 4, 8]}, ERF_CONSTANTS),
    "BiasGeluFusion": (lines("Add x bb -> x2", *(t.format(x="x2") for t in ERF)), {"x": [1, 4, 8]},
                       ERF_CONSTANTS | {"bb": floats(8)}, 17),
    "QuickGeluFusion": (lines("Mul x k -> a", "Sigmoid a -> b", "Mul x b -> y"), {"x": [1, 4, 8]}, {"k": scalar(1.702)}),
    "GatherSliceToSplitFusion": (
        [("Gather x i0 -> a", {"axis": 0}), ("Gather x i1 -> b", {"axis": 0}), ("Gather x i2 -> c", {"axis": 0}),
         ("Add a b -> d", {}), ("Mul d c -> y", {})],
        {"x": [3, 4, 8]}, {"i0": np.int64(0), "i1": np.int64(1), "i2": np.int64(2)}),
    "ReshapeFusion": (
        [("Transpose x -> a", {"perm": [0, 2, 1, 3]}), ("Reshape a s1 -> b", {}), ("Transpose b -> c", {"perm": [0, 2, 1]}),
         ("Reshape c s2 -> d", {}), ("MatMul q d -> y", {})],
        {"x": [1, 8, 4, 16], "q": [1, 4, 8, 16]}, {"s1": ints(-1, 8, 16), "s2": ints(1, 4, 16, 8)}),
    "NotWhereFusion": (lines("Greater z w -> g", "Not g -> a", "Where a z w -> y"), {"z": [4, 8], "w": [4, 8]}, {}),
    "DivMulFusion": (lines("Div one z -> a", "Mul a x -> y"), {"x": [4, 8], "z": [4, 8]}, {"one": scalar(1)}),
    "Pad_Fusion": (lines("Pad x p -> a", "Conv a w -> y"), IMAGE, CONV | {"p": ints(0, 0, 1, 1, 0, 0, 1, 1)}),
    "ConvBNFusion": (lines("Conv x w -> a", "BatchNormalization a g h i v -> y"), IMAGE,
                     CONV | {"g": floats(5), "h": floats(5), "i": floats(5), "v": floats(5)}),
    "ConvMulFusion": (lines("Conv x w -> a", "Mul a s -> y"), IMAGE, CONV),
    "ConvAddFusion": (lines("Conv x w -> a", "Add a s -> y"), IMAGE, CONV),
    "ConvActivationFusion": (lines("Conv x w -> a", "Relu a -> y"), IMAGE, CONV),
    "NchwcTransformer": (lines("Conv x w -> y"), {"x": [1, 16, 8, 8]}, {"w": floats(32, 16, 3, 3)}),
    "MatMul_BatchNormalization_Fusion": (
        lines("MatMul x w -> a", "BatchNormalization a g h i v -> y"), {"x": [4, 8]},
        {"w": floats(8, 5), "g": floats(5), "h": floats(5), "i": floats(5), "v": floats(5)}),
    "DynamicQuantizeMatMulFusion": (cast_to_float(lines(*QUANTIZED)), {"x": [4, 8]}, INT8),
    "MatMulIntegerToFloatFusion": (cast_to_float(lines(*QUANTIZED)), {"x": [4, 8]}, INT8),
    "QDQSelectorActionTransformer": (
        lines(*QDQ), {"x": [4, 8]},
        {"s": scalar(0.1), "zp": np.uint8(128), "wz": np.int8(0), "w": np.ones((8, 3), np.int8)}),
    "EliminateDropout": (lines("Dropout x -> a", "Mul a a -> y"), {"x": [4, 8]}, {}),
    "EliminateIdentity": (lines("Identity x -> a", "Neg a -> y"), {"x": [4, 8]}, {}),
    "CastElimination": (cast_to_float(lines("Cast x -> a", "Mul a a -> y")), {"x": [4, 8]}, {}),
    "CommonSubexpressionElimination": (lines("Exp x -> a", "Exp x -> b", "Add a b -> y"), {"x": [4, 8]}, {}),
    "ConstantFolding": (lines("Shape x -> s", "Reshape z s -> y"), {"x": [4, 8], "z": [32]}, {}),
}  # fmt: skip

OFF_WITH = {
    "GeluFusion": ("GeluFusionL1", "GeluFusionL2"),
    "LayerNormFusion": ("LayerNormFusionL1", "LayerNormFusionL2"),
    "MatMulIntegerToFloatFusion": ("MatMulIntegerToFloatFusion",),
}
"""Session names of the families that are named without their level."""

WITHOUT = {
    "ConvActivationFusion": ("NchwcTransformer",),
    "ConvBNFusion": ("NchwcTransformer",),
    "ConvMulFusion": ("NchwcTransformer",),
    "MatMulIntegerToFloatFusion": ("DynamicQuantizeMatMulFusion",),
}
"""What hides the work of an optimizer by rewriting its result again."""


def named(case, folder, off):
    """The optimizers that `rewrites` names for what ONNX Runtime makes of the case."""
    import onnxruntime

    nodes, inputs, constants, *opset = case
    made = onnx.shape_inference.infer_shapes(model(nodes, inputs, constants, *opset)).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(made, options, ["CPUExecutionProvider"], disabled_optimizers=list(off))
    after = graph_from_bytes((folder / "optimized.onnx").read_bytes(), "after")
    steps = rewrites(graph_from_bytes(made, "before"), after)
    return {name for step in steps for name in step.by.split(" and ")}


@pytest.mark.parametrize("optimizer", CASES)
def test_a_rewrite_is_credited_to_the_optimizer_without_which_it_does_not_happen(optimizer, tmp_path):
    hidden = WITHOUT.get(optimizer, ())
    assert optimizer in named(CASES[optimizer], tmp_path, hidden)
    off = OFF_WITH.get(optimizer, (optimizer,))
    assert optimizer not in named(CASES[optimizer], tmp_path, (*hidden, *off))
