"""The recipe "add a trace format", with a made-up one that the registry alone makes known.

A real format touches two files and adds a test:

1. `attrib/traces/formats/<name>.py`, new: its decoder, its columns, and its `TraceFormat`.
2. `attrib/traces/formats/registry.py`: that row in `FORMATS`.
3. `tests/traces/formats/test_<name>.py`, new.

A format whose events mean something else than Kineto's brings a subclass of `Recording` in its own module; one of a new
profiler's category names adds them to `attrib/traces/recording/activity_types.py`.
"""

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from attrib.cli.main import run
from attrib.errors import AttribError
from attrib.traces import format_of, open_directory, read_kineto, read_trace
from attrib.traces.formats import registry
from attrib.traces.formats.event import Batch, Event
from attrib.traces.formats.table_builder import collect
from attrib.traces.formats.trace_format import StepScan, TraceFormat
from attrib.traces.inspection.summary import summarize
from attrib.traces.recording.recording import Recording
from attrib.traces.recording.selection import steps_from_text

LINES = [
    {"what": "step", "task": "ProfilerStep#1", "begin": 0, "took": 50},
    {"what": "op", "task": "MatMul", "begin": 10, "took": 20},
    {"what": "op", "task": "Relu", "begin": 40, "took": 5},
    {"what": "step", "task": "ProfilerStep#2", "begin": 60, "took": 40},
    {"what": "op", "task": "MatMul", "begin": 70, "took": 25},
]
"""A stopwatch's log: other keys than any known format, and times in nanoseconds."""


class Line(msgspec.Struct):
    what: str
    task: str
    begin: int
    took: int


class StopwatchDecoder:
    """Turns the lines of a block into events, with Kineto's categories."""

    CATEGORY = {"op": "cpu_op", "step": "user_annotation"}  # noqa: RUF012
    has_layout = False

    def decode(self, block):
        lines = msgspec.json.decode(block, type=list[Line])
        return Batch(
            rows=[Event(ph="X", cat=self.CATEGORY[line.what], name=line.task) for line in lines],
            start_ns=np.array([line.begin for line in lines], np.int64),
            duration_ns=np.array([line.took for line in lines], np.int64),
            total=len(lines),
        )

    def rescue(self, event):
        raise ValueError("it is not what the format says")

    def batch(self, events):
        return self.decode(msgspec.json.encode(events))

    def split(self, text):
        return []

    def warnings(self):
        return []


STOPWATCH = TraceFormat(
    name="stopwatch",
    title="Stopwatch log",
    role=None,
    detect=lambda stream, sample: stream.container == "array" and b'"took"' in sample,
    decoder=lambda _: StopwatchDecoder(),
    fill=lambda builder, _, batches: collect(builder, batches, lambda _: None),
    tensors=b"".join,
    recording=Recording,
    warnings=lambda *_: ["a stopwatch knows no device"],
)


@pytest.fixture
def log(tmp_path) -> Path:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(LINES))
    return path


@pytest.fixture
def stopwatch(monkeypatch):
    monkeypatch.setattr(registry, "FORMATS", (STOPWATCH, *registry.FORMATS))


def test_an_unknown_format_is_taken_for_none_of_the_known_ones(log):
    for read in (format_of, read_trace):
        with pytest.raises(AttribError, match="is not a trace"):
            read(log)


@pytest.mark.usefixtures("stopwatch")
def test_a_row_in_the_registry_makes_a_format_known(log):
    assert format_of(log) == "stopwatch"
    recording = read_trace(log)
    assert recording.format == "stopwatch"
    assert [recording.text(code) for code in recording.name[recording.ops()]] == ["MatMul", "Relu", "MatMul"]
    assert recording.duration_ns[recording.ops()].tolist() == [20, 5, 25]
    assert recording.step_numbers() == [1, 2]
    assert recording.step_of(recording.ops()).tolist() == [0, 0, 1]
    assert recording.warnings == ("a stopwatch knows no device",)


@pytest.mark.usefixtures("stopwatch")
def test_what_reads_traces_reads_it_too(log, capsys):
    inspection = summarize(read_trace(log))
    assert (inspection.format, [step.name for step in inspection.steps]) == (
        "stopwatch", ["ProfilerStep#1", "ProfilerStep#2"],
    )  # fmt: skip
    assert run(["inspect", str(log)]) == 0
    assert capsys.readouterr().out.startswith("Stopwatch log  log.json")
    assert len(read_trace(log, steps=steps_from_text("2"))) == 2


@pytest.mark.usefixtures("stopwatch")
def test_it_is_not_taken_for_what_somebody_expects(log):
    with pytest.raises(AttribError, match="holds a Stopwatch log, not a Kineto trace"):
        read_kineto(log)
    with pytest.raises(AttribError, match=r"holds neither a manifest\.json nor a trace"):
        open_directory(log.parent)


def test_the_known_formats_have_names_of_their_own_and_find_their_steps():
    names = [form.name for form in registry.FORMATS]
    assert {"kineto", "ort-profile"} <= set(names)
    assert len(set(names)) == len(names)
    assert all(registry.find_format(name).name == name for name in names)
    assert all(isinstance(registry.find_format(name).scan, StepScan) for name in ("kineto", "ort-profile"))
    with pytest.raises(LookupError, match="stopwatch"):
        registry.find_format("stopwatch")
