"""What became of the nodes of one graph to the next, and who did it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.lineage.rewrites import UNKNOWN, rewrites, sentence
from attrib.model.tensor import Tensor


def graph(*nodes, constants=(), inputs=("x",), values=None):
    """A graph of `(op, inputs, outputs, name)`; a node is named for its outputs."""
    made = []
    for index, (op, reads, writes, *name) in enumerate(nodes):
        domain, _, op_type = op.rpartition("::")
        made.append(
            GraphNode(
                name=name[0] if name else f"node_{writes}", index=index, op=op_type, domain=domain,
                inputs=tuple(reads.split()), outputs=tuple(writes.split()),
            )
        )  # fmt: skip
    return Graph(
        nodes=tuple(made), inputs=tuple(inputs), outputs=made[-1].outputs if made else (),
        constants=frozenset(constants), values=values or {}, opset=20,
    )  # fmt: skip


def told(before, after, tool=""):
    return [sentence(step, before, after) for step in rewrites(before, after, tool)]


LINEAR = graph(("MatMul", "x w", "m"), ("Add", "m b", "y"), constants="wb")
GEMM = graph(
    ("Reshape", "x s", "r", "gemm_input_reshape"), ("Gemm", "r w b", "g", "n0/MatMulAddFusion"),
    ("Reshape", "g t", "y", "gemm_output_reshape"), constants="wbst",
)  # fmt: skip


def test_nodes_with_the_same_op_and_outputs_are_unchanged():
    assert told(LINEAR, LINEAR) == ["MatMul unchanged", "Add unchanged"]


def test_a_fusion_is_named_by_the_mark_that_it_leaves():
    assert told(LINEAR, GEMM) == ["MatMul + Add → Reshape, Gemm, Reshape by MatMulAddFusion"]


def test_an_offline_tool_is_named_as_such():
    assert told(LINEAR, GEMM, "onnxscript 0.5 (offline)") == [
        "MatMul + Add → Reshape, Gemm, Reshape by onnxscript 0.5 (offline)"
    ]


def test_a_rewrite_without_a_mark_is_by_the_optimizer_as_a_whole():
    after = graph(("com.example::Odd", "x w b", "y"), constants="wb")
    assert told(LINEAR, after) == [f"MatMul + Add → Odd by {UNKNOWN}"]


def test_renamed_values_are_no_rewrite():
    after = graph(("MatMul", "x w", "m2"), ("Add", "m2 b", "y"), constants="wb")
    assert {step.kind for step in rewrites(LINEAR, after)} == {"unchanged"}


@pytest.mark.parametrize(
    ("shape", "fate"),
    [((2, 3), ("folded", "ConstantFolding")), ((-1, 3), ("removed", UNKNOWN)), (None, ("removed", UNKNOWN))],
)
def test_work_that_no_input_reaches_is_folded_unless_its_shape_is_open(shape, fate):
    values = {} if shape is None else {"x": Tensor("float", shape)}
    before = graph(
        ("Shape", "x", "s"), ("Gather", "s i", "d"), ("Reshape", "x d", "y"), constants="i", values=values
    )
    after = graph(("Reshape", "x d2", "y"), constants=("d2",))
    assert [(s.kind, s.by) for s in rewrites(before, after)] == [fate, fate, ("unchanged", "")]


def test_the_second_of_two_equal_nodes_is_merged_and_what_reads_it_too():
    before = graph(
        ("Exp", "x", "a"), ("Exp", "x", "b"), ("Neg", "a", "c"), ("Neg", "b", "d"), ("Add", "c d", "y"),
    )  # fmt: skip
    after = graph(("Exp", "x", "a"), ("Neg", "a", "c"), ("Add", "c c", "y"))
    kinds = {before.nodes[s.before[0]].outputs[0]: (s.kind, s.by) for s in rewrites(before, after)}
    merged = ("merged", "CommonSubexpressionElimination")
    assert kinds == {
        "a": ("unchanged", ""),
        "b": merged,
        "c": ("unchanged", ""),
        "d": merged,
        "y": ("unchanged", ""),
    }


@pytest.mark.parametrize(
    ("op", "by"), [("Dropout", "EliminateDropout"), ("Identity", "EliminateIdentity"), ("Odd", UNKNOWN)]
)
def test_a_node_of_which_nothing_is_left_was_removed(op, by):
    before = graph((op, "x", "a"), ("Neg", "a", "y"))
    after = graph(("Neg", "x", "y"))
    assert [(s.kind, s.by) for s in rewrites(before, after)] == [("removed", by), ("unchanged", "")]


def test_a_copy_that_was_put_in_is_added():
    before = graph(("Exp", "x", "a"), ("Neg", "a", "y"))
    after = graph(("Exp", "x", "a"), ("MemcpyToHost", "a", "a2", "Memcpy"), ("Neg", "a2", "y"))
    assert "MemcpyToHost added by MemcpyTransformer" in told(before, after)


def test_many_nodes_are_counted_in_the_sentence():
    before = graph(*[("Neg", f"v{i}" if i else "x", f"v{i + 1}") for i in range(9)], ("Exp", "v9", "y"))
    after = graph(("Odd", "x", "y"))
    assert told(before, after) == [f"Neg ×9 + Exp → Odd by {UNKNOWN}"]


def test_nodes_without_outputs_names_or_inputs_do_no_harm():
    empty = graph(("Odd", "", "", ""), ("Odd", "", "", ""), ("Neg", "x", "y", ""))
    covered = [i for step in rewrites(empty, empty) for i in step.before]
    assert sorted(covered) == [0, 1, 2]


@st.composite
def graphs(draw):
    """A graph whose values may have the names of another one's."""
    names = iter(draw(st.permutations([f"v{i}" for i in range(12)])))
    known, nodes = ["x", "w"], []
    for _ in range(draw(st.integers(0, 8))):
        reads = draw(st.lists(st.sampled_from(known), max_size=3))
        name = next(names)
        nodes.append(
            (draw(st.sampled_from(["Add", "Cast", "Shape", "MatMul", "Transpose"])), " ".join(reads), name)
        )
        known.append(name)
    return graph(*nodes, constants="w")


@given(graphs(), graphs(), st.sampled_from(["", "tool"]))
def test_every_node_of_either_graph_is_in_exactly_one_step(before, after, tool):
    steps = rewrites(before, after, tool)
    assert sorted(i for step in steps for i in step.before) == list(range(len(before.nodes)))
    assert sorted(i for step in steps for i in step.after) == list(range(len(after.nodes)))
    assert all(step.kind == "unchanged" or step.by for step in steps)
    assert all(sentence(step, before, after) for step in steps)
