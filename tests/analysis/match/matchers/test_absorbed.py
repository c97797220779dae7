"""Work that the export moved into a node of another name: weights and folded norms tell."""

import pytest

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X = Tensor("float", (2, 3, 8, 8))
CALLS = (
    Work(id="c", engine="torch", op="aten::conv2d", scope="conv", inputs=(X,)),
    Work(id="n", engine="torch", op="aten::batch_norm", scope="norm", inputs=(X,)),
    Work(id="r", engine="torch", op="aten::relu", scope="act", inputs=(X,)),
)


def exported(scope: str | None, weight: str, fx: str = "", shape: tuple[int, ...] = (3, 3, 3, 3)) -> Graph:
    conv = GraphNode(name="k", index=0, op="Conv", domain="", inputs=("x", weight), outputs=("v",), scope=scope,
                     fx_node=fx, fx_target=f"aten.{fx}.default" if fx else "")  # fmt: skip
    relu = GraphNode(name="e", index=1, op="Relu", domain="", inputs=("v",), outputs=("y",), scope=scope and "act",
                     fx_node=fx and "relu", fx_target=fx and "aten.relu.default")  # fmt: skip
    return Graph(nodes=(conv, relu), inputs=("x",), outputs=("y",), constants=frozenset({weight}),
                 values={"x": X, "v": X, weight: Tensor("float", shape)}, opset=20)  # fmt: skip


def matched(graph: Graph, calls: tuple[Work, ...] = CALLS) -> dict[str, tuple[str, ...]]:
    ran = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in graph.nodes)
    return {node: r.calls for r in regions(calls, ran, (graph, graph)) for node in r.nodes}


def test_a_folded_norm_that_kept_its_name_shares_the_node_with_its_convolution():
    graph = exported("norm", "conv.weight", "_native_batch_norm_legit_no_training")
    assert matched(graph) == {"k": ("c", "n"), "e": ("r",)}


def test_a_folded_norm_without_a_node_goes_where_its_convolution_went():
    assert matched(exported("conv", "onnx::Conv_59")) == {"k": ("c", "n"), "e": ("r",)}


def test_weights_say_the_module_where_nothing_else_does():
    left = Work(id="left", engine="torch", op="aten::linear", scope="left", inputs=(X,))
    right = Work(id="right", engine="torch", op="aten::linear", scope="right", inputs=(X,))
    gemm = GraphNode(
        name="g", index=0, op="Gemm", domain="", inputs=("x", "right.weight", "right.bias"), outputs=("y",)
    )
    weights = {"right.weight": Tensor("float", (3, 3)), "right.bias": Tensor("float", (3,))}
    graph = Graph(
        nodes=(gemm,), inputs=("x",), outputs=("y",), constants=frozenset(weights), values=weights, opset=20
    )
    assert matched(graph, (left, right)) == {"g": ("right",)}


@pytest.mark.parametrize("weight", ["conv.bias", "elsewhere.weight"])
def test_a_vector_or_another_modules_weight_says_nothing(weight):
    shape = (3,) if weight == "conv.bias" else (3, 3, 3, 3)
    (found,) = {
        c
        for c in matched(exported("norm", weight, "_native_batch_norm_legit_no_training", shape)).values()
        if "n" in c
    }
    assert found == ("c", "n")  # the norm's node, and the convolution before it, which has none of its own
