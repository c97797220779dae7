"""The options of a capture from its manifest: nothing runs, and no file is opened, because a directory says so."""

import onnx
import pytest
from msgspec.structs import replace
from onnx import TensorProto, helper

from attrib.capture.session.capture_request import request_from_options
from attrib.capture.session.commands import new_side
from attrib.capture.session.request_from_manifest import options_of, recorded_options
from attrib.errors import AttribError, UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import Protocol, Rewrite
from attrib.rewrite.files import strip_graph
from attrib.verify.identity import check_graph, check_inputs
from tests.verify import fakes


def of_workload(**changes):
    manifest = fakes.manifest_of()
    return replace(manifest, workload=replace(manifest.workload, **changes))


def of_side(role, **changes):
    manifest = fakes.manifest_of()
    return replace(manifest, sides=manifest.sides | {role: replace(manifest.sides[role], **changes)})


def test_small_example_gives_the_options_that_made_it():
    expected = CaptureOptions(
        model="two-linears", batch_size=64, opset=20, threads=2, providers=("CPUExecutionProvider",)
    )
    assert options_of(fakes.manifest_of()) == expected


def test_numbers_among_the_variables_come_back_and_anything_else_is_named_again():
    given = CaptureOptions(model="two-linears", env=("MALLOC_TRIM_THRESHOLD_=1024", "CACHE=/home/somebody/x"))
    manifest = replace(fakes.manifest_of(), asked=request_from_options(given))
    assert manifest.asked.env == {"MALLOC_TRIM_THRESHOLD_": "1024", "CACHE": "x"}
    assert recorded_options(manifest).env == ("MALLOC_TRIM_THRESHOLD_=1024",)
    with pytest.raises(UsageError, match="variable CACHE"):
        options_of(manifest)
    assert options_of(manifest, env=("CACHE=/y",)).env == ("MALLOC_TRIM_THRESHOLD_=1024", "CACHE=/y")


def test_everything_that_bears_on_speed_comes_back():
    asked = CaptureOptions(
        model="bert-base-uncased", batch_size=8, seq_len=32, layers=2, precision="bf16", autocast=True,
        exporter="torchscript", opset=17, opt_level="extended", attention="eager", torch_mode="compile", threads=3,
        seed=7, io_binding=True, task="fill-mask", padding=0.25, dynamic_shapes=True, rounds=9, iterations=4,
        optimize=("onnxslim", "onnxscript"), session_options=("session.intra_op.allow_spinning=0", "enable_mem_pattern=0"),
        disabled_optimizers=("MatMulAddFusion",), providers=("CPUExecutionProvider",),
    )  # fmt: skip
    rewrites = tuple(Rewrite(name=name, tool="t", graph=f"onnx/{name}.onnx") for name in asked.optimize)
    ort = replace(
        new_side(asked, "onnxruntime", "ort", 3), state="complete", rewrites=rewrites,
        settings={"io_binding": "true", "shapes": "dynamic"},
    )  # fmt: skip
    torch = replace(
        new_side(asked, "torch", "torch", 3),
        state="complete",
        settings={"autocast": "bf16", "attention": "eager"},
    )
    manifest = of_workload(
        model="bert-base-uncased", batch_size=8, seq_len=32, layers=2, precision="bf16", seed=7, padding=0.25,
        task="fill-mask",
    )  # fmt: skip
    protocol = Protocol(rounds=9, iterations=4, profiled_rounds=9, profiled_iterations=2, seed=7)
    manifest = replace(manifest, protocol=protocol, sides={"torch": torch, "onnxruntime": ort})
    assert options_of(manifest) == asked


@pytest.mark.parametrize("source", ["factory", "directory", "hub", "module", "built-in"])
@pytest.mark.parametrize("model", ["evil.py:run", "/etc", "someone/model", "../x"])
def test_model_of_a_directory_is_never_run_unless_the_user_names_it(source, model):
    manifest = of_workload(source=source, model=model)
    with pytest.raises(UsageError, match="attrib runs no model because a trace directory names it") as caught:
        options_of(manifest)
    assert "--model" in caught.value.hint
    assert options_of(manifest, model="mine.py:make").model == "mine.py:make"


def test_factory_keeps_its_own_sizes():
    manifest = of_workload(source="factory", model="mine.py:make", batch_size=8, seq_len=5)
    options = options_of(manifest, model="mine.py:make")
    assert (options.batch_size, options.seq_len, options.layers) == (None, None, None)


def test_directory_that_looks_like_the_built_in_model_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "two-linears").mkdir()
    with pytest.raises(UsageError, match="here is a file or directory"):
        options_of(fakes.manifest_of())


def test_own_graph_must_be_named_again(tmp_path):
    manifest = of_side("onnxruntime", exporter="file")
    with pytest.raises(UsageError, match="an ONNX file of the user's"):
        options_of(manifest)
    options = options_of(manifest, onnx=tmp_path / "mine.onnx")
    assert (options.onnx, options.opset, options.dynamic_shapes) == (tmp_path / "mine.onnx", None, False)
    with pytest.raises(UsageError, match="brought no file"):
        options_of(fakes.manifest_of(), onnx=tmp_path / "mine.onnx")


def test_sentences_must_be_given_again():
    with pytest.raises(UsageError, match="ran on sentences"):
        options_of(of_workload(model="bert-base-uncased", text=True))
    assert options_of(of_workload(model="bert-base-uncased", text=True), text=["one"]).text == ("one",)
    with pytest.raises(UsageError, match="without sentences"):
        options_of(fakes.manifest_of(), text=["one"])


@pytest.mark.parametrize(
    "key",
    ["ep.context_file_path", "session.optimized_model_filepath", "session.collect_node_memory_stats_to_file"],
)
def test_session_option_that_may_name_a_file_is_refused(key):
    with pytest.raises(AttribError, match="does not take from a trace directory"):
        options_of(of_side("onnxruntime", session_options={key: "/tmp/x"}))


@pytest.mark.parametrize(
    "manifest",
    [
        of_side("onnxruntime", opt_level="ludicrous"),
        of_side("torch", mode="exec"),
        of_side("torch", settings={"attention": "flash_attention_9"}),
        of_workload(precision="fp3"),
    ],
)
def test_manifest_that_no_capture_wrote_is_one_line(manifest):
    with pytest.raises(AttribError, match="not the options of a capture") as caught:
        options_of(manifest)
    assert "\n" not in str(caught.value)


def test_rewrite_that_there_is_not_is_refused():
    rewrite = Rewrite(name="os.system", tool="t", graph="onnx/x.onnx")
    with pytest.raises(UsageError, match="unknown rewrite"):
        options_of(of_side("onnxruntime", rewrites=(rewrite,)))


def test_capture_of_one_engine_or_of_one_twice_is_refused():
    manifest = fakes.manifest_of()
    with pytest.raises(AttribError, match="one engine only"):
        recorded_options(replace(manifest, sides={"torch": manifest.sides["torch"]}))
    twice = manifest.sides | {"onnxruntime": manifest.sides["torch"]}
    with pytest.raises(AttribError, match="against itself"):
        recorded_options(replace(manifest, sides=twice))


@pytest.mark.parametrize(
    ("changes", "device"),
    [
        ({}, "cpu"),
        ({"command": "attrib profile --model x --device cuda"}, "cuda"),
        ({"command": "attrib profile --device cpu --device=cuda"}, "cuda"),
        ({"command": "attrib 'unclosed"}, "cpu"),
    ],
)
def test_device_is_that_of_the_command(changes, device):
    assert recorded_options(replace(fakes.manifest_of(), **changes)).device == device


def test_threads_of_the_session_are_not_taken_for_those_of_both_engines():
    manifest = of_side("onnxruntime", threads=1, session_options={"intra_op_num_threads": "1"})
    options = options_of(manifest)
    assert (options.threads, options.session_options) == (2, ("intra_op_num_threads=1",))


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"text": True}, "--text"),
        ({"source": "factory"}, "seed it"),
        ({"source": "directory"}, "--model with the directory"),
        ({}, "versions"),
    ],
)
def test_other_inputs_name_the_option_that_is_likely_missing(changes, hint):
    with pytest.raises(AttribError, match="other inputs than in the capture") as caught:
        check_inputs(of_workload(**changes), "others")
    assert hint in caught.value.hint
    check_inputs(of_workload(**changes), "same")


def graph_file(path, op):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], name="n")], "g", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def test_another_graph_than_the_captured_one_is_refused(tmp_path):
    first, other = graph_file(tmp_path / "a.onnx", "Neg"), graph_file(tmp_path / "b.onnx", "Abs")
    captured = strip_graph(first)
    check_graph(captured, first)
    check_graph(None, other)
    with pytest.raises(AttribError, match=r"b\.onnx holds another graph"):
        check_graph(captured, other)
