"""Pruned heads: on hand-made attentions of several forms, on an export, and what is refused; and sizes seen in a run."""

import numpy as np
import pytest
from onnx import numpy_helper

from attrib.capture.workers.messages import Optimize, Optimized
from attrib.errors import AttribError
from attrib.rewrite.surgery.graph import sizes_are_fixed
from attrib.rewrite.surgery.head_axes import Heads, heads_after
from tests.rewrite.surgery.graphs import FLOAT, INT64, Bed, N, const, model_of, random_input

pytestmark = pytest.mark.engines

HEADS, SIZE, TOKENS = 4, 3, 5
WIDTH = HEADS * SIZE
SHAPE = [1, TOKENS, WIDTH]
X = {"x": random_input(SHAPE)}


@pytest.fixture(scope="module")
def bed(tmp_path_factory):
    return Bed(tmp_path_factory.mktemp("heads"))


def weights(seed=0):
    """Weights in which the second head is by far the smallest."""
    made = {name: random_input((WIDTH, WIDTH), seed + i) for i, name in enumerate("qkvo")}
    for name in "qkv":
        made[name][:, SIZE : 2 * SIZE] *= 0.1
    made["o"][SIZE : 2 * SIZE] *= 0.1
    return made


def projections(source="x"):
    nodes = []
    for name in "qkv":
        nodes += [
            N("MatMul", [source, f"w{name}"], [f"{name}1"], name=f"{name}/MatMul"),
            N("Add", [f"b{name}", f"{name}1"], [f"{name}2"]),
            N("Reshape", [f"{name}2", "split"], [f"{name}3"]),
            N("Transpose", [f"{name}3"], [f"{name}4"], perm=[0, 2, 1, 3]),
        ]
    return nodes


def constants(made, split):
    return [
        *(const(f"w{name}", made[name]) for name in "qkvo"),
        *(const(f"b{name}", random_input((WIDTH,), 9)) for name in "qkv"),
        const("split", split, np.int64),
        const("join", [1, TOKENS, -1], np.int64),
        const("scale", SIZE**-0.5),
        const("mask", np.where(np.arange(TOKENS) < 4, 0, -1e9)),
    ]


CORE = [
    N("Transpose", ["k4"], ["k5"], perm=[0, 1, 3, 2]),
    N("Mul", ["q4", "scale"], ["q5"]),
    N("MatMul", ["q5", "k5"], ["s"]),
    N("Add", ["s", "mask"], ["s2"]),
    N("Softmax", ["s2"], ["p"], axis=-1),
    N("MatMul", ["p", "v4"], ["c"]),
]
MIX = [
    N("Transpose", ["c"], ["c2"], perm=[0, 2, 1, 3]),
    N("Reshape", ["c2", "join"], ["c3"]),
    N("MatMul", ["c3", "wo"], ["y"]),
]


def attention(split=(1, TOKENS, HEADS, SIZE), core=CORE, made=None, opset=20):
    nodes = [*projections(), *core, *MIX]
    given = [("x", FLOAT, SHAPE)]
    return model_of(
        nodes, [("y", FLOAT)], inputs=given, constants=constants(made or weights(), split), opset=opset
    )


def without_head(made, head):
    """The weights with zeros where the head is mixed: what pruning it must give."""
    silent = {**made, "o": made["o"].copy()}
    silent["o"][head * SIZE : (head + 1) * SIZE] = 0
    return silent


@pytest.mark.parametrize("split", [(1, TOKENS, HEADS, SIZE), (1, TOKENS, -1, SIZE), (0, 0, HEADS, SIZE)])
def test_smallest_head_goes_and_the_rest_computes_the_same(bed, split):
    done = bed.rewrite("prune-heads", attention(split), X)
    silent = bed.rewrite("merge-duplicates", attention(split, made=without_head(weights(), 1)), X)
    np.testing.assert_allclose(done.after["y"], silent.before["y"], rtol=1e-5, atol=1e-6)
    assert np.abs(done.after["y"] - done.before["y"]).max() > 1e-3
    shapes = {tensor.name: tuple(tensor.dims) for tensor in done.model.graph.initializer}
    kept = WIDTH - SIZE
    assert {shape for name, shape in shapes.items() if name.startswith("w")} == {(WIDTH, kept), (kept, WIDTH)}
    assert {shape for name, shape in shapes.items() if name.startswith("b")} == {(kept,)}
    assert done.settings["pruned"] == "1 of 4 heads in 1 layer"
    assert "only the model's accuracy on real data can say" in done.notes[0]


def test_onnx_attention_is_pruned_too(bed):
    core = [N("Attention", ["q4", "k4", "v4"], ["c"], scale=SIZE**-0.5)]
    done = bed.rewrite("prune-heads", attention(core=core, opset=23), X)
    assert done.settings["pruned"] == "1 of 4 heads in 1 layer"
    assert done.ops.count("Attention") == 1


def test_something_held_for_each_head_is_pruned_with_it(bed):
    core = [N("Add", ["s", "bias"], ["s2"]) if node.output[0] == "s2" else node for node in CORE]
    model = attention(core=core)
    model.graph.initializer.append(const("bias", random_input((1, HEADS, TOKENS, TOKENS), 3)))
    done = bed.rewrite("prune-heads", model, X)
    held = {tensor.name: list(tensor.dims) for tensor in done.model.graph.initializer}
    assert held["bias/heads"] == [1, HEADS - 1, TOKENS, TOKENS]


def test_graph_without_attention_is_refused_in_one_line(bed):
    with pytest.raises(AttribError, match="failed: the graph holds no attention that attrib knows") as caught:
        bed.rewrite(
            "prune-heads", model_of([N("Softmax", ["x"], ["y"])], [("y", FLOAT)]), {"x": random_input()}
        )
    assert "before rewrites that fuse attention" in caught.value.hint


@pytest.mark.parametrize(
    ("core", "says"),
    [
        ([*CORE[:-1], N("MatMul", ["p", "v4"], ["c0"]), N("CumSum", ["c0", "one"], ["c"])], "through CumSum"),
        (
            [N("CumSum", ["q4", "one"], ["q5"]), CORE[0], *CORE[2:]],
            "what makes 'q5' is no product with a weight",
        ),
    ],
)
def test_attention_that_cannot_be_followed_is_refused_with_the_node(bed, core, says):
    model = attention(core=core)
    model.graph.initializer.append(const("one", 1, np.int64))
    with pytest.raises(AttribError, match=says) as caught:
        bed.rewrite("prune-heads", model, X)
    assert "separate products for query, key and value" in caught.value.hint


def test_single_head_cannot_be_pruned(bed):
    with pytest.raises(AttribError, match="a single attention head"):
        bed.rewrite("prune-heads", attention((1, TOKENS, 1, WIDTH)), X)


@pytest.mark.parametrize(
    ("before", "after", "where", "expected"),
    [
        ([2, 5, 12], [2, 5, 4, 3], (2, 1, 3), (2, 1, 1)),
        ([2, 4, 5, 3], [8, 5, 3], (1, 1, 1), (0, 2, 1)),
        ([8, 5, 3], [2, 4, 5, 3], (0, 2, 1), (1, 1, 1)),
        ([2, 5, 4, 3], [2, 5, 12], (2, 1, 1), (2, 1, 3)),
        ([1, 4, 4, 3], [4, 12], (2, 1, 1), (1, 1, 3)),
    ],
)
def test_heads_are_found_again_after_a_reshape(before, after, where, expected):
    import onnx_ir as ir

    source, result = (ir.Value(name=name, shape=ir.Shape(s)) for name, s in (("a", before), ("b", after)))
    node = ir.Node("", "Reshape", [source], outputs=[result])
    found, _ = heads_after(node, 0, Heads(axis=where[0], outer=where[1], inner=where[2]), 4)
    assert (found.axis, found.outer, found.inner) == expected


def fixed(nodes, inputs=(("x", FLOAT, [2, 3]),), **more):
    import onnx_ir as ir

    return sizes_are_fixed(
        ir.serde.deserialize_model(model_of(nodes, [("y", FLOAT)], inputs=inputs, **more)).graph
    )


def test_sizes_are_fixed_where_only_sizes_decide_them():
    by_size = [N("Shape", ["x"], ["s"]), N("Reshape", ["x", "s"], ["y"])]
    assert fixed(by_size)
    assert not fixed(by_size, inputs=[("x", FLOAT, ["batch", 3])])


def test_sizes_that_the_contents_decide_are_not_fixed():
    assert not fixed([N("NonZero", ["x"], ["n"]), N("Cast", ["n"], ["y"], to=FLOAT)])
    by_contents = [N("Cast", ["x"], ["i"], to=INT64), N("Slice", ["x", "zero", "i"], ["y"])]
    assert not fixed(by_contents, constants=[const("zero", [0], np.int64)])


def test_surgeries_follow_each_other_on_an_export(export_worker, tmp_path):
    import onnx

    model = export_worker.export("dynamo", tmp_path).model
    command = Optimize(
        recipe=export_worker.recipe, model=model, inputs=str(tmp_path / "inputs.npz"), folder=str(tmp_path),
        rewrites=("drop-nan-guard", "drop-unused-outputs", "drop-inverse-pairs", "merge-duplicates", "prune-heads"),
    )  # fmt: skip
    reply = export_worker.worker.ask(command, Optimized)
    settings = {entry.name: entry.settings for entry in reply.rewrites}
    assert settings["drop-nan-guard"]["dropped"] == "2"
    assert settings["drop-unused-outputs"]["dropped"] == "nothing"
    assert settings["prune-heads"]["pruned"] == "1 of 2 heads in 2 layers"
    assert {entry.tool.split()[0] for entry in reply.rewrites} == {"attrib"}
    names = {node.name for node in onnx.load(model, load_external_data=False).graph.node}
    pruned = onnx.load(reply.models[-1])
    assert {node.name for node in pruned.graph.node} < names
    matrices = [numpy_helper.to_array(t).shape for t in pruned.graph.initializer if t.name.endswith("/heads")]
    assert matrices.count((64, 32)) == 6
    assert matrices.count((32, 64)) == 2
