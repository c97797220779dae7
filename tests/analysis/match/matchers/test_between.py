"""What lies between the same neighbors is the same work, whatever it is called on either side."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.model.flow import Flow, FlowCall
from attrib.model.region import Region
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X = Tensor("float", (4, 8, 8))

Call = tuple[str, tuple[int, ...]]
"""`op` and the calls that it reads."""


def matched(calls: Sequence[Call], nodes: Sequence[tuple[str, str, str]], outputs: str = "y") -> list[Region]:
    """Regions of calls and of nodes `(op, inputs, outputs)`, all in the root module; `x` is the model's input."""
    ours = tuple(
        Work(id=f"/aten::{op}#0", engine="torch", op=f"aten::{op}", scope="", inputs=(X,)) for op, _ in calls
    )
    sources = (
        FlowCall(id=w.id, sources=tuple((i, 0) for i in its)) for w, (_, its) in zip(ours, calls, strict=True)
    )
    graph = Graph(
        nodes=tuple(
            GraphNode(name=f"{i} {op}", index=i, op=op, domain="", inputs=tuple(ins.split()), outputs=tuple(outs.split()),
                      scope="")
            for i, (op, ins, outs) in enumerate(nodes)
        ),
        inputs=("x",), outputs=tuple(outputs.split()), constants=frozenset({"w", "k"}), values={}, opset=18,
    )  # fmt: skip
    ran = tuple(Work(id=node.name, engine="onnxruntime", op=node.op, inputs=(X,)) for node in graph.nodes)
    return list(regions(ours, ran, (graph, graph), ran=True, flow=Flow(calls=tuple(sources))))


def together(found: Sequence[Region]) -> set[tuple[frozenset[str], frozenset[str]]]:
    def names(ids: Sequence[str]) -> frozenset[str]:
        return frozenset(name.removeprefix("/aten::").partition("#")[0].split(" ")[-1] for name in ids)

    return {(names(region.calls), names(region.nodes)) for region in found}


def pair(calls: str, nodes: str) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(calls.split()), frozenset(nodes.split())


def test_a_fused_attention_is_the_nodes_between_its_neighbors():
    found = matched(
        [("linear", ()), ("_native_multi_head_attention", (0,)), ("relu", (1,))],
        [
            ("MatMul", "x w", "a"), ("Einsum", "a a", "s"), ("Softmax", "s", "p"), ("Einsum", "p a", "c"),
            ("Relu", "c", "y"),
        ],
    )  # fmt: skip
    assert pair("_native_multi_head_attention", "Einsum Softmax") in together(found)
    (region,) = (r for r in found if "1 Einsum" in r.nodes)
    assert (region.match.method, region.origin) == ("neighbors", "both")
    assert "read what aten::_native_multi_head_attention reads" in region.match.evidence[0]


@pytest.mark.parametrize(("op", "node"), [("pixel_shuffle", "DepthToSpace"), ("index_add", "ScatterND")])
def test_the_last_op_goes_with_the_node_that_gives_the_output(op, node):
    found = matched([("conv2d", ()), (op, (0,))], [("Conv", "x w", "a"), (node, "a k", "y")])
    assert together(found) == {pair("conv2d", "Conv"), pair(op, node)}


def test_a_model_of_one_unknown_op_is_one_region():
    assert together(matched([("fft_rfft", ())], [("DFT", "x k", "y")])) == {pair("fft_rfft", "DFT")}


def test_two_branches_with_unknown_ops_are_told_apart_by_their_sources():
    found = matched(
        [("relu", ()), ("sigmoid", ()), ("foo", (0,)), ("bar", (1,)), ("add", (2, 3))],
        [
            ("Relu", "x", "a"), ("Sigmoid", "x", "b"), ("Bar", "b", "d"), ("Foo", "a", "c"), ("Foo2", "c", "e"),
            ("Add", "e d", "y"),
        ],
    )  # fmt: skip
    assert {pair("foo", "Foo Foo2"), pair("bar", "Bar")} <= together(found)


def test_where_two_answers_are_as_good_none_is_given():
    found = matched(
        [("relu", ()), ("foo", (0,)), ("bar", (0,)), ("add", (1, 2))],
        [("Relu", "x", "a"), ("One", "a", "b"), ("Two", "a", "c"), ("Add", "b c", "y")],
    )
    assert not any(
        region.calls and region.nodes for region in found if {"1 One", "2 Two"} & set(region.nodes)
    )


def test_layers_that_share_a_mask_are_one_region_rather_than_none():
    found = matched(
        [("relu", ()), ("attend", (0,)), ("sigmoid", (1,)), ("attend2", (2,)), ("tanh", (3,))],
        [
            ("Relu", "x", "a"), ("Expand", "mask k", "m"), ("One", "a m", "b"), ("Sigmoid", "b", "c"), ("Two", "c m", "d"),
            ("Tanh", "d", "y"),
        ],
    )  # fmt: skip
    assert pair("attend attend2", "Expand One Two") in together(found)


def test_a_no_op_takes_over_no_guard():
    found = matched(
        [("relu", ()), ("dropout", (0,)), ("sigmoid", (1,))],
        [("Relu", "x", "a"), ("IsNaN", "a", "n"), ("Where", "n k a", "g"), ("Sigmoid", "g", "y")],
    )
    assert pair("", "IsNaN Where") in together(found) or pair("", "IsNaN") in together(found)


@given(
    st.lists(st.sampled_from(["relu", "foo", "bar", "dropout", "view", "sigmoid"]), min_size=1, max_size=12)
)
def test_every_call_and_node_of_a_chain_is_in_one_region(ops):
    written = {"relu": "Relu", "sigmoid": "Sigmoid", "foo": "Foo", "bar": "Bar", "view": "Reshape"}
    calls = [(op, (i - 1,) if i else ()) for i, op in enumerate(ops)]
    kept = [written[op] for op in ops if op in written]
    ours = tuple(
        Work(id=f"/aten::{op}#{i}", engine="torch", op=f"aten::{op}", scope="", inputs=(X,))
        for i, op in enumerate(ops)
    )
    flow = Flow(
        calls=tuple(
            FlowCall(id=w.id, sources=tuple((i, 0) for i in its))
            for w, (_, its) in zip(ours, calls, strict=True)
        )
    )
    nodes = tuple(
        GraphNode(
            name=f"n{i}",
            index=i,
            op=op,
            domain="",
            inputs=(f"v{i}" if i else "x",),
            outputs=(f"v{i + 1}",),
            scope="",
        )
        for i, op in enumerate(kept)
    )
    graph = Graph(
        nodes=nodes, inputs=("x",), outputs=(f"v{len(kept)}",), constants=frozenset(), values={}, opset=18
    )
    ran = tuple(Work(id=node.name, engine="onnxruntime", op=node.op, inputs=(X,)) for node in nodes)
    if not ran:
        return
    found = regions(ours, ran, (graph, graph), ran=True, flow=flow)
    assert sorted(name for region in found for name in region.calls) == sorted(w.id for w in ours)
    assert sorted(name for region in found for name in region.nodes) == sorted(w.id for w in ran)
    assert all(region.calls for region in found if region.nodes)
