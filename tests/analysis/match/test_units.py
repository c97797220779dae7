"""Compiled kernels in the match: each op that a kernel covers leads to its nodes."""

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.merging import contradictions
from attrib.analysis.match.regions import regions
from attrib.analysis.match.units import expand_units
from attrib.model.tensor import Tensor
from attrib.model.work import Member, Work

X = Tensor("float", (1, 128, 768))


def kernel(name: str, *members: Member) -> Work:
    return Work(id=f"{name}#0", engine="torch", op=name, members=members)


def member(scope: str, op: str, name: str = "") -> Member:
    return Member(scope, f"aten::{op}", name or f"{scope}.{op}")


def node(name: str, op: str, *, dtype: str = "float", shape: tuple[int, ...] = X.shape) -> Work:
    return Work(id=name, engine="onnxruntime", op=op, inputs=(Tensor(dtype, shape),))


def exported(*ops: tuple[str, str, str]) -> Graph:
    """A chain of nodes: ONNX op, scope, aten op."""
    nodes = tuple(
        GraphNode(name=f"e{i}", index=i, op=op, domain="", inputs=(f"v{i}",), outputs=(f"v{i + 1}",), scope=scope,
                  fx_node=f"{aten}_{i}", fx_target=f"aten.{aten}.default")
        for i, (op, scope, aten) in enumerate(ops)
    )  # fmt: skip
    return Graph(
        nodes=nodes, inputs=("v0",), outputs=(f"v{len(ops)}",), constants=frozenset(), values={}, opset=20
    )


GRAPH = exported(("Add", "out", "add"), ("LayerNormalization", "norm", "layer_norm"), ("Gelu", "act", "gelu"))
RAN = (node("e0", "Add"), node("e1", "LayerNormalization"), node("e2", "Gelu"))


def test_a_kernel_is_matched_to_the_nodes_of_everything_that_it_covers():
    calls = (
        kernel("cpp_fused_0", member("out", "add"), member("norm", "layer_norm")),
        kernel("k1", member("act", "gelu")),
    )
    found = {r.calls: r for r in regions(calls, RAN, (GRAPH, GRAPH))}
    assert found["cpp_fused_0#0",].nodes == ("e0", "e1")
    assert found["cpp_fused_0#0",].id == "(root)/add+layer_norm"
    assert found["k1#0",].nodes == ("e2",)


def test_an_op_inlined_into_every_kernel_does_not_tie_the_kernels_together():
    shared = member("out", "add")
    calls = (kernel("k0", shared, member("norm", "layer_norm")), kernel("k1", shared, member("act", "gelu")))
    assert {r.calls: r.nodes for r in regions(calls, RAN, (GRAPH, GRAPH))} == {
        ("k0#0",): ("e0", "e1"),
        ("k1#0",): ("e2",),
    }


def test_a_kernel_without_an_op_of_its_own_joins_the_one_that_it_completes():
    norm = member("norm", "layer_norm")
    calls = (
        kernel("k0", member("out", "add"), norm),
        kernel("k1", norm),
        kernel("k2", member("act", "gelu")),
    )
    assert expand_units(calls).joined == ((1, 0),)
    found = {r.calls for r in regions(calls, RAN, (GRAPH, GRAPH))}
    assert found == {("k0#0", "k1#0"), ("k2#0",)}


def test_eager_calls_are_their_own_units():
    calls = (Work(id="a", engine="torch", op="aten::add"), Work(id="b", engine="torch", op="aten::gelu"))
    assert expand_units(calls) == (calls, (0, 1), (None, None), ())


def linear(shape: tuple[int, ...], dtype: str = "float") -> Work:
    return Work(
        id="l", engine="torch", op="aten::linear", inputs=(Tensor(dtype, shape), Tensor(dtype, (768, 768)))
    )


def test_another_batch_is_a_contradiction_and_a_flattened_one_is_not():
    gemm = Work(
        id="g",
        engine="onnxruntime",
        op="Gemm",
        inputs=(Tensor("float", (128, 768)), Tensor("float", (768, 768))),
    )
    assert contradictions([linear((1, 128, 768))], [gemm], rewritten=True) == ()
    (line,) = contradictions([linear((4, 128, 768))], [gemm], rewritten=True)
    assert "float[4×128×768]" in line
    assert "SIZES DIFFER" in line


def test_another_element_type_contradicts_only_where_no_graph_explains_it():
    half = node("n", "MatMul", dtype="float16")
    assert contradictions([linear(X.shape)], [half], rewritten=True) == ()
    assert "TYPES DIFFER" in contradictions([linear(X.shape)], [half], rewritten=False)[0]


def test_a_contradiction_halves_the_confidence_and_is_the_first_line():
    call = Work(id="c", engine="torch", op="aten::add", scope="out", inputs=(Tensor("float", (9, 9)),))
    (region, *_) = regions((call,), RAN[:1], (GRAPH, GRAPH))
    assert region.match.confidence < 0.5
    assert region.match.evidence[0].startswith("SIZES DIFFER")
