"""ONNX Runtime under another interpreter: which are refused and how, what a worker needs there, what is recorded."""

import os
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import msgspec
import pytest

from attrib.api import load
from attrib.capture import CaptureOptions, capture
from attrib.capture.session.worker_pool import Workers
from attrib.capture.system import interpreter
from attrib.capture.system.interpreter import NEEDED, check_interpreter, foreign_environment, without_paths
from attrib.capture.workers.process import Worker, worker_environment
from attrib.errors import AttribError, UsageError
from attrib.model.manifest import Manifest

VERSION = ".".join(map(str, sys.version_info[:3]))


def program(folder, text):
    """A program of this text that stands where an interpreter should."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """An environment that holds what ONNX Runtime's worker needs, and no other package: not even pip."""
    folder = tmp_path_factory.mktemp("bare") / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    for name in NEEDED:
        package = Path(__import__(name).__file__).parent
        for part in (package, package.with_name(f"{package.name}.libs")):
            if part.exists():
                (site / part.name).symlink_to(part)
    return folder / "bin/python"


def test_path_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no") as caught:
        check_interpreter(tmp_path / "nothing")
    assert "venv" in caught.value.hint


def test_environment_in_place_of_its_interpreter_is_told_apart(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").touch()
    with pytest.raises(UsageError, match="is a directory") as caught:
        check_interpreter(tmp_path)
    assert caught.value.hint == f"--ort-python {tmp_path / 'bin/python'}"


def test_file_that_cannot_be_run_is_refused(tmp_path):
    file = tmp_path / "python"
    file.write_text("no program")
    file.chmod(0o600)
    with pytest.raises(UsageError, match="not executable"):
        check_interpreter(file)


@pytest.mark.parametrize("text", ["exit 0", "echo hello", "echo 'attrib-interpreter {nonsense'", "exit 3"])
def test_program_that_is_no_python_is_refused(tmp_path, text):
    with pytest.raises(AttribError, match="no Python interpreter that works"):
        check_interpreter(program(tmp_path, text))


def test_binary_that_the_system_refuses_is_no_python(tmp_path):
    path = tmp_path / "python"
    path.write_bytes(b"\x7fELF nonsense")
    path.chmod(0o700)
    with pytest.raises(AttribError, match="no Python interpreter that works"):
        check_interpreter(path)


def test_program_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(interpreter, "_TIMEOUT_S", 0.2)
    with pytest.raises(AttribError, match="no answer within"):
        check_interpreter(program(tmp_path, "exec sleep 20"))


def test_old_python_is_refused_with_its_version(tmp_path):
    answer = '{"version": [3, 8, 18], "missing": []}'
    with pytest.raises(AttribError, match=r"is Python 3\.8\.18, and attrib needs 3\.11"):
        check_interpreter(program(tmp_path, f"echo 'attrib-interpreter {answer}'"))


@pytest.mark.parametrize(
    ("providers", "package"),
    [((), "onnxruntime"), (("OpenVINOExecutionProvider", "CPUExecutionProvider"), "onnxruntime-openvino")],
)
def test_missing_packages_come_with_the_command_that_installs_them(tmp_path, providers, package):
    path = program(
        tmp_path, 'echo \'attrib-interpreter {"version": [3, 12, 1], "missing": ["onnxruntime", "msgspec"]}\''
    )
    with pytest.raises(AttribError, match="has no onnxruntime, msgspec") as caught:
        check_interpreter(path, providers)
    assert caught.value.hint == f"{path} -m pip install {package} msgspec"


def test_real_interpreter_without_packages_is_told(tmp_path):
    folder = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    with pytest.raises(AttribError, match="has no onnxruntime, numpy, msgspec"):
        check_interpreter(folder / "bin/python")


def test_what_is_installed_for_attrib_is_not_seen_elsewhere(tmp_path, monkeypatch):
    """`PYTHONPATH` leads to this interpreter's packages, which may be built for another Python."""
    folder = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    monkeypatch.setenv("PYTHONPATH", str(Path(msgspec.__file__).parents[1]))
    with pytest.raises(AttribError, match="msgspec"):
        check_interpreter(folder / "bin/python")
    assert "PYTHONPATH" not in foreign_environment(os.environ)


def test_links_of_an_environment_are_not_followed(bare):
    assert check_interpreter(bare) == bare
    assert bare.resolve() != bare


def test_interpreter_may_be_named_by_its_command(bare, monkeypatch):
    monkeypatch.setenv("PATH", str(bare.parent))
    assert check_interpreter("python") == bare


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("attrib profile --ort-python ../env/bin/python -o x", "attrib profile --ort-python PYTHON -o x"),
        ("attrib profile --ort-python=/a/b/python", "attrib profile --ort-python=PYTHON"),
        ("attrib profile '--ort-python=/a b/python' -o x", "attrib profile --ort-python=PYTHON -o x"),
        ("attrib profile --provider-library a=b/c.so", "attrib profile --provider-library NAME=LIBRARY"),
        ("attrib profile --model 'a b'", "attrib profile --model 'a b'"),
        ("attrib profile --ort-python", "attrib profile --ort-python"),
        ("attrib profile --ort-python 'unclosed", ""),
        ("", ""),
    ],
)
def test_command_line_does_not_say_where_the_interpreter_is(command, shown):
    assert without_paths(command) == shown


def test_only_onnx_runtime_moves(monkeypatch, tmp_path):
    started = {}

    class SideProfiles:
        pid = 0

        def __init__(self, engine, environment, interpreter, *, timeout_s, hear):
            started[engine] = interpreter

        def stop(self):
            pass

    class NoInterrupts:
        def defer(self):
            import contextlib

            return contextlib.nullcontext()

    class FromHere:
        kind = "directory"

    monkeypatch.setattr("attrib.capture.session.worker_pool.Worker", SideProfiles)
    workers = Workers(FromHere(), NoInterrupts(), ort_python=tmp_path / "python")
    for engine in ("torch", "exporter", "onnxruntime", "ablation"):
        workers.start(engine, engine)
    workers.close()
    here = dict.fromkeys(("torch", "exporter", "ablation"), sys.executable)
    assert started == here | {"onnxruntime": str(tmp_path / "python")}


@pytest.mark.engines
def test_worker_needs_three_packages(bare, tmp_path):
    """Everything else that attrib imports there must come with Python; the capture below runs it all."""
    worker = Worker("onnxruntime", worker_environment(tmp_path, offline=True), str(bare))
    try:
        assert worker.ready() == metadata.version(_package())
        assert worker.facts.python == VERSION
        assert worker.facts.package == _package()
    finally:
        worker.stop()


def _package():
    from attrib.capture.system.probe import package_name

    return package_name()


@pytest.mark.engines
def test_worker_that_lacks_a_package_says_which(tmp_path):
    folder = tmp_path / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    worker = Worker("onnxruntime", worker_environment(tmp_path, offline=True), str(folder / "bin/python"))
    try:
        with pytest.raises(AttribError, match="No module named 'msgspec'"):
            worker.ready()
    finally:
        worker.stop()


@pytest.fixture(scope="module")
def captured(bare, tmp_path_factory):
    """ONNX Runtime ran in the bare environment, with an optimizer left out and a provider by its short name."""
    output = tmp_path_factory.mktemp("elsewhere") / "out"
    options = CaptureOptions(
        model="two-linears", output=output, ort_python=bare, iterations=3, rounds=4, warmup=3, threads=1,
        launches=1, max_time=0.0, providers=("cpu",), disabled_optimizers=("MatMulAddFusion",),
        command=f"attrib profile --model two-linears --ort-python {bare}",
    )  # fmt: skip
    return capture(options)


@pytest.mark.engines
def test_capture_under_another_interpreter_is_whole(captured):
    manifest = msgspec.json.decode((captured / "manifest.json").read_bytes(), type=Manifest)
    side = manifest.sides["onnxruntime"]
    assert {side.state for side in manifest.sides.values()} == {"complete"}
    assert (side.package, side.interpreter) == (_package(), VERSION)
    assert manifest.sides["torch"].interpreter == ""
    assert manifest.environment.packages[_package()] == side.version
    assert side.requested_providers == ("CPUExecutionProvider",)
    assert side.overhead is not None


@pytest.mark.engines
def test_nothing_says_where_the_other_interpreter_is(captured, bare):
    import gzip

    for file in captured.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            text = gzip.decompress(data) if file.suffix == ".gz" else data
            assert str(bare.parent.parent).encode() not in text, file.name
    manifest = msgspec.json.decode((captured / "manifest.json").read_bytes(), type=Manifest)
    assert manifest.command == "attrib profile --model two-linears --ort-python PYTHON"


@pytest.mark.engines
def test_verify_asks_for_the_interpreter_and_takes_the_same_runtime(captured, bare, cli):
    asked = cli("verify", captured, "--experiment", "opt-level-basic")
    assert asked.returncode == 2
    assert "under another interpreter" in asked.stderr
    assert "--ort-python PYTHON" in asked.stderr
    listed = cli("verify", captured, "--list")
    assert listed.returncode == 0, listed.stderr


@pytest.mark.engines
def test_session_on_the_cpu_notes_no_placement(captured):
    """With one provider there is nothing to tell, and the file of a large model is not small."""
    assert not (captured / "ort/placement.json").exists()
    assert (captured / "onnx/optimized.onnx").exists()


@pytest.mark.slow
@pytest.mark.engines
def test_silent_landing_on_the_cpu_is_said_first(bare, tmp_path):
    """The stock build lists CUDA's provider wherever it is installed."""
    import onnxruntime
    import torch

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers() or torch.cuda.is_available():
        pytest.skip("needs a build with CUDA on a machine without it")
    options = CaptureOptions(
        model="two-linears", output=tmp_path / "out", ort_python=bare, providers=("cuda",), iterations=3, rounds=4,
        warmup=3, threads=1,
    )  # fmt: skip
    document = load(capture(options)).document
    (finding,) = [f for f in document.findings if f.id == "provider-not-used"]
    assert finding.state == "failed"
    assert any("CUDAExecutionProvider could not be loaded" in warning for warning in document.warnings)


@pytest.mark.slow
@pytest.mark.engines
def test_provider_that_the_other_runtime_lacks_is_named_with_its_package(bare, tmp_path, cli):
    done = cli(
        "profile", "--model", "two-linears", "-o", tmp_path / "out", "--ort-python", bare, "--provider", "openvino"
    )  # fmt: skip
    assert done.returncode == 3
    assert "this onnxruntime has no OpenVINOExecutionProvider" in done.stderr
    assert "onnxruntime-openvino" in done.stderr


@pytest.mark.engines
def test_doctor_looks_at_the_other_runtime(bare, cli):
    done = cli("doctor", "--json", "--ort-python", bare)
    checks = {check["name"]: check for check in msgspec.json.decode(done.stdout)["checks"]}
    assert done.returncode == 0, done.stderr
    assert _package() in checks["ONNX Runtime"]["detail"]
    assert checks["CPUExecutionProvider"]["detail"] == "loads and computes"
