"""Random numbers agree with none: what draws them is matched by module and order, and is work of both sides."""

import pytest

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.analysis.match.step_values import StepValues
from attrib.model.flow import Flow, FlowCall
from attrib.model.tensor import Tensor
from attrib.model.values import CallValues, GraphValue, Values
from attrib.model.work import Work

X = Tensor("float", (128, 64))


def call(op, n=0, scope="", inputs=(X,)):
    return Work(id=f"{scope}/aten::{op}#{n}", engine="torch", op=f"aten::{op}", scope=scope, inputs=inputs)


def graph_of(*rows, scope=""):
    """Name, inputs, output; the op is the name up to its number."""
    nodes = tuple(
        GraphNode(name=name, index=i, op=name.split("_")[0], domain="", inputs=tuple(inputs.split()),
                  outputs=(output,), scope=scope)
        for i, (name, inputs, output) in enumerate(rows)
    )  # fmt: skip
    names = {name for node in nodes for name in (*node.inputs, *node.outputs)}
    return Graph(nodes=nodes, inputs=("x",), outputs=(rows[-1][2],), constants=frozenset({"c", "w"}),
                 values=dict.fromkeys(names, X), opset=17)  # fmt: skip


def found_by(calls, graph, **more):
    ran = tuple(
        Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,), outputs=(X,)) for n in graph.nodes
    )
    found = regions(calls, ran, (graph, graph), **more)
    assert {region.origin for region in found} == {"both"}
    return {call: region.nodes for region in found for call in region.calls}


NORMAL = graph_of(
    ("RandomNormalLike_1", "c", "r"), ("Mul_1", "c r", "m"), ("Add_1", "m c", "n"), ("Add_2", "x n", "s"),
    ("Tanh_1", "s", "y"),
)  # fmt: skip
CALLS = (call("normal", inputs=()), call("add"), call("tanh"))
APART = {
    "/aten::normal#0": ("RandomNormalLike_1", "Mul_1", "Add_1"),
    "/aten::add#0": ("Add_2",),
    "/aten::tanh#0": ("Tanh_1",),
}


@pytest.mark.parametrize("scope", ["", None])
def test_a_draw_and_what_scales_it_are_one_call(scope):
    nodes = [(n.name, " ".join(n.inputs), n.outputs[0]) for n in NORMAL.nodes]
    assert found_by(CALLS, graph_of(*nodes, scope=scope)) == APART


def test_numbers_that_are_nowhere_do_not_make_it_part_of_what_reads_it():
    calls = tuple(
        CallValues(id=work.id, inputs=inputs, outputs=(n + 1,))
        for n, (work, inputs) in enumerate(zip(CALLS, ((), (0, 1), (2,)), strict=True))
    )
    nowhere = {name: GraphValue("numbers") for name in ("r", "m", "n")}
    held = {
        "x": GraphValue("numbers", (0,)),
        "s": GraphValue("numbers", (2,)),
        "y": GraphValue("numbers", (3,)),
    }
    values = Values(kinds=("numbers",) * 4, calls=calls, graphs={"exported.onnx": nowhere | held})
    sources = ((), ((0, 0),), ((1, 0),))
    flow = Flow(calls=tuple(FlowCall(id=w.id, sources=s) for w, s in zip(CALLS, sources, strict=True)))
    assert found_by(CALLS, NORMAL, flow=flow, values=StepValues(values)) == APART


def test_draws_of_one_module_go_by_order_and_kind():
    calls = (call("rand_like"), call("randn_like"), call("randn_like", 1), call("bernoulli"), call("add"))
    graph = graph_of(
        ("RandomUniformLike_1", "x", "a"), ("RandomNormalLike_1", "x", "b"), ("RandomNormalLike_2", "x", "d"),
        ("Bernoulli_1", "x", "e"), ("Add_1", "d e", "y"),
    )  # fmt: skip
    assert found_by(calls, graph) == {
        "/aten::rand_like#0": ("RandomUniformLike_1",),
        "/aten::randn_like#0": ("RandomNormalLike_1",),
        "/aten::randn_like#1": ("RandomNormalLike_2",),
        "/aten::bernoulli#0": ("Bernoulli_1",),
        "/aten::add#0": ("Add_1",),
    }


def test_what_is_drawn_is_no_constant():
    free = input_free_values(NORMAL)
    assert "c" in free
    assert free.isdisjoint({"r", "m", "n"})
