"""Views of the key's and the value's projection: order alone would swap them."""

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.model.tensor import Tensor
from attrib.model.work import Work

X = Tensor("float", (1, 128, 64))


def call(scope: str, op: str, n: int = 0) -> Work:
    return Work(id=f"{scope}/{op}#{n}", engine="torch", op=f"aten::{op}", scope=scope, inputs=(X,))


def nodes(*rows: tuple[str, str, str, str]) -> Graph:
    """Name, inputs, output, scope; the op is the name up to its number."""
    found = tuple(
        GraphNode(name=name, index=i, op=name.split("_")[0], domain="", inputs=tuple(inputs.split()),
                  outputs=(output,), scope=scope)
        for i, (name, inputs, output, scope) in enumerate(rows)
    )  # fmt: skip
    return Graph(nodes=found, inputs=("x",), outputs=("o",), constants=frozenset({"w", "s"}),
                 values=dict.fromkeys("xqkv", X), opset=17)  # fmt: skip


CALLS = (
    call("self.key", "linear"), call("self", "view"), call("self", "transpose"),
    call("self.value", "linear"), call("self", "view", 1), call("self", "transpose", 1),
    call("self", "matmul"), call("self", "transpose", 2), call("self", "view", 2),
)  # fmt: skip
GRAPH = nodes(
    ("MatMul_k", "x w", "k", "self.key"), ("MatMul_v", "x w", "v", "self.value"),
    ("Reshape_v", "v s", "v1", "self"), ("Transpose_v", "v1", "v2", "self"),
    ("Reshape_k", "k s", "k1", "self"), ("Transpose_k", "k1", "k2", "self"),
    ("MatMul_o", "k2 v2", "m", "self"), ("Transpose_o", "m", "t", "self"), ("Reshape_o", "t s", "o", "self"),
)  # fmt: skip
RAN = tuple(Work(id=n.name, engine="onnxruntime", op=n.op, inputs=(X,)) for n in GRAPH.nodes)


def test_a_view_goes_to_the_call_on_the_result_that_it_changes():
    found = {c: r.nodes for r in regions(CALLS, RAN, (GRAPH, GRAPH)) for c in r.calls}
    assert found["self/view#0"] == ("Reshape_k",)
    assert found["self/transpose#0"] == ("Transpose_k",)
    assert found["self/view#1"] == ("Reshape_v",)
    assert found["self/transpose#1"] == ("Transpose_v",)
    assert found["self/matmul#0"] == ("MatMul_o",)
    assert found["self/transpose#2"] == ("Transpose_o",)
    assert found["self/view#2"] == ("Reshape_o",)
