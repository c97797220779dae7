"""Hung and greedy engines, a full or read-only disk, two captures at once, and leftovers of a power cut."""

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial

import pytest
from fault_engines import TROUBLE
from fault_harness import (
    FAKE_OPTIONS,
    ROOT,
    Launcher,
    Place,
    check_complete,
    check_hashes,
    check_what_is_left,
    kill,
)

from attrib.api import load
from attrib.capture import CaptureOptions, capture
from attrib.capture.storage.temporary import remove_stale
from attrib.errors import AttribError

slow = partial(pytest.param, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def launcher(tmp_path_factory):
    with Launcher(tmp_path_factory.mktemp("launcher"), fake=True, **FAKE_OPTIONS) as started:
        yield started


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "place")


def trouble(engine, command, what):
    return {TROUBLE: f"{engine} {command} {what}"}


def errors(place):
    return [line for line in place.said.splitlines() if line.startswith("attrib: error:")]


@pytest.mark.parametrize(
    ("engine", "command", "says", "kept"),
    [
        ("onnxruntime", "Run", "ONNX Runtime was not measured: the onnxruntime process gave no answer within 5 s", "torch"),
        slow("torch", "Run", "PyTorch was not measured: the torch process gave no answer within 5 s", "onnxruntime"),
        slow("exporter", "Export", "ONNX Runtime was not measured: the exporter process gave no answer within 5 s", "torch"),
        slow(
            "onnxruntime", "Outputs", "ONNX Runtime did not get to its end: the onnxruntime process gave no answer", "torch",
        ),
    ],
)  # fmt: skip
def test_hung_engine_is_one_line_and_the_other_side_is_complete(launcher, place, engine, command, says, kept):
    options = launcher.options | {"timeout": 5.0}
    code = launcher.run("capture", place, options=options, environment=trouble(engine, command, "hang"))
    assert code == 4, place.said
    (line,) = errors(place)
    assert says in line
    assert "--timeout" in place.said
    manifest = place.manifest()
    assert manifest.sides[kept].state == "complete"
    assert check_what_is_left(place) == "whole report"
    assert launcher.run("resume", place) == 0, place.said
    check_complete(place, FAKE_OPTIONS["rounds"])


@pytest.mark.slow
def test_engine_without_limit_is_waited_for(launcher, place):
    pid = launcher.start(
        "capture", place, options=launcher.options | {"timeout": 0.0},
        environment=trouble("onnxruntime", "Open", "hang"),
    )  # fmt: skip
    time.sleep(4)
    assert place.processes()
    kill(pid)
    assert launcher.wait() == -signal.SIGKILL
    check_what_is_left(place)


@pytest.mark.parametrize("command", ["Open", "Run"])
def test_engine_that_needs_too_much_memory_is_one_line(launcher, place, command):
    code = launcher.run("capture", place, environment=trouble("onnxruntime", command, "memory"))
    assert code == 4, place.said
    (line,) = errors(place)
    assert "Unable to allocate" in line
    assert place.manifest().sides["torch"].state == "complete"
    check_what_is_left(place)


def test_full_temporary_disk_is_one_line_with_the_way_out(launcher, place):
    assert launcher.run("capture", place, environment=trouble("onnxruntime", "Run", "full")) == 4
    (line,) = errors(place)
    assert "no space left for a temporary file" in line
    assert "TMPDIR=" in place.said


FULL = """
import resource, signal, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from fault_engines import GRAPH, START, graph
import os
os.environ[GRAPH] = graph().hex()
from attrib.capture import CaptureOptions, capture
from attrib.capture.workers import process
from attrib.capture.storage.atomic_io import replacing
from attrib.errors import AttribError
process._START = START
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
import attrib.capture.storage.writer as writer
limit = int(sys.argv[4])
begun = writer.replacing
def replacing(target):
    if "-002" in target.name:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    return begun(target)
writer.replacing = replacing
try:
    options = {"rounds": 4, "iterations": 3, "warmup": 3, "threads": 1, "launches": 1, "max_time": 0.0}
    capture(CaptureOptions(model="two-linears", output=Path(sys.argv[3]), **options))
except AttribError as error:
    print(error)
"""


def test_disk_that_fills_up_while_measuring_keeps_what_was_complete(launcher, place):
    """The system's own limit on the size of files stands for the disk: writing fails in the middle of a file."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(ROOT), str(ROOT / "tests/faults"), str(place.out), "100"],
        env=os.environ | {"TMPDIR": str(place.private), "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "the disk is full: 001-002.parquet could not be written" in done.stdout, done.stderr
    assert not list(place.out.rglob("*.partial"))
    manifest = place.manifest()
    check_hashes(place.out, manifest)
    assert "latency/001-001.parquet" in {entry.path for entry in manifest.files}
    assert launcher.run("resume", place) == 0, place.said
    check_complete(place, FAKE_OPTIONS["rounds"], len(manifest.launches), 1)


@pytest.mark.parametrize("out", ["/proc/attrib-out", "/dev/null/out"])
def test_directory_that_cannot_be_written_is_one_line(launcher, place, out):
    assert launcher.run("capture", place, out=out) == 3
    (line,) = errors(place)
    assert f"cannot write {out}" in line
    assert "Traceback" not in place.said
    place.wait_until_gone()
    assert list(place.private.iterdir()) == []


def test_place_for_temporary_files_that_is_full_is_one_line(place, monkeypatch):
    """And the directory that was to be written is not left behind, empty and locked."""

    def full(**_: str) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "mkdtemp", full)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(AttribError, match="no place for temporary files: No space left") as caught:
        capture(CaptureOptions(model="two-linears", output=place.out))
    assert "TMPDIR=" in caught.value.hint
    assert not place.out.exists()


@pytest.mark.parametrize("act", ["capture", slow("resume")])
def test_second_capture_into_one_directory_is_refused_while_the_first_goes_on(tmp_path, launcher, place, act):
    hanging = trouble("onnxruntime", "Open", "hang")
    pid = launcher.start("capture", place, environment=hanging)
    deadline = time.monotonic() + 60
    while not (place.out / "onnx/exported.onnx").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    with Launcher(tmp_path / "place", fake=True, **FAKE_OPTIONS) as other:
        second = Place(tmp_path / "second")
        options = FAKE_OPTIONS | {"force": True}
        before = (place.out / "inputs.npz").stat().st_mtime_ns
        assert other.run(act, second, out=str(place.out), options=options) == 3
    (line,) = errors(second)
    assert f"another attrib is writing into {place.out}" in line
    assert (place.out / "inputs.npz").stat().st_mtime_ns == before
    kill(pid)
    launcher.wait()
    check_what_is_left(place)
    assert launcher.run("resume", place) == 0, place.said


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


def launches(place):
    manifest = place.manifest()
    return manifest.launches if manifest else ()


@pytest.mark.parametrize("number", [signal.SIGINT, slow(signal.SIGTERM)])
def test_resumed_capture_can_be_interrupted_and_resumed(launcher, place, number):
    """Whole rounds of three launches are one measurement, and the manifest says whose is which."""
    slow = launcher.options | {"iterations": 200}
    for count, act in enumerate(("capture", "resume"), 1):
        pid = launcher.start(act, place, options=slow)
        wait_for(lambda: len(launches(place)) == count and launches(place)[-1].rounds)  # noqa: B023
        os.kill(pid, number)
        assert launcher.wait() == 130, place.said
        assert "attrib profile --resume" in place.said
        assert check_what_is_left(place) == "whole report"
    assert launcher.run("resume", place) == 0, place.said
    check_complete(place, FAKE_OPTIONS["rounds"])
    found = launches(place)
    assert len(found) == 3
    assert sum(launch.rounds for launch in found) == FAKE_OPTIONS["rounds"]
    assert [launch.profiled for launch in found] == [False, False, True]
    assert any("interrupted and resumed" in note for note in load(place.out).document.warnings)


def test_leftovers_of_a_power_cut_are_ignored_and_cleaned(launcher, place):
    pid = launcher.start("capture", place, options=launcher.options | {"iterations": 100})
    deadline = time.monotonic() + 60
    while not list(place.out.glob("latency/*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.01)
    kill(pid)
    launcher.wait()
    place.wait_until_gone()
    half = gzip.compress(json.dumps([]).encode())[:-4]
    for name in (
        "manifest.json.partial",
        "torch/trace.json.gz.partial",
        "ort/profile.json.gz",
        "outputs.json",
    ):
        (place.out / name).parent.mkdir(exist_ok=True)
        (place.out / name).write_bytes(half)
    (place.out / "notes.txt").write_text("mine")
    check_what_is_left(place)
    assert launcher.run("resume", place) == 0, place.said
    (place.out / "notes.txt").unlink()
    check_complete(place, FAKE_OPTIONS["rounds"])


def test_everything_killed_at_once_is_cleaned_by_the_next_capture(launcher, place):
    """The watchdog dies too, as when a container is killed: its folder has no owner any more."""
    pid = launcher.start("capture", place, environment=trouble("onnxruntime", "Open", "hang"))
    deadline = time.monotonic() + 60
    while not (place.out / "onnx/exported.onnx").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    (watchdog,) = (number for number, line in place.processes().items() if "watchdog" in line)
    (folder,) = place.private.iterdir()
    remove_stale(place.private)
    assert folder.exists(), "the folder of a living capture was removed"
    workers = place.workers()
    os.kill(pid, signal.SIGSTOP)  # or it would clean up after its workers, and they after it
    for number in (watchdog, *workers, pid):
        kill(number)
    launcher.wait()
    place.wait_until_gone()
    (place.private / "attrib-work-of-mine").mkdir()
    assert folder.exists()
    assert launcher.run("resume", place) == 0, place.said
    assert [path.name for path in place.private.iterdir()] == ["attrib-work-of-mine"]
