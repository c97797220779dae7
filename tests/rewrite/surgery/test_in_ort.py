"""What ONNX Runtime takes out by itself at level `all`, and what it leaves to the surgeries."""

import onnx
import onnxruntime as ort
import pytest

from tests.rewrite.surgery.graphs import FLOAT, N, const, model_of
from tests.rewrite.surgery.test_surgery import BACK, BACK_U, CASTS, FLAT, ROUND, ROUND_U, SHAPES, TURN, pair

pytestmark = pytest.mark.engines

GONE = ["Relu", "Abs"]
BY_ITSELF = {
    "cast pair": (pair(*CASTS), GONE),
    "transpose pair": (pair(TURN, BACK), GONE),
    "transpose pair around a node": (pair(TURN, BACK_U, [N("Neg", ["t"], ["u"])]), ["Relu", "Neg", "Abs"]),
    "duplicates": (
        [N("Exp", ["x"], ["a"]), N("Exp", ["x"], ["b"]), N("Add", ["a", "b"], ["y"])],
        ["Exp", "Add"],
    ),
}
LEFT = {
    "reshape pair, as one reshape": (pair(FLAT, ROUND), ["Relu", "Reshape", "Abs"]),
    "reshape pair around a node": (
        pair(FLAT, ROUND_U, [N("Exp", ["t"], ["u"])]),
        ["Relu", "Reshape", "Exp", "Reshape", "Abs"],
    ),
    "squeeze of an unsqueeze": (
        pair(N("Unsqueeze", ["r", "one"], ["t"]), N("Squeeze", ["t", "one"], ["m"])),
        ["Relu", "Unsqueeze", "Squeeze", "Abs"],
    ),
    "guard": (
        pair(
            N("Softmax", ["r"], ["t"]),
            N("Where", ["n", "zero", "t"], ["m"]),
            [N("IsNaN", ["t"], ["n"])],
        ),
        ["Relu", "Softmax", "IsNaN", "Where", "Abs"],
    ),
    "double island": (
        pair(CASTS[0], N("Cast", ["u"], ["m"], to=FLOAT), [N("Exp", ["t"], ["u"])]),
        ["Relu", "Cast", "Exp", "Cast", "Abs"],
    ),
    "einsum": ([N("Einsum", ["x", "w"], ["y"], equation="bsh,oh->bso")], ["Einsum"]),
}


@pytest.mark.parametrize("case", [*BY_ITSELF, *LEFT])
def test_what_onnxruntime_leaves_of_each_form(tmp_path, case):
    nodes, left = (BY_ITSELF | LEFT)[case]
    constants = (*SHAPES, const("zero", 0.0), const("w", [[1.0] * 4] * 5))
    used = {name for node in nodes for name in node.input}
    model = model_of(nodes, [("y", FLOAT)], constants=[c for c in constants if c.name in used])
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    assert [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node] == left
