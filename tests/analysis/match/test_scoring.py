"""Shapes and element types of both sides of a link: what contradicts, and what does not."""

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.scoring import compare_tensors, disagreement
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X, W, B = Tensor("float", (1, 48, 256)), Tensor("float", (1024, 256)), Tensor("float", (1024,))
TURNED = Tensor("float", (256, 1024))


def linear(x: Tensor = X, w: Tensor = W, b: Tensor = B) -> Work:
    return Work(id="c", engine="torch", op="aten::linear", inputs=(x, w, b))


def exported(x: Tensor = X, w: Tensor = TURNED, b: Tensor | None = B) -> Graph:
    nodes = (
        GraphNode(name="m", index=0, op="MatMul", domain="", inputs=("x", "w"), outputs=("h",)),
        GraphNode(name="a", index=1, op="Add", domain="", inputs=("h", "b"), outputs=("y",)),
    )
    made = Tensor("float", (*x.shape[:-1], 1024))
    values = {"x": x, "w": w, "h": made, "y": made, **({"b": b} if b else {})}
    return Graph(
        nodes=nodes, inputs=("x",), outputs=("y",), constants=frozenset({"w", "b"}), values=values, opset=17
    )


def verdict(call: Work, graph: Graph):
    return compare_tensors(call, graph, graph.nodes)


def test_a_transposed_weight_and_a_flattened_batch_agree():
    assert verdict(linear(), exported()).agree is True
    assert verdict(linear(), exported(x=Tensor("float", (48, 256)))).agree is True


def test_another_batch_is_said_with_both_shapes():
    found = verdict(linear(), exported(x=Tensor("float", (2, 48, 256))))
    assert found.agree is False
    assert found.said == "SIZES DIFFER: float[1×48×256] in PyTorch, float[2×48×256] in the graph"


def test_another_weight_contradicts_although_the_activation_is_the_same():
    found = verdict(linear(), exported(w=Tensor("float", (256, 999)), b=Tensor("float", (999,))))
    assert found.agree is False
    assert "float[1024×256] in PyTorch, float[256×999]" in found.said


def test_another_element_type_contradicts():
    half = Tensor("float16", (1, 48, 256))
    found = verdict(
        linear(), exported(x=half, w=Tensor("float16", (256, 1024)), b=Tensor("float16", (1024,)))
    )
    assert found.agree is False
    assert found.said == "TYPES DIFFER: float[1×48×256] in PyTorch, float16[1×48×256] in the graph"


def test_sizes_that_the_file_leaves_open_contradict_nothing():
    assert verdict(linear(), exported(x=Tensor("float", (-1, -1, 256)))).agree is None
    assert verdict(linear(), exported(b=None)).agree is True


def test_a_packed_weight_that_the_profile_leaves_out_is_no_contradiction():
    out = Tensor("float", (1, 48, 1024))
    nodes = (
        GraphNode(name="m", index=0, op="MatMul", domain="", inputs=("?0",), outputs=("!0",)),
        GraphNode(name="a", index=1, op="Add", domain="", inputs=("?1", "?2"), outputs=("!1",)),
    )
    values = {"?0": X, "!0": out, "?1": out, "?2": B, "!1": out}
    graph = Graph(nodes=nodes, inputs=(), outputs=(), constants=frozenset(), values=values, opset=0)
    assert verdict(linear(), graph).agree is True


def test_a_call_without_shapes_says_nothing():
    bare = Work(id="c", engine="torch", op="aten::linear")
    assert verdict(bare, exported()) == (None, "")


def test_a_piece_that_reads_a_foreign_vector_costs_more_than_one_that_reads_the_calls():
    ours, other = linear().inputs, (X, Tensor("float", (768,)))
    assert disagreement(ours, (Tensor("float", (1, 48, 1024)), B), (), whole=False) == 0
    assert disagreement(ours, other, (), whole=False) > 0
