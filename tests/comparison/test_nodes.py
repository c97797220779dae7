"""Two builds that ran one graph: nodes are matched through it, and what changed sums exactly."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.comparison import nodes as module
from attrib.comparison.nodes import BuildRun, compare_nodes
from attrib.errors import AttribError
from attrib.model.experiment import BuildComparison
from attrib.model.tensor import Tensor
from attrib.model.work import Partition, Work

STEPS_OF_A_ROUND, LAUNCHES = 4, {number: number // 2 for number in range(8)}
US = 1000


def graph(*nodes, scopes=None):
    """A graph of `(name, op, inputs, outputs)`; it reads `x`, and whatever begins with w is a weight."""
    made = tuple(
        GraphNode(
            name=name, index=index, op=op, domain="", inputs=inputs, outputs=outputs, scope=(scopes or {}).get(name)
        )
        for index, (name, op, inputs, outputs) in enumerate(nodes)
    )  # fmt: skip
    weights = frozenset(name for node in made for name in node.inputs if name.startswith("w"))
    return Graph(
        nodes=made, inputs=("x",), outputs=(made[-1].outputs[-1],), constants=weights,
        values={name: Tensor("float", (8, 8)) for name in weights}, opset=20,
    )  # fmt: skip


def layers(count, *, fused=False):
    """Layers of a product, an addition and a Relu; where they are fused, the first two are a Gemm."""
    found, value = [], "x"
    for i in range(count):
        if fused:
            found.append((f"mm{i}/MatMulAddFusion", "Gemm", (value, f"w{i}", f"wb{i}"), (f"a{i}",)))
        else:
            found.append((f"mm{i}", "MatMul", (value, f"w{i}"), (f"p{i}",)))
            found.append((f"add{i}", "Add", (f"p{i}", f"wb{i}"), (f"a{i}",)))
        found.append((f"relu{i}", "Relu", (f"a{i}",), (f"r{i}",)))
        value = f"r{i}"
    scopes = {f"{kind}{i}": f"layer.{i}" for i in range(count) for kind in ("mm", "add", "relu")}
    return graph(*found, scopes=scopes)


def run_of(made, ns, *, version="1.0", saved=True, rounds=8, seed=0):
    """A build that ran this graph; `ns` is what each node takes, or a function of the node."""
    steps = rounds * STEPS_OF_A_ROUND
    noise = np.random.default_rng(seed).integers(0, 20, size=(len(made.nodes), steps))
    times = np.array([ns(node) if callable(ns) else ns for node in made.nodes])
    work_ns = times[:, None] + noise
    outside = np.full((3, steps), 5 * US)
    works = tuple(
        Work(id=node.name, engine="onnxruntime", op=node.op, order=node.index) for node in made.nodes
    )
    partition = Partition(
        engine="onnxruntime", work=works, parts=("ort executor", "ort session", "ort api"), work_ns=work_ns,
        parts_ns=outside, walls_ns=work_ns.sum(axis=0) + outside.sum(axis=0),
        blocks=np.repeat(np.arange(rounds), STEPS_OF_A_ROUND), inside=np.zeros(1, int), outside=np.zeros(1, int),
        scopes=np.zeros(1, int),
    )  # fmt: skip
    return BuildRun(
        package="onnxruntime", version=version, python="3.11.0", partition=partition,
        optimized=made if saved else None,
    )  # fmt: skip


def compared(before, after, exported, **options):
    return compare_nodes(before, after, (exported,), LAUNCHES, **options)


def assert_exact(found: BuildComparison):
    """Every nanosecond of either build's nodes is in one entry."""
    before = sum(change.before.ns for change in found.changes) + found.left_out_before_ns
    after = sum(change.after.ns for change in found.changes) + found.left_out_after_ns
    assert (before, after) == (found.before.node_ns, found.after.node_ns)
    assert all(c.change_ns.median == c.after.ns - c.before.ns for c in found.changes)


def test_same_build_shows_no_certain_change_and_one_row_for_layers_that_are_alike():
    exported = layers(12)
    found = compared(run_of(exported, 50 * US), run_of(exported, 50 * US, seed=1), exported)
    assert_exact(found)
    assert found.same
    assert not any(change.certain or change.rewritten for change in found.changes)
    assert [(c.module, c.exported, c.count) for c in found.changes] == [
        ("layer.*", change.exported, 12) for change in found.changes
    ]
    assert {change.exported for change in found.changes} == {("MatMul",), ("Add",), ("Relu",)}
    assert (found.before.nodes, found.before.outside_ns) == (36, 15 * US)


def test_fusion_that_only_one_build_has_is_one_row_that_says_who_fused():
    exported = layers(3)
    before = run_of(exported, 50 * US)
    found = compared(before, run_of(layers(3, fused=True), 50 * US, version="2.0"), exported)
    assert_exact(found)
    fused, relu = found.changes
    assert (fused.before.ops, fused.after.ops) == (("Add", "MatMul"), ("Gemm",))
    assert (fused.rewritten, fused.certain, fused.count) == (True, True, 3)
    assert fused.before.rewrites == ()
    assert fused.after.rewrites == ("MatMul + Add → Gemm by MatMulAddFusion",)
    assert fused.after.nodes == tuple(f"mm{i}/MatMulAddFusion" for i in range(3))
    assert abs(fused.change_ns.median + 150 * US) < US
    assert (relu.rewritten, relu.certain) == (False, False)


def test_slower_kernel_is_the_first_row():
    exported = layers(6)
    slow = run_of(exported, lambda node: 80 * US if node.op == "Relu" else 50 * US, version="2.0")
    found = compared(run_of(exported, 50 * US), slow, exported)
    assert_exact(found)
    assert (found.changes[0].after.ops, found.changes[0].certain) == (("Relu",), True)
    assert [change.certain for change in found.changes[1:]] == [False, False]
    change = found.changes[0].change_ns
    assert change.low < 180 * US < change.high


def test_nothing_is_certain_where_most_rounds_were_disturbed():
    exported = layers(2)
    found = compared(run_of(exported, 50 * US), run_of(exported, 90 * US), exported, fair=False)
    assert found.changes[0].change_ns.low > 0
    assert not any(change.certain for change in found.changes)


@pytest.mark.parametrize("both", [False, True])
def test_build_that_saves_no_graph_is_matched_by_name(both):
    exported = layers(2)
    before = run_of(exported, 50 * US, saved=not both)
    found = compared(before, run_of(layers(2, fused=True), 50 * US, saved=False), exported)
    assert_exact(found)
    assert found.matched == "name"
    alone = [change for change in found.changes if not change.before.nodes or not change.after.nodes]
    assert len(alone) == 6
    assert all(change.rewritten for change in alone)


def test_rows_beyond_the_most_are_counted_and_summed(monkeypatch):
    monkeypatch.setattr(module, "MOST_CHANGES", 2)
    exported = layers(2)
    found = compared(run_of(exported, 50 * US), run_of(exported, 60 * US), exported)
    assert (len(found.changes), found.left_out) == (2, 1)
    assert found.left_out_before_ns > 0
    assert_exact(found)


def test_only_rounds_of_both_count():
    exported = layers(1)
    after = run_of(exported, 50 * US, rounds=6)
    found = compared(run_of(exported, 50 * US), after, exported)
    assert found.launches == 3
    late = BuildRun(
        package="", version="2.0", python="", partition=_moved(after.partition, 100), optimized=exported
    )
    with pytest.raises(AttribError, match="no profiled round"):
        compared(run_of(exported, 50 * US), late, exported)


def _moved(partition, by):
    return msgspec.structs.replace(partition, blocks=partition.blocks + by)


@settings(max_examples=25)
@given(data=st.data())
def test_whatever_either_optimizer_left_sums_exactly(data):
    exported = layers(4)
    runs = []
    for seed in range(2):
        base = layers(4, fused=data.draw(st.booleans()))
        kept = data.draw(st.sets(st.sampled_from(range(len(base.nodes))), min_size=1))
        nodes = [
            (data.draw(st.sampled_from((base.nodes[i].name, f"new{i}"))), base.nodes[i].op,
             base.nodes[i].inputs, base.nodes[i].outputs)
            for i in sorted(kept)
        ]  # fmt: skip
        runs.append(run_of(graph(*nodes), data.draw(st.integers(1, 10**6)), seed=seed))
    found = compared(*runs, exported)
    assert_exact(found)
    ran = [name for change in found.changes for name in change.after.nodes]
    assert sorted(ran) == sorted(work.id for work in runs[1].partition.work)
