"""What a capture does with the blocks that ONNX Runtime's worker recorded on a device, without engines or workers."""

import json

import pytest

from attrib.capture.config.progress import NoProgress
from attrib.capture.session.artifacts import DEVICE_TRACE
from attrib.capture.session.launches import note_profile
from attrib.capture.session.measure import BlockRunner
from attrib.capture.session.phase_write import check_side_clocks, write_trace
from attrib.capture.session.session import Session
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workload.sources import Source
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import PROFILE_ZERO
from attrib.traces import read_kineto

ZERO = 1_790_857_026_000_000_000


@pytest.fixture
def session(tmp_path):
    options = CaptureOptions(model="mlp", output=tmp_path / "out", device="cuda")
    source = Source(kind="example", location="mlp", model="mlp", source="built-in")
    made = Session(options, source, tmp_path / "out", Interrupts(), NoProgress())
    made.sides.begin("onnxruntime", settings={PROFILE_ZERO: str(ZERO), "io_binding": "true"})
    yield made
    made.close()


def block(path, number, at_us, correlation):
    """One recorded run of 100 microseconds with one kernel."""

    def event(cat, name, pid, ts, dur, **args):
        return {"ph": "X", "cat": cat, "name": name, "pid": pid, "tid": 7, "ts": ts, "dur": dur, "args": args}

    events = [
        event("user_annotation", f"attrib.run#{number}", 7, at_us, 100),
        event("cuda_runtime", "cudaLaunchKernel", 7, at_us + 20, 2, correlation=correlation),
        event("kernel", "k", 0, at_us + 30, 5, correlation=correlation, stream=7),
    ]  # fmt: skip
    top = {"schemaVersion": 1, "baseTimeNanoseconds": ZERO, "traceEvents": events}
    path.write_text(json.dumps(top))
    return str(path)


def profile(path, *begins_us):
    events = [
        {
            "cat": "Session",
            "pid": 7,
            "tid": 7,
            "dur": 80,
            "ts": ts,
            "ph": "X",
            "name": "model_run",
            "args": {},
        }
        for ts in begins_us
    ]
    path.write_text(json.dumps(events))
    return str(path)


def write(session, tmp_path, *begins_us):
    runner = BlockRunner("onnxruntime", worker=None)
    runner.traces = [block(tmp_path / f"{i}.json", i, 1000 * (i + 1), 5) for i in range(2)]
    note_profile(session, runner, (profile(tmp_path / "profile.json", *begins_us),))
    write_trace(session, runner)
    check_side_clocks(session, "onnxruntime")
    return session.record.sides["onnxruntime"].settings


def test_blocks_of_onnx_runtime_become_the_trace_of_the_device(session, tmp_path):
    settings = write(session, tmp_path, 500, 1010, 2010)
    assert set(session.directory.complete_files) == {"ort/profile.json.gz", f"ort/{DEVICE_TRACE}"}
    assert read_kineto(session.directory.root / "ort" / DEVICE_TRACE).device_work().size == 2
    assert settings["clock_residual_ns"] == "0"
    assert settings["io_binding"] == "true"
    assert session.record.warnings == []


def test_clocks_that_disagree_are_a_warning_of_the_capture(session, tmp_path):
    settings = write(session, tmp_path, 1010, 2120)
    assert settings["clock_residual_ns"] == "100000"
    assert "disagree" in session.record.warnings[0]


def test_profile_that_cannot_be_read_costs_the_check_and_not_the_capture(session, tmp_path):
    runner = BlockRunner("onnxruntime", worker=None)
    runner.traces = [block(tmp_path / "0.json", 0, 1000, 5)]
    broken = tmp_path / "profile.json"
    broken.write_text("{]")
    note_profile(session, runner, (str(broken),))
    write_trace(session, runner)
    check_side_clocks(session, "onnxruntime")
    assert "were not compared" in session.record.warnings[0]


def test_side_without_a_device_has_nothing_to_check(session, tmp_path):
    runner = BlockRunner("onnxruntime", worker=None)
    note_profile(session, runner, (profile(tmp_path / "profile.json", 1010),))
    write_trace(session, runner)
    check_side_clocks(session, "onnxruntime")
    assert session.record.warnings == []
    assert "clock_residual_ns" not in session.record.sides["onnxruntime"].settings
