"""A value that several nodes read and that a rewrite renamed: its readers say which one it is."""

from attrib.analysis.lineage.components import components
from attrib.analysis.lineage.graph import Graph, GraphNode


def graph(*rows: tuple[str, str, str]) -> Graph:
    """Op, inputs, output."""
    nodes = tuple(
        GraphNode(name="", index=i, op=op, domain="", inputs=tuple(inputs.split()), outputs=(output,))
        for i, (op, inputs, output) in enumerate(rows)
    )
    return Graph(nodes=nodes, inputs=("x",), outputs=("o",), constants=frozenset({"w"}), values={}, opset=20)


EXPORTED = graph(
    ("LayerNormalization", "x w", "n"), ("MatMul", "n w", "q"), ("MatMul", "n w", "v"), ("Add", "q v", "o")
)


def test_the_order_of_the_readers_does_not_matter():
    renamed = graph(
        ("LayerNormalization", "x w", "n2"),
        ("MatMul", "n2 w", "v"),
        ("MatMul", "n2 w", "q"),
        ("Add", "q v", "o"),
    )
    found = {c.exported: c.optimized for c in components((EXPORTED, renamed))}
    assert found == {(0,): (0,), (1,): (2,), (2,): (1,), (3,): (3,)}


def test_one_pairing_can_rest_on_another():
    below = (("Exp", "x", "e"), ("Neg", "e", "a"), ("Abs", "e", "b"), ("Mul", "a e", "m"))
    above = (("MatMul", "m w", "q"), ("MatMul", "m b", "o"))
    first = graph(*below, *above)
    names = {"e": "e2", "m": "m2", "a": "a2"}
    second = graph(*(
        (op, " ".join(names.get(i, i) for i in inputs.split()), names.get(out, out)) for op, inputs, out in (*below, *above)
    ))  # fmt: skip
    found = [(c.exported, c.optimized) for c in components((first, second))]
    assert all(ours == theirs for ours, theirs in found)
    assert len(found) > 2


def test_a_value_that_was_merged_is_tied_to_one_reader_only():
    exported = graph(("Exp", "x", "m0"), ("Exp", "x", "m1"), ("Add", "x m0", "a"), ("Add", "a m1", "o"))
    merged = graph(("Exp", "x", "m"), ("Add", "x m", "a"), ("Add", "a m", "o"))
    found = {c.optimized: c.exported for c in components((exported, merged)) if c.optimized}
    assert found == {(0, 1): (0, 2), (2,): (1, 3)}
