"""What names of executed nodes say, and the order that their numbers give."""

import pytest

from attrib.analysis.match.from_profile import export_orders, graph_from_work, node_name_parts, wrappers
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X, FLAT, VECTOR = Tensor("float", (1, 48, 256)), Tensor("float", (48, 256)), Tensor("float", (256,))


def node(order: int, name: str, op: str, index: int = -1, inputs=(X,), outputs=(X,)) -> Work:
    return Work(
        id=name, engine="onnxruntime", op=op, order=order, node_index=index, inputs=inputs, outputs=outputs
    )


@pytest.mark.parametrize(
    ("name", "op", "made", "scope", "stem", "number"),
    [
        ("node_MatMul_45", "MatMul", False, None, "node_MatMul", 45),
        ("node_MatMul_45/MatMulAddFusion", "Gemm", True, None, "node_MatMul", 45),
        ("fused node_linear_72", "FusedGemm", True, None, "node_linear", 72),
        ("node_gelu", "Gelu", False, None, "node_gelu", -1),
        ("SkipLayerNormalization_token_460", "SkipLayerNormalization", True, None, "", -1),
        ("Transpose", "Transpose", True, None, "", -1),
        ("gemm_input_reshape_token_9", "Reshape", True, None, "", -1),
        ("/encoder/layer.0/attention/self/Reshape_1", "Reshape", False, "encoder.layer.0.attention.self",
         "/encoder/layer.0/attention/self/Reshape", 1),
        ("/embeddings/LayerNorm/Mul/LayerNormFusion/", "LayerNormalization", True, "embeddings.LayerNorm",
         "/embeddings/LayerNorm/Mul", -1),
        ("/layer.0/query/MatMul/MatMulScaleFusion/", "FusedMatMul", True, "layer.0.query", "/layer.0/query/MatMul", -1),
        ("", "Add", True, None, "", -1),
        ("x/y", "Add", False, None, "x/y", -1),
        ("a" + "9" * 5000, "Add", False, None, "a", int("9" * 18)),
    ],
)  # fmt: skip
def test_a_name_says_its_member_its_module_and_its_number(name, op, made, scope, stem, number):
    parts = node_name_parts(name, op)
    assert (parts.made, parts.scope, parts.stem, parts.number) == (made, scope, stem, number)


def test_node_numbers_give_the_order_of_export_without_what_onnx_runtime_made():
    nodes = [
        node(0, "k", "MatMul", 3), node(1, "gemm_input_reshape", "Reshape", 40), node(2, "q", "MatMul", 2),
        node(3, "s", "Softmax", 5), node(4, "v", "MatMul", 4), node(5, "o", "MatMul", 6), node(6, "n", "Add", 7),
        node(7, "m", "Add", 8), node(8, "l", "Add", 9), node(9, "j", "Add", 10),
    ]  # fmt: skip
    assert export_orders(nodes) == ((2, 0, 4, 3, 5, 6, 7, 8, 9),)


def test_numbers_that_do_not_rise_with_execution_are_no_order():
    counted_per_op = [node(i, f"MatMul_{number}", "MatMul") for i, number in enumerate((7, 1, 5, 0, 3, 2))]
    assert export_orders(counted_per_op) == ()
    counted_globally = [
        node(i, f"MatMul_{number}", "MatMul") for i, number in enumerate((1, 0, 2, 3, 4, 5, 6))
    ]
    assert export_orders(counted_globally) == ((1, 0, 2, 3, 4, 5, 6),)
    assert export_orders([node(i, f"MatMul_{i}", "MatMul") for i in range(6)]) == ()  # nothing new


def test_reshapes_around_a_gemm_belong_to_it_and_the_models_own_do_not():
    calls = (
        Work(id="l", engine="torch", op="aten::linear", inputs=(X, Tensor("float", (256, 256)), VECTOR)),
    )
    nodes = [
        node(0, "norm", "LayerNormalization"),
        node(1, "gemm_input_reshape", "Reshape", inputs=(X,), outputs=(FLAT,)),
        node(2, "m/MatMulAddFusion", "Gemm", inputs=(FLAT, VECTOR), outputs=(FLAT,)),
        node(3, "gemm_output_reshape", "Reshape", inputs=(FLAT,), outputs=(X,)),
        node(4, "node_view", "Reshape", inputs=(X,), outputs=(Tensor("float", (1, 48, 4, 64)),)),
    ]
    assert wrappers(calls, nodes) == {1: 2, 3: 2}


def test_the_graph_of_a_profile_knows_types_and_scopes_and_no_flow():
    graph = graph_from_work([node(0, "/a/MatMul", "MatMul"), node(1, "twice#1", "Add", inputs=())])
    assert [n.scope for n in graph.nodes] == ["a", None]
    assert graph.values[graph.nodes[0].inputs[0]] == X
    assert not {*graph.nodes[0].outputs} & {*graph.nodes[1].inputs}
