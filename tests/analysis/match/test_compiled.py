"""Compiled nodes are known by their names, and said to cover modules in few words."""

import pytest

from attrib.analysis.match.compiled import compiled_in_order, compiled_number, covered_modules, is_compiled
from attrib.analysis.match.ops import node_role
from attrib.model.tensor import Tensor
from attrib.model.work import Work


def ran(name: str, op: str, provider: str) -> Work:
    return Work(id=name, engine="onnxruntime", op=op, provider=provider, outputs=(Tensor("int64", (1,)),))


OPENVINO = ran(
    "OpenVINOExecutionProvider_OpenVINO-EP-subgraph_2_1",
    "OpenVINO-EP-subgraph_2",
    "OpenVINOExecutionProvider",
)
COREML = ran("CoreMLExecutionProvider_76_CoreML_76_1_12", "76_CoreML_76_1", "CoreMLExecutionProvider")
PLUGIN = ran("MyPlugin_my_part_0#2", "my_part", "MyPlugin")
UNNUMBERED = ran(
    "TensorrtExecutionProvider_TRTKernel_graph_1_0", "TRTKernel_graph_1_0", "TensorrtExecutionProvider"
)


@pytest.mark.parametrize(
    ("node", "number"),
    [(OPENVINO, 1), (COREML, 12), (PLUGIN, 0), (UNNUMBERED, -1)],
    ids=lambda x: str(x)[:20],
)
def test_a_name_of_provider_op_and_number_is_a_compiled_part(node, number):
    assert is_compiled(node)
    assert compiled_number(node) == number


@pytest.mark.parametrize(
    ("name", "op", "provider"),
    [
        ("node_IsNaN_93", "IsNaN", "CPUExecutionProvider"),
        ("MatMul_1", "MatMul", ""),
        ("CPUExecutionProvider_MatMulish", "MatMul", "CPUExecutionProvider"),
        ("x_", "", "x"),
    ],
)
def test_other_names_are_not(name, op, provider):
    assert not is_compiled(ran(name, op, provider))


def test_a_compiled_part_computes_even_if_it_gives_out_one_integer():
    assert node_role(OPENVINO) == "compute"
    assert node_role(ran("argmax", "ArgMax", "CPUExecutionProvider")) == "shape"


def test_compiled_nodes_are_in_the_order_of_their_numbers():
    assert compiled_in_order([COREML, ran("a", "Add", "x"), OPENVINO, PLUGIN]) == [3, 2, 0]


def test_modules_are_named_layer_by_layer():
    scopes = [
        "",
        "embeddings.norm",
        *(f"encoder.layer.{i}.{part}.x" for i in range(4) for part in ("attn", "out")),
    ]
    assert covered_modules(scopes) == "embeddings, encoder.layer.0 to 3 (attn, out)"
    assert covered_modules([*scopes, "encoder.layer.4.attn"]).endswith("(attn, out), encoder.layer.4 (attn)")


def test_many_modules_are_cut_and_none_is_the_root():
    assert covered_modules([f"m{i}" for i in range(9)]) == "m0, m1, m2, m3, m4, m5 and 3 more"
    assert covered_modules([""]) == "the root module"
