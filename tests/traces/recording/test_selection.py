"""Some steps of a trace: what belongs to them, and that reading only them gives what the whole file holds of them."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.errors import AttribError, UsageError
from attrib.traces import read_trace
from attrib.traces.formats import step_windows as early
from attrib.traces.io import envelope, stream, window
from attrib.traces.recording.selection import find_steps, select_events, steps_from_text

SAMPLE = Path(__file__).parents[3] / "sample_traces" / "distilbert-base-uncased"
COLUMNS = (
    "name", "category", "track", "op", "provider", "parent",
    "start_ns", "duration_ns", "correlation", "external_id", "node_index", "stream", "bytes",
)  # fmt: skip


def event(name, cat, ts, dur, tid=1, **args):
    return {"ph": "X", "cat": cat, "name": name, "pid": 1, "tid": tid, "ts": ts, "dur": dur, "args": args}


def names(table):
    return [table.text(code) for code in table.name]


def assert_same(found, expected):
    for column in COLUMNS:
        assert getattr(found, column).tolist() == getattr(expected, column).tolist(), column
    assert found.strings == expected.strings
    assert list(found.inputs) == list(expected.inputs)
    assert list(found.outputs) == list(expected.outputs)
    assert (found.base_ns, found.metadata, found.warnings) == (
        expected.base_ns,
        expected.metadata,
        expected.warnings,
    )


def early_and_whole(path, steps, block=400):
    """The same steps, read early in small blocks, and taken from the whole table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "BLOCK", block)
        patch.setattr(envelope, "BLOCK", block)
        patch.setattr(window, "BLOCK", block)
        return early.read_steps(path, steps, early_from=0), early.read_steps(path, steps, early_from=1 << 60)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("3", [3]), ("3-5", [3, 4, 5]), ("1, 7-8", [1, 7, 8]), ("0", [0])],
)
def test_steps_are_numbers_and_ranges(text, expected):
    assert [number for part in steps_from_text(text) for number in part] == expected


@pytest.mark.parametrize("text", ["", "x", "3-", "5-3", "-1", "1,,2", "1-2-3", "9999999999999"])
def test_what_names_no_steps_is_refused(text):
    with pytest.raises(UsageError, match="names no steps"):
        steps_from_text(text)


def test_a_huge_range_costs_nothing():
    assert steps_from_text("0-999999999") == (range(1_000_000_000),)


KINETO = [
    event("ProfilerStep#6", "user_annotation", 0, 100),
    event("aten::mm", "cpu_op", 10, 5),
    event("cudaLaunchKernel", "cuda_runtime", 12, 1, correlation=1),
    event("cudaLaunchKernel", "cuda_runtime", 90, 1, correlation=2),
    event("ProfilerStep#7", "user_annotation", 100, 100),
    event("aten::add", "cpu_op", 110, 5),
    event("other thread", "cpu_op", 120, 5, tid=2),
    event("cudaLaunchKernel", "cuda_runtime", 190, 1, correlation=3),
    event("after", "cpu_op", 250, 5),
    event("early kernel", "kernel", 20, 5, tid=7, correlation=1),
    event("late kernel", "kernel", 130, 5, tid=7, correlation=2),
    event("last kernel", "kernel", 260, 5, tid=7, correlation=3),
    event("unlaunched kernel", "kernel", 140, 5, tid=7),
    event("ProfilerStep#7", "gpu_user_annotation", 130, 200, tid=7),
]


def test_work_of_the_device_goes_with_its_launch(write):
    path = write(json.dumps({"traceEvents": KINETO}))
    first = read_trace(path, steps=steps_from_text("6"))
    assert names(first)[-2:] == ["early kernel", "late kernel"]
    second = read_trace(path, steps=steps_from_text("7"))
    assert names(second) == [
        "ProfilerStep#7", "aten::add", "other thread", "cudaLaunchKernel", "last kernel", "unlaunched kernel",
        "ProfilerStep#7",
    ]  # fmt: skip
    assert len(read_trace(path, steps=steps_from_text("6-7"))) == len(KINETO) - 1


def node(name, ts, dur, tid=1, cat="Node", **args):
    return event(f"{name}_kernel_time", cat, ts, dur, tid, op_name=name, **args)


ORT = [
    event("session_initialization", "Session", 0, 5),
    node("a", 10, 5), node("b", 16, 4), event("model_run", "Session", 9, 11),
    node("a", 20, 5), node("b", 26, 4), event("model_run", "Session", 20, 11),
    node("a", 42, 5, 2), event("model_run", "Session", 41, 9, 2),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "starts"), [("1", [10, 16, 9]), ("2", [20, 26, 20]), ("3", [42, 41])])
def test_runs_are_counted_from_one(write, steps, starts):
    path = write(json.dumps(ORT))
    for table in early_and_whole(path, steps_from_text(steps)):
        assert (table.start_ns // 1000).tolist() == starts


def test_a_kernel_in_a_profile_goes_with_its_node(write):
    kernel = event("gemm", "Kernel", 33, 2, parent_name="b_kernel_time")
    path = write(json.dumps([*ORT, kernel]))
    assert names(read_trace(path, steps=steps_from_text("2")))[-1] == "gemm"
    assert "gemm" not in names(read_trace(path, steps=steps_from_text("1")))


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (json.dumps({"traceEvents": KINETO}), "none of these steps", "it holds 2: 6 to 7"),
        (json.dumps(ORT), "none of these runs", "it holds 3: 1 to 3"),
        ('{"traceEvents":[]}', "no steps to choose from", "leave --steps out"),
    ],
)
def test_steps_that_are_not_there_are_refused(write, content, message, hint):
    path = write(content)
    for early_from in (0, 1 << 60):
        with pytest.raises(AttribError, match=message) as refused:
            early.read_steps(path, steps_from_text("90-99"), early_from=early_from)
        assert hint in str(refused.value.hint)


def test_a_cut_file_is_refused_early_too(write):
    path = write(json.dumps({"traceEvents": KINETO})[:-40])
    with pytest.raises(AttribError, match="ends"):
        early.read_steps(path, steps_from_text("6"), early_from=0)


@pytest.mark.parametrize(
    ("odd", "steps"),
    [
        ({"ts": "125", "dur": 1}, "7"),
        ({"ts": None}, "7"),
        ({"dur": -3}, "6"),
        ({"dur": None}, "7"),
        ({"ph": "B"}, "7"),
        ({"name": 5}, "7"),
        ({"cat": None}, "7"),
        ({"name": "\u0050rofilerStep#7 is a name"}, "7"),
    ],
)
def test_an_odd_event_is_read_early_as_in_the_whole(write, odd, steps):
    events = [*KINETO[:6], KINETO[6] | odd, *KINETO[7:]] * 3
    path = write(json.dumps({"traceEvents": events}))
    assert_same(*early_and_whole(path, steps_from_text(steps)))


def test_steps_of_a_profile_that_spells_nan_are_the_same(write):
    text = json.dumps({"traceEvents": KINETO}).replace(
        '"correlation": 3', '"correlation": 3, "occupancy": nan'
    )
    assert_same(*early_and_whole(write(text), steps_from_text("7")))


@pytest.mark.parametrize("name", ["torch/trace.json.gz", "ort/profile.json.gz"])
@pytest.mark.parametrize("steps", ["4", "3,5"])
def test_steps_of_a_recorded_trace_are_the_same(tmp_path, name, steps):
    path = tmp_path / "trace.json"
    path.write_bytes(gzip.decompress((SAMPLE / name).read_bytes()))
    found, whole = early_and_whole(path, steps_from_text(steps), 1 << 14)
    assert 0 < len(found) < len(read_trace(path))
    assert_same(found, whole)
    assert_same(read_trace(SAMPLE / name, steps=steps_from_text(steps)), whole)


def test_what_is_outside_the_steps_is_not_decoded(tmp_path, monkeypatch):
    path = tmp_path / "trace.json"
    path.write_bytes(gzip.decompress((SAMPLE / "torch/trace.json.gz").read_bytes()))
    decoded = []
    batches = early._batches

    def counted(*args):
        for batch in batches(*args):
            decoded.append(len(batch.rows))
            yield batch

    monkeypatch.setattr(early, "_batches", counted)
    early_and_whole(path, steps_from_text("4"), 1 << 14)
    assert 0 < sum(decoded) < len(read_trace(path)) / 2


at = st.integers(0, 60)
kineto_events = st.lists(
    st.builds(
        event,
        st.sampled_from(["aten::mm", "ProfilerStep#1", "cudaLaunchKernel", "k<1>", "attrib.step#4"]),
        st.sampled_from(["cpu_op", "user_annotation", "cuda_runtime", "kernel", "python_function", "gpu_memcpy"]),
        at, st.integers(-1, 30), st.integers(1, 2), correlation=st.integers(0, 3),
    ),
    max_size=15,
)  # fmt: skip
ort_events = st.lists(
    st.builds(node, st.sampled_from("abc"), at, st.integers(0, 9), st.integers(1, 2))
    | st.builds(event, st.just("model_run"), st.just("Session"), at, st.integers(0, 30), st.integers(1, 2))
    | st.builds(node, st.sampled_from("abc"), at, st.integers(0, 9), st.integers(1, 2), st.just("Kernel")),
    max_size=15,
)


def windows(count, length):
    return [event(f"ProfilerStep#{i}", "user_annotation", i * length, length) for i in range(count)]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=80,
)
@given(
    events=kineto_events.map(lambda some: {"traceEvents": [*windows(4, 15), *some]})
    | ort_events.map(lambda some: [event("model_run", "Session", 0, 9), *some]),
    steps=st.sampled_from(["1", "2-3", "1,3", "0-9"]),
    block=st.sampled_from([150, 400, 3000]),
)
def test_early_is_the_filter_of_the_whole(tmp_path, events, steps, block):
    path = tmp_path / "trace.json"
    path.write_text(json.dumps(events))
    whole = read_trace(path)
    wanted = steps_from_text(steps)
    try:
        expected = select_events(whole, find_steps(whole, wanted, "it"))
    except AttribError:
        with pytest.raises(AttribError, match="none of these"):
            early_and_whole(path, wanted, block)
        return
    found, filtered = early_and_whole(path, wanted, block)
    assert_same(found, filtered)
    assert found.start_ns.tolist() == expected.start_ns.tolist()
