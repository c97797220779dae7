"""Values under one name along the chain: quantized ones, and those in ORT's blocked convolution layout."""

from attrib.analysis.lineage.components import components
from attrib.analysis.lineage.graph import Graph, GraphNode


def graph(*rows: tuple[str, str, str, str, str]) -> Graph:
    """Name, op, inputs, output, activation of each node."""
    nodes = tuple(
        GraphNode(name=name, index=i, op=op, domain="", inputs=tuple(inputs.split()), outputs=(output,),
                  attributes={"activation": activation} if activation else {})
        for i, (name, op, inputs, output, activation) in enumerate(rows)
    )  # fmt: skip
    return Graph(nodes=nodes, inputs=("x",), outputs=(nodes[-1].outputs[0],), constants=frozenset({"w", "b"}),
                 values={}, opset=20)  # fmt: skip


EXPORTED = graph(
    ("conv0", "Conv", "x w b", "c0", ""), ("relu0", "Relu", "c0", "r0", ""),
    ("conv1", "Conv", "r0 w b", "c1", ""), ("add", "Add", "c1 r0", "a1", ""), ("relu1", "Relu", "a1", "r1", ""),
    ("mean", "ReduceMean", "r1", "m", ""),
)  # fmt: skip


def test_blocked_convolutions_are_found_by_the_value_that_names_them():
    blocked = graph(
        ("r0_nchwc", "Conv", "x w b", "t0", "Relu"),
        ("c1_nchwc", "Conv", "t0 w b t0", "t1", "Relu"),
        ("ReorderOutput", "ReorderOutput", "t1", "r1", ""),
        ("mean", "ReduceMean", "r1", "m", ""),
    )
    found = {c.exported: c.optimized for c in components((EXPORTED, blocked))}
    assert found == {(0, 1): (0,), (2, 3, 4): (1, 2), (5,): (3,)}


def test_a_blocked_value_with_two_readers_does_not_tie_them_together():
    blocked = graph(
        ("r0_nchwc", "Conv", "x w b", "t0", "Relu"),
        ("c1_nchwc", "Conv", "t0 w b t0", "t1", "Relu"),
        ("m_nchwc", "GlobalAveragePool", "t1", "t2", ""),
        ("ReorderOutput", "ReorderOutput", "t1", "r1", ""),
        ("ReorderOutput_1", "ReorderOutput", "t2", "m", ""),
    )
    found = {c.exported: c.optimized for c in components((EXPORTED, blocked))}
    assert found == {(0, 1): (0,), (2, 3, 4): (1, 3), (5,): (2, 4)}


def test_a_node_whose_name_says_no_value_keeps_its_names():
    other = graph(("nothing_nchwc", "Conv", "x w b", "c0", ""), ("relu0", "Relu", "c0", "r0", ""))
    assert (0,) in {c.optimized for c in components((EXPORTED, other)) if 0 in c.exported}


def test_an_inserted_cast_names_the_value_whose_type_it_changes():
    exported = graph(("erf", "Erf", "x", "e", ""), ("exp", "Exp", "e", "y", ""), ("neg", "Neg", "y", "z", ""))
    wide = graph(
        ("erf0", "Erf", "x", "InsertedPrecisionFreeCast_e", ""),
        ("exp0", "Exp", "InsertedPrecisionFreeCast_e", "InsertedPrecisionFreeCast_y", ""),
        ("InsertedPrecisionFreeCast_y", "Cast", "InsertedPrecisionFreeCast_y", "y", ""),
        ("neg", "Neg", "y", "z", ""),
    )
    found = {c.exported: c.optimized for c in components((exported, wide))}
    assert found == {(0,): (0,), (1,): (1, 2), (2,): (3,)}


def test_a_node_that_kept_its_name_makes_what_it_made():
    exported = graph(
        ("sum", "Add", "x w", "s", ""), ("view", "Reshape", "s b", "v", ""), ("out", "Neg", "v", "z", "")
    )
    quantized = graph(
        ("sum", "QLinearAdd", "x w", "q7", ""),
        ("view", "Reshape", "q7 b", "q9", ""),
        ("out", "Neg", "q9", "z", ""),
    )
    assert [(c.exported, c.optimized) for c in components((exported, quantized))] == [
        ((0,), (0,)),
        ((1,), (1,)),
        ((2,), (2,)),
    ]


def test_a_node_that_took_over_a_name_for_another_op_says_nothing():
    exported = graph(("a", "Add", "x w", "s", ""), ("b", "Relu", "s", "z", ""))
    fused = graph(("a", "Mul", "x w", "t", ""), ("b2", "Tanh", "t", "z", ""))
    assert [(c.exported, c.optimized) for c in components((exported, fused))] == [((0, 1), (0, 1))]
