"""Cutting two graphs at their shared values."""

from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.lineage.components import components, input_free_values
from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.lineage.graph import Graph, GraphNode


def graph(
    *nodes: tuple[str, tuple[str, ...], tuple[str, ...]], constants: tuple[str, ...] = ("w", "b")
) -> Graph:
    return Graph(
        nodes=tuple(
            GraphNode(name=f"n{i}", index=i, op=op, domain="", inputs=inputs, outputs=outputs)
            for i, (op, inputs, outputs) in enumerate(nodes)
        ),
        inputs=("x",),
        outputs=(nodes[-1][2][-1],),
        constants=frozenset(constants),
        values={},
        opset=20,
    )


LINEAR = (("MatMul", ("x", "w"), ("h",)), ("Add", ("h", "b"), ("y",)))


def test_a_fused_node_takes_every_node_between_its_shared_values():
    exported = graph(*LINEAR, ("Relu", ("y",), ("z",)))
    fused = graph(("Reshape", ("x", "s"), ("r",)), ("Gemm", ("r", "w", "b"), ("g",)), ("Reshape", ("g", "s"), ("y",)),
                  ("Relu", ("y",), ("z",)), constants=("w", "b", "s"))  # fmt: skip
    found = {(c.exported, c.optimized) for c in components((exported, fused))}
    assert found == {((0, 1), (0, 1, 2)), ((2,), (3,))}


def test_an_untouched_graph_falls_into_single_nodes():
    exported = graph(*LINEAR)
    assert [(c.exported, c.optimized) for c in components((exported, exported))] == [
        ((0,), (0,)),
        ((1,), (1,)),
    ]


def test_a_mask_that_feeds_every_layer_does_not_tie_the_layers_together():
    exported = graph(
        ("Cast", ("x",), ("mask",)),
        ("Where", ("mask", "w"), ("m0",)), ("Add", ("x", "m0"), ("a0",)),
        ("Where", ("mask", "w"), ("m1",)), ("Add", ("a0", "m1"), ("a1",)),
    )  # fmt: skip
    merged = graph(
        ("Where", ("x", "w"), ("m1",)), ("Add", ("x", "m1"), ("a0",)), ("Add", ("a0", "m1"), ("a1",))
    )
    found = components((exported, merged))
    adds = [c for c in found if 1 in c.optimized or 2 in c.optimized]
    assert len(adds) == 2


def test_folded_shape_arithmetic_ties_nothing():
    exported = graph(
        ("Shape", ("x",), ("s",)), ("Gather", ("s", "w"), ("d",)),
        ("Reshape", ("x", "d"), ("p",)), ("Reshape", ("p", "d"), ("q",)),
    )  # fmt: skip
    assert input_free_values(exported) >= {"s", "d"}
    folded = graph(("Reshape", ("x", "c"), ("p",)), ("Reshape", ("p", "c"), ("q",)), constants=("c",))
    assert {(c.exported, c.optimized) for c in components((exported, folded))} >= {((2,), (0,)), ((3,), (1,))}


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=30))
def test_disjoint_sets_agree_with_a_naive_closure(pairs):
    sets = DisjointSets(12)
    naive = [{i} for i in range(12)]
    for a, b in pairs:
        sets.union(a, b)
        joined = naive[a] | naive[b]
        for i in joined:
            naive[i] = joined
    assert sorted(map(sorted, {frozenset(s) for s in naive})) == sorted(sets.groups())


@given(st.data())
def test_every_node_is_in_exactly_one_component(data):
    """Random chains, where the optimizer kept a random subset of the value names."""
    size = data.draw(st.integers(1, 20))
    exported = graph(*[("Op", (f"v{data.draw(st.integers(-1, i - 1))}",), (f"v{i}",)) for i in range(size)])
    kept = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    renamed = {f"v{i}": f"v{i}" if keep else f"new{i}" for i, keep in enumerate(kept)}
    optimized = graph(*[
        ("Op", tuple(renamed.get(v, v) for v in n.inputs), tuple(renamed[v] for v in n.outputs)) for n in exported.nodes
    ])  # fmt: skip
    found = components((exported, optimized))
    assert sorted(i for c in found for i in c.exported) == list(range(size))
    assert sorted(i for c in found for i in c.optimized) == list(range(size))


def test_a_chain_of_rewrites_leads_from_the_export_to_what_ran():
    exported = graph(*LINEAR, ("Relu", ("y",), ("z",)))
    fused = graph(("Gemm", ("x", "w", "b"), ("y",)), ("Relu", ("y",), ("z",)))
    final = graph(("FusedGemm", ("x", "w", "b"), ("z",)))
    assert [c.stages for c in components((exported, fused, final))] == [((0, 1, 2), (0, 1), (0,))]


def test_a_value_that_one_rewrite_renamed_does_not_lose_its_origin():
    exported = graph(("A", ("x",), ("old",)), ("B", ("old",), ("z",)))
    renamed = graph(("A2", ("x",), ("new",)), ("B", ("new",), ("z",)))
    assert [c.stages for c in components((exported, renamed, renamed))] == [((0, 1), (0, 1), (0, 1))]


def test_a_compiled_partition_takes_the_whole_subgraph_that_it_stands_for():
    exported = graph(
        *LINEAR, ("Relu", ("y",), ("r",)), ("IsNaN", ("r",), ("n",)), ("Where", ("n", "w", "r"), ("z",))
    )
    compiled = graph(
        ("EP_subgraph_0", ("x",), ("r",)), ("IsNaN", ("r",), ("n",)), ("EP_subgraph_1", ("n", "r"), ("z",))
    )
    found = [c.stages for c in components((exported, compiled))]
    assert found == [((0, 1, 2), (0,)), ((3,), (1,)), ((4,), (2,))]


def test_an_inserted_cast_or_copy_belongs_to_the_value_that_it_carries():
    exported = graph(("Mul", ("x", "w"), ("v",)), ("Exp", ("v",), ("e",)), ("Neg", ("v",), ("z",)))
    casts = graph(("Mul", ("x", "w"), ("v",)), ("Cast", ("v",), ("v16",)), ("MemcpyToHost", ("v16",), ("host",)),
                  ("Exp", ("host",), ("e",)), ("Neg", ("v16",), ("z",)))  # fmt: skip
    found = {c.exported: c.optimized for c in components((exported, casts))}
    assert found == {(0,): (0, 1, 2), (1,): (3,), (2,): (4,)}


def test_a_cast_of_a_model_input_belongs_to_its_first_reader():
    exported = graph(("Exp", ("x",), ("e",)), ("Neg", ("e",), ("z",)))
    casts = graph(("Cast", ("x",), ("x32",)), ("Exp", ("x32",), ("e",)), ("Neg", ("e",), ("z",)))
    assert {c.exported: c.optimized for c in components((exported, casts))} == {(0,): (0, 1), (1,): (2,)}


@given(st.data())
def test_every_node_of_every_graph_of_a_chain_is_in_exactly_one_component(data):
    size = data.draw(st.integers(1, 12))
    sources = [data.draw(st.integers(-1, i - 1)) for i in range(size)]
    chain = []
    for stage in range(data.draw(st.integers(1, 4))):
        kept = [data.draw(st.booleans()) for _ in range(size)]
        names = {i: f"v{i}" if kept[i] else f"v{i}@{stage}" for i in range(size)} | {-1: "x"}
        ops = [data.draw(st.sampled_from(["Op", "Cast", "Shape"])) for _ in range(size)]
        chain.append(graph(*[(ops[i], (names[sources[i]],), (names[i],)) for i in range(size)]))
    found = components(chain)
    for stage in range(len(chain)):
        assert sorted(i for c in found for i in c.stages[stage]) == list(range(size))


def test_weights_that_are_dequantized_in_every_run_belong_to_their_reader():
    exported = graph(*LINEAR)
    quantized = graph(("DequantizeLinear", ("wq", "s"), ("w2",)), ("MatMul", ("x", "w2"), ("h",)), LINEAR[1],
                      constants=("wq", "s", "b"))  # fmt: skip
    again = [c.stages for c in components((exported, quantized, quantized))]
    assert again == [((0,), (0, 1), (0, 1)), ((1,), (2,), (2,))]


def test_a_value_that_is_left_only_quantized_is_the_value_itself():
    exported = graph(*LINEAR, ("Relu", ("y",), ("z",)))
    quantized = graph(("QLinearMatMul", ("x", "w"), ("h_quantized",)),
                      ("QLinearAdd", ("h_quantized", "b"), ("y_quantized",)),
                      ("DequantizeLinear", ("y_quantized", "s"), ("y",)), ("Relu", ("y",), ("z",)),
                      constants=("w", "b", "s"))  # fmt: skip
    assert [(c.exported, c.optimized) for c in components((exported, quantized))] == [
        ((0,), (0,)),
        ((1,), (1, 2)),
        ((2,), (3,)),
    ]


def test_the_pair_around_a_value_belongs_to_who_makes_it():
    exported = graph(*LINEAR, ("Exp", ("y",), ("e",)), ("Neg", ("y",), ("z",)))
    paired = graph(*LINEAR, ("QuantizeLinear", ("y", "s"), ("q",)), ("DequantizeLinear", ("q", "s"), ("d",)),
                   ("Exp", ("d",), ("e",)), ("Neg", ("d",), ("z",)), constants=("w", "b", "s"))  # fmt: skip
    found = {c.exported: c.optimized for c in components((exported, paired))}
    assert found == {(0,): (0,), (1,): (1, 2, 3), (2,): (4,), (3,): (5,)}
