"""What a resumed capture takes from a directory, and what it refuses."""

import msgspec
import pytest

from attrib.capture import CaptureOptions, UserSupplied, capture, resume
from attrib.capture.session.capture_request import options_to_resume, request_from_options
from attrib.capture.session.checkpoint import Checkpoint
from attrib.capture.session.latencies import Latencies
from attrib.capture.storage.writer import TraceWriter, lock_directory
from attrib.capture.system.environment import describe_environment
from attrib.capture.workers.messages import Steps
from attrib.errors import AttribError, UsageError
from attrib.model.capture_request import CaptureRequest, Launch
from attrib.model.manifest import LATENCY, Manifest, Protocol, Side, Workload
from attrib.traces.directory.trace_directory import open_directory
from attrib.version import __version__

PROTOCOL = Protocol(rounds=4, iterations=2, profiled_rounds=4, profiled_iterations=2, seed=0)


def manifest(asked=None, source="built-in", model="two-linears", **more):
    workload = Workload(
        model=model, source=source, weights="w", batch_size=1, seq_len=8, inputs_sha256="same"
    )
    environment = describe_environment()
    return Manifest(
        attrib_version=__version__, created="2026-01-01T00:00:00Z", workload=workload, environment=environment,
        sides={}, asked=asked or CaptureRequest(), fingerprint="print", **more,
    )  # fmt: skip


def checkpoint_of(tmp_path, made=None, latencies=None, *, profiled=False):
    found = made or manifest(protocol=PROTOCOL)
    return Checkpoint(TraceWriter(tmp_path, existing=found), found, latencies or Latencies(), profiled)


def block(role, phase, number, start=0):
    return role, phase, number, Steps(start_ns=(start,), wall_ns=(5,), lead_in=0)


def test_options_come_back_as_they_were_asked_for():
    given = CaptureOptions(
        model="bert-base-uncased", batch_size=3, layers=2, providers=("openvino",), precision="bf16", autocast=True,
        provider_options=("device_type=CPU",), session_options=("execution_mode=parallel",), opset=18, padding=0.3,
        disabled_optimizers=("MatMulAddFusion",), optimize=("onnxslim",), dynamic_shapes=False, threads=2, rounds=5,
        warmup=7, iterations=9, seed=4, io_binding=True, task="text-classification", timeout=30.0, attention="eager",
        command="attrib profile ...", env=("MALLOC_TRIM_THRESHOLD_=1024",),
    )  # fmt: skip
    found = options_to_resume(
        manifest(request_from_options(given), model=given.model, command="attrib profile ..."), UserSupplied()
    )
    explicit = "OpenVINOExecutionProvider:device_type=CPU"
    assert found == msgspec.structs.replace(given, provider_options=(explicit,))


@pytest.mark.parametrize(
    ("asked", "more", "says"),
    [
        (CaptureRequest(), {"source": "factory", "model": "mine.py:make"}, "not built in"),
        (CaptureRequest(), {"source": "built-in", "model": "evil.py:make"}, "not built in"),
        (CaptureRequest(), {"source": "directory", "model": "/home/somebody/model"}, "not built in"),
        (CaptureRequest(), {"source": "module", "model": "Linear"}, "live module"),
        (CaptureRequest(onnx=True), {}, "an ONNX file of the user's"),
        (CaptureRequest(text=2), {}, "sentences"),
        (CaptureRequest(sentence_transformer=True), {}, "one of sentence-transformers"),
        (CaptureRequest(ort_python=True), {}, "another interpreter"),
        (CaptureRequest(provider_libraries=("plugin",)), {}, "provider libraries"),
        (CaptureRequest(env={"LD_PRELOAD": "libx.so"}), {}, "LD_PRELOAD"),
        (
            CaptureRequest(provider_options={"CPUExecutionProvider": {"load_config": "/etc/x"}}),
            {},
            "load_config",
        ),
    ],
)
def test_what_only_the_user_can_name_is_never_taken_from_a_directory(asked, more, says):
    with pytest.raises(UsageError, match=says) as caught:
        options_to_resume(manifest(asked, **more), UserSupplied())
    assert "--" in caught.value.hint or "handover" in caught.value.hint


@pytest.mark.parametrize(
    "asked",
    [
        CaptureRequest(session_options={"ep.context_file_path": "/etc/x"}),
        CaptureRequest(precision="fp7"),
        CaptureRequest(rounds=-1),
    ],
)
def test_options_that_no_capture_has_are_refused(asked):
    with pytest.raises((AttribError, UsageError)):
        options_to_resume(manifest(asked), UserSupplied())


def test_capture_of_an_older_attrib_cannot_be_resumed():
    older = msgspec.structs.replace(manifest(), asked=None)
    with pytest.raises(AttribError, match="older attrib"):
        options_to_resume(older, UserSupplied())


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("cpu", "another", "processor"),
        ("logical_cores", 999, "number of cores"),
        ("memory_bytes", 1, "memory"),
        ("python", "2.7", "version of Python"),
        ("accelerators", ("NVIDIA H100",), "accelerators"),
        ("packages", {"numpy": "0.1"}, "version of numpy"),
    ],
)
def test_other_machine_or_version_is_refused(tmp_path, field, value, says):
    found = manifest(protocol=PROTOCOL)
    here = found.environment
    checkpoint_of(tmp_path, found).check_environment(here)
    captured = msgspec.structs.replace(found, environment=msgspec.structs.replace(here, **{field: value}))
    with pytest.raises(AttribError, match=f"the {says} is not that of the capture"):
        checkpoint_of(tmp_path, captured).check_environment(here)


def test_other_attrib_model_engine_or_graph_is_refused(tmp_path):
    from onnx import helper

    side = Side(engine="torch", state="interrupted", folder="torch", version="2.0")
    ours = checkpoint_of(tmp_path, manifest(protocol=PROTOCOL))
    ours.check_model("same", "print")
    for given, says in ((("other", "print"), "other inputs"), (("same", "other"), "other weights")):
        with pytest.raises(AttribError, match=says):
            ours.check_model(*given)
    old = msgspec.structs.replace(ours.manifest, attrib_version="0.0.1", sides={"torch": side})
    with pytest.raises(AttribError, match="version of attrib"):
        checkpoint_of(tmp_path, old).check_environment(old.environment)
    checkpoint_of(tmp_path, old).check_engine("torch", "2.0")
    with pytest.raises(AttribError, match="version of torch"):
        checkpoint_of(tmp_path, old).check_engine("torch", "2.1")

    def graph(op, text):
        made = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g", [], [], doc_string=text)
        return helper.make_model(made).SerializeToString()

    ours.directory.write("onnx/exported.onnx", graph("Relu", "one"))
    ours.check_graph("onnx/exported.onnx", graph("Relu", "another remark"))
    with pytest.raises(AttribError, match="another one than in the capture"):
        ours.check_graph("onnx/exported.onnx", graph("Gelu", "one"))


def test_whole_rounds_stay_and_the_others_are_missing(tmp_path):
    steps = Latencies()
    for number in range(3):
        steps.add(*block("torch", "plain", number))
        if number != 1:
            steps.add(*block("onnxruntime", "plain", number))
        steps.add(*block("torch", "profiled", number))
    found = checkpoint_of(tmp_path, latencies=steps)
    assert found.missing() == {"plain": {1, 3}, "profiled": {0, 1, 2, 3}}
    with found.directory.create(LATENCY) as stream:
        steps.write(stream)
    found.directory.write_manifest(found.manifest)
    found.drop_what_is_measured_again(launch=2)
    assert (tmp_path / LATENCY).exists(), "listed in the manifest on the disk until the next one"
    found.directory.write_manifest(found.manifest)
    table = open_directory(tmp_path).latency()
    assert {(e, p, b) for e, p, b in zip(table.engine, table.phase, table.block.tolist(), strict=True)} == {
        (role, "plain", number) for role in ("torch", "onnxruntime") for number in (0, 2)
    }
    assert not (tmp_path / LATENCY).exists()


def test_whole_profiles_stay(tmp_path):
    steps = Latencies()
    for role in ("torch", "onnxruntime"):
        for number in range(4):
            steps.add(*block(role, "plain", number))
    assert checkpoint_of(tmp_path, latencies=steps, profiled=True).is_measured
    assert not checkpoint_of(tmp_path, latencies=steps).is_measured


def test_complete_capture_has_nothing_to_resume(tmp_path):
    sides = {role: Side(engine=role, state="complete", folder=role) for role in ("torch", "onnxruntime")}
    whole = msgspec.structs.replace(manifest(launches=(Launch(started="2026-01-01T00:00:00Z"),)), sides=sides)
    TraceWriter(tmp_path).write_manifest(whole)
    assert resume(tmp_path) is False


@pytest.mark.parametrize("content", [None, "notes.txt"])
def test_foreign_or_empty_directory_is_one_line(tmp_path, content):
    if content:
        (tmp_path / content).write_text("mine")
    with pytest.raises(AttribError, match="holds no capture that could be resumed") as caught:
        resume(tmp_path)
    assert "attrib profile --model" in caught.value.hint


def test_file_that_is_not_what_the_manifest_says_is_refused_and_nothing_is_changed(tmp_path):
    directory = TraceWriter(tmp_path)
    directory.write("inputs.npz", b"x")
    directory.write_manifest(manifest(protocol=PROTOCOL))
    (tmp_path / "inputs.npz").write_bytes(b"y")
    (tmp_path / "outputs.json.partial").write_bytes(b"half")
    with pytest.raises(AttribError, match="changed or damaged"):
        resume(tmp_path)
    assert (tmp_path / "outputs.json.partial").exists()
    lock_directory(tmp_path).release()


def test_link_in_the_place_of_a_folder_is_not_written_through(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere/trace.json.gz.partial").write_text("not ours")
    (tmp_path / "out/torch").symlink_to(tmp_path / "elsewhere")
    directory = TraceWriter(tmp_path / "out", existing=manifest())
    directory.clean()
    with pytest.raises(AttribError, match="is a link"):
        directory.write("torch/trace.json.gz", b"x")
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["trace.json.gz.partial"]


def test_options_of_a_new_capture_are_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UsageError, match="--timeout must be at least 0"):
        capture(CaptureOptions(model="two-linears", output=tmp_path / "out", timeout=-1))
    assert not (tmp_path / "out").exists()
