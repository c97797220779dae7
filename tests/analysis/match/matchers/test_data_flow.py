"""Whose result a call reads decides where order and size cannot."""

import pytest

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.model.flow import Flow, FlowCall
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X = Tensor("float", (1, 8, 8))


def call(scope: str, op: str, n: int = 0) -> Work:
    return Work(id=f"{scope}/aten::{op}#{n}", engine="torch", op=f"aten::{op}", scope=scope, inputs=(X,))


CALLS = (
    call("proj", "linear"), call("", "split"), call("", "view"), call("", "view", 1), call("", "contiguous"),
    call("", "view", 2), call("", "add"), call("", "mul"),
)  # fmt: skip
SOURCES = ((), ((0, 0),), ((1, 0),), ((1, 1),), ((3, 0),), ((1, 2),), ((2, 0), (4, 0)), ((6, 0), (5, 0)))
FLOW = Flow(calls=tuple(FlowCall(id=c.id, sources=s) for c, s in zip(CALLS, SOURCES, strict=True)))


def exported(*, fx: bool = False) -> Graph:
    """The views in another order than PyTorch ran them: that of the third part first, that of the first part last."""
    rows = (
        ("m", "MatMul", "x w", "p", "proj", "linear"), ("s", "Split", "p", "a b c", "", "split"),
        ("vc", "Reshape", "c k", "c2", "", "view"), ("vb", "Reshape", "b k", "b2", "", "view"),
        ("va", "Reshape", "a k", "a2", "", "view"),
        ("sum", "Add", "a2 b2", "t", "", "add"), ("o", "Mul", "t c2", "y", "", "mul"),
    )  # fmt: skip
    nodes = tuple(
        GraphNode(name=name, index=i, op=op, domain="", inputs=tuple(ins.split()), outputs=tuple(outs.split()), scope=scope,
                  fx_node=f"{target}_{i}" if fx else "", fx_target=f"aten.{target}.default" if fx else "")
        for i, (name, op, ins, outs, scope, target) in enumerate(rows)
    )  # fmt: skip
    return Graph(
        nodes=nodes, inputs=("x",), outputs=("y",), constants=frozenset({"w", "k"}), values={}, opset=17
    )


def matched(graph: Graph, flow: Flow | None) -> dict[str, set[str]]:
    ran = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in graph.nodes)
    found = regions(CALLS, ran, (graph, graph), flow=flow)
    return {node: {c.removeprefix("/aten::") for c in r.calls} for r in found for node in r.nodes}


@pytest.mark.parametrize("fx", [False, True])
def test_views_follow_the_part_that_they_read(fx):
    found = matched(exported(fx=fx), FLOW)
    assert found["va"] == {"view#0"}
    assert found["vb"] == {"view#1", "contiguous#0"}
    assert found["vc"] == {"view#2"}
    assert found["sum"] == {"add#0"}


def test_without_the_flow_order_would_have_swapped_them():
    assert matched(exported(), None)["va"] != {"view#0"}


def test_the_method_and_its_reason_are_said():
    graph = exported()
    ran = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in graph.nodes)
    (region,) = (r for r in regions(CALLS, ran, (graph, graph), flow=FLOW) if "va" in r.nodes)
    assert region.match.method == "data-flow"
    assert region.match.confidence > 0.9
    assert "reads what aten::view reads" in region.match.evidence[0]


def test_a_call_that_passes_a_result_on_goes_with_it():
    assert "contiguous#0" in matched(exported(), FLOW)["vb"]


def test_calls_that_the_profile_does_not_hold_are_looked_through():
    hidden = FlowCall(id="/aten::detach#0", sources=((1, 0),))
    calls = [*FLOW.calls[:2], hidden, *FLOW.calls[2:]]
    shifted = [
        FlowCall(id=c.id, sources=tuple((at + (at > 1), place) for at, place in c.sources))
        if c is not hidden
        else c
        for c in calls
    ]
    shifted[3] = FlowCall(id="/aten::view#0", sources=((2, 0),))
    assert matched(exported(), Flow(calls=tuple(shifted)))["sum"] == {"add#0"}


def test_a_flow_that_points_nowhere_is_harmless():
    wild = Flow(calls=tuple(FlowCall(id=c.id, sources=((99, 0), (-5, 7))) for c in CALLS))
    assert set(matched(exported(), wild)) == {n.name for n in exported().nodes}


def test_what_depends_on_no_input_is_explained():
    free = Flow(calls=(FlowCall(id="/aten::arange#0", fed=False),))
    graph = exported()
    ran = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in graph.nodes)
    found = regions((*CALLS, call("", "arange")), ran, (graph, graph), flow=free)
    (region,) = (r for r in found if "/aten::arange#0" in r.calls)
    assert (region.origin, region.match.method) == ("torch", "folded")
    assert "the export stored the result" in region.match.evidence[0]


def test_results_that_are_read_twice_do_not_double_the_way():
    """Forty squares in a row, none of them linked: two ways up from each."""
    rows = [("Mystery", f"v{i} v{i}", f"v{i + 1}") for i in range(40)] + [("Reshape", "v40 k", "y")]
    nodes = tuple(
        GraphNode(
            name=f"n{i}", index=i, op=op, domain="", inputs=tuple(ins.split()), outputs=(out,), scope="m"
        )
        for i, (op, ins, out) in enumerate(rows)
    )
    graph = Graph(
        nodes=nodes, inputs=("v0",), outputs=("y",), constants=frozenset({"k"}), values={}, opset=17
    )
    calls = (*(call("m", "square", i) for i in range(40)), call("m", "view"))
    flow = Flow(
        calls=tuple(
            FlowCall(id=c.id, sources=((i - 1, 0), (i - 1, 1)) if i else ()) for i, c in enumerate(calls)
        )
    )
    ran = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in nodes)
    found = regions(calls, ran, (graph, graph), flow=flow)
    assert sorted(c for r in found for c in r.calls) == sorted(c.id for c in calls)
