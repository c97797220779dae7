"""Casts and layout changes that some tool put into an exported graph: they name no module, and go with their source."""

import pytest

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X = Tensor("float", (4, 4))
CALLS = (
    Work(id="left", engine="torch", op="aten::relu", scope="left", inputs=(X,)),
    Work(id="move", engine="torch", op="aten::contiguous", scope="between", inputs=(X,)),
    Work(id="right", engine="torch", op="aten::relu", scope="right", inputs=(X,)),
)


def relu(name: str, index: int, source: str) -> GraphNode:
    return GraphNode(
        name=name, index=index, op="Relu", domain="", inputs=(source,), outputs=(f"{name}_y",), scope=name,
        fx_node="relu", fx_target="aten.relu.default",
    )  # fmt: skip


def put_in(name: str, index: int, op: str, source: str) -> GraphNode:
    return GraphNode(name=name, index=index, op=op, domain="", inputs=(source,), outputs=(f"{name}_y",))


def matched(*nodes: GraphNode) -> dict[str, tuple[str, ...]]:
    values = dict.fromkeys(("x", *(name for node in nodes for name in node.outputs)), X)
    graph = Graph(
        nodes=nodes, inputs=("x",), outputs=nodes[-1].outputs, constants=frozenset(), values=values, opset=20
    )
    ran = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in nodes)
    return {node: r.calls for r in regions(CALLS, ran, (graph, graph)) for node in r.nodes}


@pytest.mark.parametrize("op", ["Cast", "Transpose"])
def test_a_pair_that_was_put_in_goes_with_the_node_before_it(op):
    found = matched(
        relu("left", 0, "x"), put_in("a", 1, op, "left_y"), put_in("b", 2, op, "a_y"), relu("right", 3, "b_y")
    )
    assert found == {"left": ("left",), "a": ("left",), "b": ("left",), "right": ("right",)}


def test_what_computes_is_not_carried():
    found = matched(relu("left", 0, "x"), put_in("a", 1, "Erf", "left_y"), relu("right", 2, "a_y"))
    assert found["a"] == ()


def test_a_cast_of_an_input_has_no_node_before_it():
    found = matched(put_in("a", 0, "Cast", "x"), relu("left", 1, "a_y"), relu("right", 2, "left_y"))
    assert found["a"] == ()
