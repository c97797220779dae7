"""Regions: what belongs together, by which evidence, and what stays visible on its own side."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.alignment.cheapest_path import JUMP, OPEN, Moves, cheapest_path
from attrib.analysis.match.candidates import initial_state
from attrib.analysis.match.ops import base_op, call_role, emits, node_role
from attrib.analysis.match.regions import regions
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X = Tensor("float", (1, 128, 768))


def call(scope: str, op: str, order: int = 0, n: int = 0, inputs: tuple[Tensor, ...] = (X,)) -> Work:
    return Work(id=f"{scope}/{op}#{n}", engine="torch", op=op, scope=scope, order=order, inputs=inputs)


def node(name: str, op: str, order: int = 0) -> Work:
    return Work(
        id=name, engine="onnxruntime", op=op, order=order, provider="CPUExecutionProvider", inputs=(X,)
    )


def gnode(i: int, name: str, op: str, inputs: str, outputs: str, **kw: str | None) -> GraphNode:
    return GraphNode(
        name=name,
        index=i,
        op=op,
        domain="",
        inputs=tuple(inputs.split()),
        outputs=tuple(outputs.split()),
        **kw,
    )


def graph(*nodes: GraphNode, constants: str = "w b g") -> Graph:
    values = {name: X for n in nodes for name in (*n.inputs, *n.outputs)}
    return Graph(nodes=nodes, inputs=("x",), outputs=nodes[-1].outputs, constants=frozenset(constants.split()),
                 values=values, opset=20)  # fmt: skip


CALLS = (
    call("dense", "aten::linear"),
    call("dropout", "aten::dropout", 1),
    call("", "aten::add", 2),
    call("norm", "aten::layer_norm", 3),
)
FX = {
    "dense": ("linear", "aten.linear.default"),
    "": ("add", "aten.add.Tensor"),
    "norm": ("ln", "aten.layer_norm.default"),
}


def fx(scope: str) -> dict[str, str]:
    return {"scope": scope, "fx_node": FX[scope][0], "fx_target": FX[scope][1]}


EXPORTED = graph(
    gnode(0, "mm", "MatMul", "x w", "h", **fx("dense")),
    gnode(1, "bias", "Add", "h b", "linear", **fx("dense")),
    gnode(2, "res", "Add", "linear x", "s", **fx("")),
    gnode(3, "ln", "LayerNormalization", "s g", "ln", **fx("norm")),
)
OPTIMIZED = graph(
    gnode(0, "r1", "Reshape", "x c", "r"),
    gnode(1, "gemm", "Gemm", "r w b", "q"),
    gnode(2, "r2", "Reshape", "q c", "linear"),
    gnode(3, "skip", "SkipLayerNormalization", "linear x g", "ln"),
    constants="w b g c",
)
RAN = (
    node("r1", "Reshape"),
    node("gemm", "Gemm", 1),
    node("r2", "Reshape", 2),
    node("skip", "SkipLayerNormalization", 3),
)


def by_calls(found):
    return {r.calls: r for r in found}


def test_fx_nodes_lead_from_calls_to_fused_nodes():
    found = by_calls(regions(CALLS, RAN, (EXPORTED, OPTIMIZED)))
    linear = found["dense/aten::linear#0",]
    assert linear.nodes == ("r1", "gemm", "r2")
    assert linear.exported == ("mm", "bias")
    assert (linear.module, linear.origin, linear.match.method) == ("dense", "both", "fx-node")
    norm = found["/aten::add#0", "norm/aten::layer_norm#0"]
    assert norm.nodes == ("skip",)
    assert norm.module == ""


def test_a_call_that_the_export_dropped_is_visible_as_pytorch_only():
    dropped = by_calls(regions(CALLS, RAN, (EXPORTED, OPTIMIZED)))["dropout/aten::dropout#0",]
    assert (dropped.nodes, dropped.origin, dropped.match.confidence) == ((), "torch", 0.0)


def test_a_node_without_a_call_keeps_its_module_as_evidence():
    found = regions(CALLS[:1], RAN, (EXPORTED, OPTIMIZED))
    alone = next(r for r in found if "skip" in r.nodes)
    assert (alone.calls, alone.origin) == ((), "onnxruntime")
    assert any("fx node ln" in line for line in alone.match.evidence)


def test_every_call_and_node_is_in_exactly_one_region():
    extra = (*RAN, node("inserted", "Cast", 4))
    found = regions(CALLS, extra, (EXPORTED, OPTIMIZED))
    assert sorted(c for r in found for c in r.calls) == sorted(c.id for c in CALLS)
    assert sorted(n for r in found for n in r.nodes) == sorted(n.id for n in extra)
    assert next(r for r in found if r.nodes == ("inserted",)).origin == "unknown"
    assert len({r.id for r in found}) == len(found)


def test_torchscript_names_match_by_scope_and_order_behind_a_wrapper():
    scoped = graph(*(
        gnode(n.index, n.name, n.op, " ".join(n.inputs), " ".join(n.outputs), scope=f"model.{n.scope}".rstrip("."))
        for n in EXPORTED.nodes
    ))  # fmt: skip
    found = by_calls(regions(CALLS, RAN, (scoped, OPTIMIZED)))
    assert found["dense/aten::linear#0",].match.method == "scope-order"
    assert found["/aten::add#0", "norm/aten::layer_norm#0"].nodes == ("skip",)


def test_without_module_names_order_and_shape_still_match_with_low_confidence():
    bare = graph(*(
        gnode(n.index, n.name, n.op, " ".join(n.inputs), " ".join(n.outputs)) for n in EXPORTED.nodes
    ))  # fmt: skip
    found = by_calls(regions(CALLS, RAN, (bare, OPTIMIZED)))
    linear = found["dense/aten::linear#0",]
    assert linear.match.method == "shape-order"
    assert linear.match.confidence <= 0.5
    assert found["dropout/aten::dropout#0",].origin == "unknown"


def test_sizes_that_contradict_lower_the_confidence_and_are_said():
    other = (call("dense", "aten::linear", inputs=(Tensor("float", (9, 9)),)), *CALLS[1:])
    linear = by_calls(regions(other, RAN, (EXPORTED, OPTIMIZED)))["dense/aten::linear#0",]
    assert linear.match.confidence < 0.6
    assert any("SIZES DIFFER" in line for line in linear.match.evidence)


def test_two_runs_of_one_engine_match_by_identity():
    found = regions(CALLS, CALLS)
    assert all(r.match.method == "identity" and r.calls == r.nodes for r in found)


def test_one_engine_alone_gives_regions_without_a_counterpart():
    assert {r.origin for r in regions(CALLS, ())} == {"alone"}


def test_a_missing_call_shifts_no_other_pair():
    """Eager PyTorch skips a view that the export kept: the views after it still meet their own nodes."""
    calls = (call("a", "aten::view", 0), call("a", "aten::gelu", 1), call("a", "aten::view", 2, n=1))
    targets = (("view", "view"), ("view", "view_1"), ("gelu", "gelu"), ("view", "view_2"))
    nodes = [
        gnode(
            i,
            f"n{i}",
            op,
            f"v{i} x",
            f"v{i + 1}",
            scope="a",
            fx_node=name,
            fx_target=f"aten.{target}.default",
        )
        for i, (op, (target, name)) in enumerate(
            zip(("Reshape", "Reshape", "Gelu", "Reshape"), targets, strict=True)
        )
    ]
    ran = tuple(node(n.name, n.op, n.index) for n in nodes)
    found = by_calls(regions(calls, ran, (graph(*nodes), graph(*nodes))))
    assert found["a/aten::view#1",].nodes == ("n3",)
    assert found["a/aten::gelu#0",].nodes == ("n2",)


def test_op_spellings_meet():
    assert base_op("aten::add_") == base_op("aten.add.Tensor") == "add"
    assert base_op("aten::__and__") == base_op("aten.bitwise_and.Tensor") == "bitwise_and"
    assert emits("aten::linear", "Gemm")
    assert not emits("aten::linear", "Softmax")
    assert emits("aten::tanh", "Tanh")


def test_roles_come_from_the_op_and_the_size_of_what_it_makes():
    small = Work(id="g", engine="onnxruntime", op="Gather", outputs=(Tensor("int64", (2,)),))
    assert node_role(small) == "shape"
    assert node_role(node("t", "Transpose")) == "layout"
    assert call_role(call("", "aten::to")) == "cast"
    assert call_role(call("", "aten::linear")) == "compute"


@given(st.integers(1, 4), st.integers(1, 4), st.booleans(), st.randoms(use_true_random=False))
def test_alignment_is_as_cheap_as_brute_force_and_monotone_without_jumps(rows, columns, jumps, random):
    costs = np.array([[random.choice([0, 100, 300]) for _ in range(columns)] for _ in range(rows)])
    skips = np.array([random.choice([10, 50]) for _ in range(columns)], dtype=np.int32)
    stays = np.array([[random.choice([0, 20]) for _ in range(columns)] for _ in range(rows)], dtype=np.int32)
    opens = np.array([random.choice([30, 120]) for _ in range(rows)], dtype=np.int32)

    def step(a, b, r):
        if a == b:
            return stays[r, a]
        return skips[a + 1 : b].sum() if b > a else skips[b:a].sum() + JUMP

    def price(path):
        given = [r for r, column in enumerate(path) if column != OPEN]
        taken = [path[r] for r in given]
        ends = skips[: taken[0]].sum() + skips[taken[-1] + 1 :].sum() if taken else skips.sum()
        cells = sum(opens[r] if c == OPEN else costs[r, c] for r, c in enumerate(path))
        return ends + cells + sum(map(step, taken, taken[1:], given[1:]))

    def allowed(path):
        taken = [column for column in path if column != OPEN]
        return jumps or taken == sorted(taken)

    paths = filter(allowed, product(range(OPEN, columns), repeat=rows))
    moves = Moves(skips, lambda r, inside: stays[r, inside], opens, jumps)
    found = tuple(cheapest_path(lambda r, inside: costs[r, inside], moves))
    assert allowed(found)
    assert price(found) == min(map(price, paths))


def test_a_container_that_is_called_itself_is_named_twice_by_torchscript():
    calls = (call("enc.layer.0.conv", "aten::relu"), call("enc.layer.layer.0.conv", "aten::relu"))
    scopes = ("enc.layer.layer.0.conv", "enc.seq.seq.0.seq.0.1.conv")
    nodes = tuple(
        gnode(i, f"n{i}", "Relu", f"v{i}", f"v{i + 1}", scope=scope) for i, scope in enumerate(scopes)
    )
    assert initial_state(calls, graph(*nodes)).scopes == scopes  # the longer name is known too
    assert initial_state(calls[:1], graph(*nodes)).scopes[0] == "enc.layer.0.conv"
    deeper = (call("enc.seq.0.1.conv", "aten::relu"),)
    assert initial_state(deeper, graph(*nodes)).scopes[1] == "enc.seq.0.1.conv"


def test_a_path_found_in_windows_is_the_whole_one(monkeypatch):
    rows, columns = 400, 300
    costs = np.full((rows, columns), 300)
    costs[np.arange(rows), np.arange(rows) * columns // rows] = 0
    skips, opens = np.full(columns, 10, dtype=np.int32), np.full(rows, 120, dtype=np.int32)
    moves = Moves(
        skips, lambda _, inside: np.zeros(inside.stop - inside.start, dtype=np.int32), opens, jumps=True
    )

    def row(r, inside):
        return costs[r, inside]

    whole = cheapest_path(row, moves)
    for name, value in {"MAX_CELLS": 3000, "WINDOW_ROWS": 40, "WINDOW_COLUMNS": 60}.items():
        monkeypatch.setattr(f"attrib.analysis.match.alignment.cheapest_path.{name}", value)
    assert cheapest_path(row, moves) == whole == [r * columns // rows for r in range(rows)]
