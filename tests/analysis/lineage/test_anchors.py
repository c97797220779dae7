"""Graphs in which a rewrite renamed every value: the weights still say which product is which."""

from attrib.analysis.lineage.components import components
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.model.tensor import Tensor

MATRICES, VECTORS = ("w1", "w2", "w3"), ("g", "b1", "b2", "g2")


def graph(*rows: tuple[str, str, str]) -> Graph:
    """Op, inputs, output."""
    nodes = tuple(
        GraphNode(name="", index=i, op=op, domain="", inputs=tuple(inputs.split()), outputs=(output,))
        for i, (op, inputs, output) in enumerate(rows)
    )
    values = dict.fromkeys(MATRICES, Tensor("float", (8, 8))) | dict.fromkeys(VECTORS, Tensor("float", (8,)))
    return Graph(nodes=nodes, inputs=("x",), outputs=("o",), constants=frozenset((*MATRICES, *VECTORS)),
                 values=values, opset=17)  # fmt: skip


EXPORTED = graph(
    ("LayerNormalization", "x g", "n"), ("Gemm", "n w1 b1", "h"), ("Mul", "h h", "k"), ("Tanh", "k", "t"),
    ("Gemm", "t w2 b2", "u"), ("Add", "u x", "s"), ("LayerNormalization", "s g2", "v"), ("MatMul", "v w3", "o"),
)  # fmt: skip


def test_renamed_values_are_cut_where_a_known_matrix_begins_a_product():
    rewritten = graph(
        ("SkipLayerNorm", "x g", "a"), ("MatMul", "a w1", "b"), ("FastGelu", "b b1", "c"), ("MatMul", "c w2", "d"),
        ("SkipLayerNorm", "d x g2 b2", "e"), ("MatMul", "e w3", "o"),
    )  # fmt: skip
    assert [(c.exported, c.optimized) for c in components((EXPORTED, rewritten))] == [
        ((0,), (0,)),
        ((1, 2, 3), (1, 2)),
        ((4, 5, 6), (3, 4)),
        ((7,), (5,)),
    ]


def test_a_maker_that_nothing_holds_stays_with_its_product():
    exported = graph(("Tanh", "x", "t"), ("MatMul", "t w1", "o"))
    fused = graph(("TanhMatMul", "x w1", "o"))
    assert [(c.exported, c.optimized) for c in components((exported, fused))] == [((0, 1), (0,))]


def test_a_constant_with_several_readers_says_nothing():
    exported = graph(("Add", "x b1", "p"), ("Exp", "p", "q"), ("Mul", "q b1", "o"))
    renamed = graph(("Add", "x b1", "p2"), ("Neg", "p2", "q2"), ("Sub", "q2 b1", "o"))
    assert [(c.exported, c.optimized) for c in components((exported, renamed))] == [((0, 1, 2), (0, 1, 2))]
