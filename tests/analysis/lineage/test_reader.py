"""Reading ONNX files: metadata of both exporters, types, and files that are none."""

import onnx
import pytest
from onnx import TensorProto, helper

from attrib.analysis.lineage.reader import graph_from_bytes, scope_from_name, scopes_from_metadata
from attrib.errors import AttribError
from attrib.model.tensor import Tensor


def model_bytes(node: onnx.NodeProto) -> bytes:
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "n"])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    w = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    graph = helper.make_graph([node], "g", [x], [y], [w])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)]).SerializeToString()


def test_dynamo_metadata_gives_scope_and_fx_node():
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="node_MatMul_1")
    for key, value in {
        "pkg.torch.onnx.name_scopes": "['', 'encoder', 'encoder.layer.0', 'linear_4']",
        "pkg.torch.onnx.fx_node": "%linear_4 : [num_users=1] = call_function[target=torch.ops.aten.linear.default]()",
    }.items():
        node.metadata_props.add(key=key, value=value)
    found = graph_from_bytes(model_bytes(node), "m.onnx").nodes[0]
    assert (found.scope, found.fx_node, found.fx_target) == (
        "encoder.layer.0",
        "linear_4",
        "aten.linear.default",
    )


def test_types_initializers_and_opset_are_read():
    graph = graph_from_bytes(model_bytes(helper.make_node("MatMul", ["x", "w"], ["y"])), "m.onnx")
    assert graph.values["x"] == Tensor("float", (1, -1))
    assert graph.values["w"] == Tensor("float", (2,))
    assert (graph.constants, graph.inputs, graph.opset) == (frozenset({"w"}), ("x",), 20)


@pytest.mark.parametrize(
    ("name", "op", "scope"),
    [
        ("/encoder/layer.0/output/dense/MatMul", "MatMul", "encoder.layer.0.output.dense"),
        ("/Cast_2", "Cast", ""),
        ("/encoder/layer.0/MatMul/MatMulAddFusion", "Gemm", None),
        ("node_linear_4", "MatMul", None),
        ("", "MatMul", None),
        ("/../../etc/passwd", "MatMul", None),
    ],
)
def test_torchscript_names_give_a_scope_only_in_their_own_form(name, op, scope):
    assert scope_from_name(name, op) == scope


@pytest.mark.parametrize("text", ["", "__import__('os')", "[1, 2]", "{", "(" * 5000, "'x'"])
def test_foreign_scope_metadata_is_ignored(text):
    assert scopes_from_metadata(text) == []


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"not a model at all", bytes(range(256))])
def test_what_is_no_model_is_one_line(data):
    with pytest.raises(AttribError, match=r"m\.onnx: not an ONNX model"):
        graph_from_bytes(data, "m.onnx")


@pytest.mark.parametrize(("ir_version", "overridable"), [(3, set()), (4, {"w"}), (10, {"w"})])
def test_initializers_that_are_inputs_may_be_replaced_since_ir_version_4(ir_version, overridable):
    weight = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("x", "w", "y")]
    body = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["y"])], "g", values[:2], values[2:], initializer=[weight]
    )
    model = helper.make_model(body, ir_version=ir_version)
    found = graph_from_bytes(model.SerializeToString(), "g.onnx")
    assert found.overridable == overridable
    assert found.inputs == ("x",)
