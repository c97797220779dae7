"""Rewrites without engines: their names, what is refused, copies with weights, and what the user is told."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from attrib.capture.config.options import check_options
from attrib.capture.session.graphs import SavedModels
from attrib.capture.workload.differences import note_on_outputs
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import SURPLUS, TOLERANCES, OutputDifference
from attrib.rewrite.convert import vary
from attrib.rewrite.files import copy_graph, save_graph, shapes_of
from attrib.rewrite.fuse import rename_invented
from attrib.rewrite.registry import REWRITES, lowest_precision


def options(**changes):
    return CaptureOptions(model="bert-base-uncased", **changes)


@pytest.mark.parametrize(
    ("wrong", "says", "hint"),
    [
        ({"optimize": ("onnxslin",)}, "unknown rewrite 'onnxslin'", "did you mean onnxslim"),
        ({"optimize": ("zzz",)}, "unknown rewrite 'zzz'", "ort-transformers"),
        ({"optimize": "onnxslim2"}, "unknown rewrite 'onnxslim2'", "onnxslim"),
        ({"optimize": ("onnxslim",), "against_itself": "torch"}, "--optimize has no use", ""),
        ({"save_models": Path("x"), "against_itself": "torch"}, "--save-models has no use", ""),
        ({"dynamic_shapes": True, "onnx": Path("m.onnx")}, "--dynamic-shapes applies to an export", ""),
        (
            {"optimize": ("int8-qdq",), "precision": "fp16"},
            "begins with a float32 graph, not with fp16",
            "fp32",
        ),
        (
            {"optimize": ("float16", "int8-dynamic")},
            "begins with a float32 graph, not with fp16",
            "before it",
        ),
        ({"precision": "int8"}, "PyTorch cannot run the model in int8", "--optimize int8-dynamic"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(wrong, says, hint):
    with pytest.raises(UsageError, match=says) as caught:
        check_options(options(**wrong))
    assert hint in caught.value.hint


def test_every_rewrite_is_accepted_and_its_function_exists():
    import importlib

    for name, rewriter in REWRITES.items():
        check_options(options(optimize=(name,)))
        module, function = rewriter.function.split(":")
        assert callable(getattr(importlib.import_module(f"attrib.rewrite.{module}"), function))


def test_graph_exported_for_autocast_is_a_float32_graph(tmp_path):
    from attrib.capture.session.graphs import chain_from_file

    autocast = options(optimize=("int8-dynamic",), precision="bf16", autocast=True)
    check_options(autocast)
    onnx.save(graph_with_weights(), tmp_path / "a.onnx")
    chain = chain_from_file(tmp_path / "a.onnx", 17)
    assert chain.side_facts(autocast)["settings"]["precision"] == "int8"
    assert chain.side_facts(options(precision="bf16", autocast=True))["settings"]["precision"] == "fp32"


def test_help_names_every_rewrite():
    from click.testing import CliRunner

    from attrib.cli.profile import command

    text = " ".join(CliRunner().invoke(command, ["--help"], terminal_width=200).output.split())
    text = text.replace("- ", "-")  # names are wrapped at their hyphens
    levels = re.fullmatch("optimum-o([1-4])", "optimum-o1")
    assert levels
    for name in REWRITES:
        assert name in text.replace("optimum-o1 to optimum-o4", " ".join(f"optimum-o{i}" for i in "1234"))


@pytest.mark.parametrize(
    ("precision", "names", "lowest"),
    [
        ("fp32", (), "fp32"),
        ("fp32", ("onnxslim",), "fp32"),
        ("bf16", ("onnxslim",), "bf16"),
        ("fp32", ("optimum-o4",), "fp16"),
        ("bf16", ("float16",), "bf16"),
        ("fp16", ("onnxslim", "int8-qdq"), "int8"),
    ],
)
def test_roughest_precision_decides_the_tolerance(precision, names, lowest):
    assert lowest_precision(precision, names) == lowest
    assert TOLERANCES[lowest] >= TOLERANCES[precision]


def row(*, equal, reason=""):
    return OutputDifference(
        name="y",
        shape=(1,),
        max_abs=0.5,
        max_rel=0.5,
        cosine=0.9,
        tolerance=0.1,
        equal=equal,
        reason=reason,
    )


def test_mismatch_after_a_conversion_is_said_to_be_expected_and_not_hidden():
    note = note_on_outputs((row(equal=False),), options(optimize=("onnxslim", "int8-dynamic")))
    assert "differ beyond the tolerance of int8 (0.1" in note
    assert "--optimize int8-dynamic computes in int8" in note
    assert "a difference is expected" in note


def test_widened_tolerance_is_said_even_where_the_outputs_agree():
    note = note_on_outputs((row(equal=True),), options(optimize=("float16",)))
    assert "agree within the tolerance of fp16 (0.01" in note


def test_without_a_conversion_only_a_mismatch_is_worth_a_note():
    assert note_on_outputs((row(equal=True),), options(optimize=("onnxslim",))) == ""
    assert "beyond the tolerance" in note_on_outputs((row(equal=False),), options())
    assert note_on_outputs((row(equal=True), row(equal=False, reason=SURPLUS)), options()) == ""


def graph_with_weights(size=4096, batch=2):
    weights = numpy_helper.from_array(np.arange(size, dtype=np.float32).reshape(-1, 1), "w")
    value = helper.make_tensor_value_info
    ends = [value("x", TensorProto.FLOAT, [batch, size])], [value("y", TensorProto.FLOAT, [batch, 1])]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", *ends, [weights])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_weights_lie_beside_the_graph(tmp_path):
    save_graph(graph_with_weights(), tmp_path / "a.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "a.onnx.data"]
    assert (tmp_path / "a.onnx").stat().st_size < 1000


def test_copy_brings_its_weights_under_its_own_name_and_leaves_the_source_alone(tmp_path):
    (tmp_path / "to").mkdir()
    save_graph(graph_with_weights(), tmp_path / "a.onnx")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("a.*")}
    copy_graph(tmp_path / "a.onnx", tmp_path / "to/b.onnx")
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["b.onnx", "b.onnx.data"]
    copied = onnx.load(str(tmp_path / "to/b.onnx"))
    assert numpy_helper.to_array(copied.graph.initializer[0]).sum() == sum(range(4096))
    assert {path.name: path.read_bytes() for path in tmp_path.glob("a.*")} == before


def test_copy_finds_weights_beside_the_graph_that_it_was_made_from(tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "optimized").mkdir()
    save_graph(graph_with_weights(), tmp_path / "a.onnx")
    (tmp_path / "a.onnx").rename(tmp_path / "optimized/a.onnx")
    copy_graph(tmp_path / "optimized/a.onnx", tmp_path / "to/b.onnx", tmp_path)
    assert onnx.load(str(tmp_path / "to/b.onnx")).graph.initializer[0].raw_data


@pytest.mark.parametrize(("batch", "shapes"), [(2, "static"), ("batch", "dynamic"), (None, "dynamic")])
def test_shapes_are_read_from_the_graph(tmp_path, batch, shapes):
    onnx.save(graph_with_weights(batch=batch), tmp_path / "a.onnx")
    assert shapes_of(tmp_path / "a.onnx") == shapes


def test_only_values_that_the_source_does_not_know_are_renamed():
    source = graph_with_weights().graph
    fused = graph_with_weights().graph
    fused.initializer.append(numpy_helper.from_array(np.ones(1, np.float32), "gemm_shape"))
    fused.node[0].output[0] = "gemm_out"
    fused.node.append(helper.make_node("Add", ["gemm_out", "gemm_shape"], ["y"]))
    rename_invented(fused, source, "one")
    assert [list(node.input) for node in fused.node] == [["x", "w"], ["gemm_out/one", "gemm_shape/one"]]
    assert [list(node.output) for node in fused.node] == [["gemm_out/one"], ["y"]]
    assert [tensor.name for tensor in fused.initializer] == ["w", "gemm_shape/one"]


def test_variations_are_seeded_and_stay_what_a_model_accepts():
    tokens = np.arange(12, dtype=np.int64).reshape(2, 6)
    first, second = (vary(tokens, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, tokens)
    assert np.array_equal(np.sort(first), tokens)
    scaled = vary(np.ones((2, 3), np.float32), np.random.default_rng(3))
    assert scaled.dtype == np.float32
    assert 0.8 <= scaled.min() == scaled.max() <= 1.2
    assert vary(np.array(2), np.random.default_rng(3)) == 2
    assert vary(np.array([True]), np.random.default_rng(3)).tolist() == [True]


def test_models_are_not_saved_where_something_else_lies(tmp_path):
    used = tmp_path / "used"
    used.mkdir()
    (used / "thesis.txt").write_text("x")
    with pytest.raises(UsageError, match="not empty") as caught:
        SavedModels(used, tmp_path / "out", force=False)
    assert "--force" in caught.value.hint
    SavedModels(used, tmp_path / "out", force=True)
    with pytest.raises(UsageError, match="not a directory"):
        SavedModels(used / "thesis.txt", tmp_path / "out", force=True)


@pytest.mark.parametrize("inside", ["out", "out/models"])
def test_weights_stay_out_of_the_trace_directory(tmp_path, inside):
    with pytest.raises(UsageError, match="weights stay out"):
        SavedModels(tmp_path / inside, tmp_path / "out", force=True)


def test_graphs_of_an_older_capture_are_cleared_and_nothing_else(tmp_path):
    from attrib.capture.storage.writer import TraceWriter

    (tmp_path / "onnx").mkdir()
    for name in ("rewritten-1.onnx", "rewritten-12.onnx", "rewritten-mine.onnx"):
        (tmp_path / "onnx" / name).write_bytes(b"old")
    TraceWriter(tmp_path, force=True).write("inputs.npz", b"new")
    assert [path.name for path in (tmp_path / "onnx").iterdir()] == ["rewritten-mine.onnx"]
