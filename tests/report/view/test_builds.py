"""Two builds of ONNX Runtime in words: the claim, what it rests on, and a table that sums to the change."""

import io

import msgspec
import pytest
from rich.console import Console

from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.model.experiment import BuildComparison, BuildNodes, ExperimentResult, NodeChange, RuntimeBuild
from attrib.model.manifest import OutputDifference
from attrib.report.files import render
from attrib.report.terminal.builds import print_builds
from attrib.report.view.builds import MOST_NODES, builds_view
from tests.report.factory import document

MS = 1_000_000
EVIL = "</script><img src=x onerror=alert(1)>|\x1b[31m"


def delta(median, half):
    return Delta(median=median, low=median - half, high=median + half)


def change(name, before, after, *, certain=False, fused=False):
    ops = ("Gemm",) if fused else ("Add", "MatMul")
    told = ("MatMul + Add → Gemm by MatMulAddFusion",) if fused else ()
    return NodeChange(
        module=name, exported=("Add", "MatMul"), count=2,
        before=BuildNodes(ops=("Add", "MatMul"), nodes=("mm", "add"), ns=before),
        after=BuildNodes(ops=ops, nodes=("gemm",), more=3, rewrites=told, ns=after),
        change_ns=delta(after - before, 10), rewritten=fused, certain=certain,
    )  # fmt: skip


def builds(*changes, versions=("1.31.0", "1.22.1"), **more):
    sides = []
    for version, side in zip(versions, ("before", "after"), strict=True):
        whole = sum(getattr(one, side).ns for one in changes) + more.get(f"left_out_{side}_ns", 0)
        sides.append(
            RuntimeBuild(
                package="onnxruntime", version=version, python="3.11.7", nodes=40, node_ns=whole,
                outside_ns=MS // 10,
            )
        )  # fmt: skip
    return BuildComparison(before=sides[0], after=sides[1], changes=changes, launches=3, **more)


def result(compared, *, saving=-MS, ratio=0.8, significant=True, settled=True, **more):
    before, after = (Estimate(median=ns, low=ns - 9, high=ns + 9, n=60) for ns in (4 * MS, 4 * MS - saving))
    output = OutputDifference(
        name="logits", shape=(2,), max_abs=3e-6, max_rel=7e-7, cosine=1.0, tolerance=1e-4, equal=True
    )
    return ExperimentResult(
        id="against-onnxruntime-1.22.1", title="onnxruntime 1.22.1 in place of onnxruntime 1.31.0",
        side="onnxruntime", state="measured", baseline_ns=before, variant_ns=after, saving_ns=delta(saving, 90_000),
        ratio=Ratio(value=ratio, low=ratio - 0.01, high=ratio + 0.01), significant=significant, settled=settled,
        builds=compared, **({"outputs": (output,), "outputs_equal": True} | more),
    )  # fmt: skip


ROWS = (change("layer.*", 2 * MS, 3 * MS, certain=True, fused=True), change("head", MS, MS + 40))


@pytest.mark.parametrize(
    ("changes", "sentence", "tone"),
    [
        ({}, "onnxruntime 1.22.1 is 1.25× slower (1.23 to 1.27) than onnxruntime 1.31.0", "slower"),
        ({"saving": MS, "ratio": 1.25}, "onnxruntime 1.22.1 is 1.25× faster (1.24 to 1.26) than onnxruntime 1.31.0",
         "faster"),
        ({"significant": False}, "No significant difference between onnxruntime 1.31.0 and onnxruntime 1.22.1", "same"),
        ({"settled": False}, "Not settled whether onnxruntime 1.22.1 is faster or slower than onnxruntime 1.31.0", "none"),
    ],
)  # fmt: skip
def test_claim_is_no_more_than_the_interval_says(changes, sentence, tone):
    view = builds_view(result(builds(*ROWS), **changes))
    assert (view.sentence, view.tone) == (sentence, tone)


def test_same_build_is_said_to_be_one():
    same = builds(*ROWS, versions=("1.31.0", "1.31.0"))
    said = [
        builds_view(result(same, significant=s, settled=t)).sentence
        for s, t in ((False, True), (True, True), (False, False))
    ]
    assert all(text.startswith("onnxruntime 1.31.0 against itself (A/A") for text in said)
    assert [text.rpartition(": ")[2] for text in said] == [
        "no significant difference", "the second is 1.25× slower (1.23 to 1.27)", "not settled",
    ]  # fmt: skip


def test_figures_hold_both_steps_the_ratio_and_the_largest_difference_of_the_outputs():
    view = builds_view(result(builds(*ROWS)))
    assert "onnxruntime 1.31.0 4.0" in view.figures
    assert "onnxruntime 1.22.1 5.0" in view.figures
    assert "ratio 0.8" in view.figures
    assert "outputs within the tolerance of 0.0001: logits at most 3e-06 apart" in view.figures
    assert "40 nodes take 3.000 ms, then 40 take 4.000 ms" in view.profile


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ((), "outputs not compared"),
        ((("a", 1.0, False, ""), ("b", 9.0, True, "")), "outputs beyond the tolerance of 0.0001: a at most 1 apart"),
        ((("a", 0.0, False, "shapes differ"),), "outputs differ: a: shapes differ"),
    ],
)  # fmt: skip
def test_outputs_that_are_no_more_the_same_are_said(outputs, says):
    rows = tuple(
        OutputDifference(
            name=name, shape=(1,), max_abs=apart, max_rel=apart, cosine=1.0, tolerance=1e-4, equal=equal, reason=why
        )
        for name, apart, equal, why in outputs
    )  # fmt: skip
    equal = all(row.equal for row in rows) if rows else None
    assert says in builds_view(result(builds(*ROWS), outputs=rows, outputs_equal=equal)).figures


def test_rows_sum_to_the_change_and_what_is_left_out_is_counted():
    many = [change(f"layer.{i}", MS, MS + i) for i in range(MOST_NODES + 5)]
    compared = builds(*many, left_out=7, left_out_before_ns=50, left_out_after_ns=60)
    view = builds_view(result(compared))
    *told, others, whole = view.nodes
    assert len(told) == MOST_NODES
    assert others.label == "All other nodes (12 rows)"
    assert sum(row.change_ns for row in (*told, others)) == whole.change_ns
    assert whole.change_ns == compared.after.node_ns - compared.before.node_ns


def test_row_of_other_nodes_says_which_build_fused_and_what_it_is_called():
    fused, same, _ = builds_view(result(builds(*ROWS))).nodes
    assert fused.label == "2 × layer.*: Add, MatMul"
    assert (fused.tone, same.tone) == ("slower", "same")
    assert fused.detail == (
        "Add, MatMul → Gemm · only in 1.22.1: MatMul + Add → Gemm by MatMulAddFusion"
        " · nodes mm, add → gemm and 3 more"
    )


def test_another_experiment_has_no_such_view():
    assert builds_view(result(None)) is None


@pytest.mark.parametrize("form", ["html", "markdown", "terminal", "json"])
def test_every_form_shows_it_and_takes_names_as_text(form):
    compared = builds(change(EVIL, MS, 2 * MS, fused=True), remarks=(EVIL,))
    shown = msgspec.structs.replace(document(), experiments=(result(compared),))
    text = render(shown, form).decode()
    assert "1.22.1" in text
    if form == "json":
        return
    assert ("MatMulAddFusion" in text) == (form != "terminal")
    assert "<img" not in text.lower() or form == "terminal"
    assert "\x1b" not in text.replace("\x1b[0m", "") or form == "terminal"
    assert "\x1b[31m" not in text


def test_terminal_lists_what_became_other_nodes():
    out = io.StringIO()
    print_builds(Console(file=out, width=160), builds_view(result(builds(*ROWS))))
    text = out.getvalue()
    assert "Nodes: before onnxruntime 1.31.0, after onnxruntime 1.22.1" in text
    assert "only in 1.22.1: MatMul + Add → Gemm by MatMulAddFusion" in text
    assert text.count("All nodes") == 1
