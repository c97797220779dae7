"""Subgraphs of If and Loop: read as part of the graph, with names that stay unique."""

import onnx
from onnx import TensorProto, helper

from attrib.analysis.lineage.components import components
from attrib.analysis.lineage.reader import graph_from_bytes


def value(name: str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])


def body(result: str, *nodes: onnx.NodeProto, weights: tuple[str, ...] = ()) -> onnx.GraphProto:
    tensors = [helper.make_tensor(name, TensorProto.FLOAT, [2], [1.0, 2.0]) for name in weights]
    return helper.make_graph(list(nodes), "body", [], [value(result)], tensors)


def read(*nodes: onnx.NodeProto):
    cond = helper.make_tensor_value_info("cond", TensorProto.BOOL, [])
    graph = helper.make_graph(list(nodes), "g", [value("x"), cond], [value("z")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    return graph_from_bytes(model.SerializeToString(), "m.onnx")


def branching(op: str = "Exp", inner: str = "y"):
    then = body(inner, helper.make_node(op, ["x"], [inner], name="left"))
    other = body(inner, helper.make_node("Neg", ["x"], [inner], name="right"))
    return (
        helper.make_node("If", ["cond"], ["picked"], name="if", then_branch=then, else_branch=other),
        helper.make_node("Relu", ["picked"], ["z"], name="relu"),
    )


def test_both_branches_come_before_the_node_that_holds_them():
    graph = read(*branching())
    assert [(n.name, n.parent, n.branch) for n in graph.nodes] == [
        ("right", 2, "else_branch"),
        ("left", 2, "then_branch"),
        ("if", -1, ""),
        ("relu", -1, ""),
    ]
    assert [n.index for n in graph.nodes] == [0, 1, 2, 3]


def test_values_of_equal_names_in_two_branches_stay_apart():
    right, left, held, _ = read(*branching()).nodes
    assert left.outputs != right.outputs
    assert held.inputs == ("cond", *right.outputs, *left.outputs)


def test_weights_inside_a_branch_are_constants():
    then = body("a", helper.make_node("Mul", ["x", "w"], ["a"]), weights=("w",))
    other = body("b", helper.make_node("Neg", ["x"], ["b"]))
    graph = read(helper.make_node("If", ["cond"], ["z"], then_branch=then, else_branch=other))
    assert "w" in graph.constants
    assert graph.values["w"].shape == (2,)


def test_a_rewrite_inside_a_branch_keeps_the_branches_apart():
    before, after = read(*branching("Exp")), read(*branching("Exp"))
    assert [c.stages for c in components((before, after))] == [
        ((0,), (0,)),
        ((1,), (1,)),
        ((2,), (2,)),
        ((3,), (3,)),
    ]


def test_a_branch_that_the_optimizer_took_out_leaves_the_other_one_matched():
    inlined = read(
        helper.make_node("Exp", ["x"], ["picked"], name="left"), helper.make_node("Relu", ["picked"], ["z"])
    )
    found = [c.stages for c in components((read(*branching()), inlined))]
    assert ((3,), (1,)) in found
    assert any(2 in ours and theirs == (0,) for ours, theirs in found)
