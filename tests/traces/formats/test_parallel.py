"""Two processes read what one reads, whatever lies where the second one begins."""

import io
import json
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.errors import AttribError
from attrib.traces.formats import parallel
from attrib.traces.formats import reader_process as second
from attrib.traces.formats.detection import open_trace
from attrib.traces.io import envelope, stream, window
from tests.traces.recording.test_selection import assert_same

NEVER = 1 << 60
SAMPLES = Path(__file__).parents[3] / "sample_traces"
HEAD = b'{"schemaVersion":1,"traceEvents":['
TAIL = b'],"displayTimeUnit":"ms","baseTimeNanoseconds":1000,"record_shapes":1}'


class SecondHere:
    """What the second process does, in this one, where the tests make the blocks small."""

    def __init__(self, request):
        self.request = msgspec.json.decode(msgspec.json.encode(request), type=parallel.ReadRequest)
        self.closed = False

    def result(self):
        out = io.BytesIO()
        try:
            counts = second.answer(self.request, out)
        except AttribError:
            counts = False
        return parallel.receive(io.BytesIO(out.getvalue() if counts else b""))

    def close(self):
        self.closed = True


def table_of(path, least, progress=None):
    with open_trace(path, progress=progress) as (opened, form):
        return form.read(opened, parallel_from=least)


def outcome_of(path, least):
    try:
        return table_of(path, least), ""
    except AttribError as error:
        return None, f"{error} {error.hint}"


@pytest.fixture
def joined(monkeypatch):
    """The events that the second process read, each time that its part counted."""
    counts = []
    join = parallel._join

    def counted(builder, part, columns):
        counts.append(part.count)
        join(builder, part, columns)

    monkeypatch.setattr(parallel, "_join", counted)
    monkeypatch.setattr(parallel, "_can_start", lambda: True)
    return counts


def here(patch, place, size, block):
    """Small blocks, no process, and the second part from about that place."""
    patch.setattr(stream, "BLOCK", block)
    patch.setattr(envelope, "BLOCK", block)
    patch.setattr(window, "BLOCK", block)
    patch.setattr(parallel, "SecondProcess", SecondHere)
    patch.setattr(parallel, "_can_start", lambda: True)
    patch.setattr(parallel, "HEAD_START", 2 * place - size)


def assert_same_by_two(path, place, block=400):
    """Both ways give the same; whether the second part counted."""
    counts = []
    with pytest.MonkeyPatch.context() as patch:
        here(patch, place, path.stat().st_size, block)
        join = parallel._join
        patch.setattr(parallel, "_join", lambda *args: (counts.append(args[1].count), join(*args)))
        found, problem = outcome_of(path, 0)
        expected, expected_problem = outcome_of(path, NEVER)
    assert problem == expected_problem
    if expected is not None:
        assert_same(found, expected)
    return bool(counts)


def every_place(path, block=400):
    """In how many of the places along the file the second part counted."""
    size = path.stat().st_size
    return sum(assert_same_by_two(path, place, block) for place in range(block, size, block))


def event(name, **more):
    return {"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": 1.5, "dur": 2} | more


def trace(events, tail=TAIL, **spelling):
    return HEAD + json.dumps(events, **spelling).encode()[1:-1] + tail


def plain(number):
    return [
        event(f"op {i % 7}", tid=i % 3, ts=i, args={"Input Dims": [[i % 4]], "correlation": i})
        for i in range(number)
    ]


def profile(number):
    fields = [
        {"cat": "Node", "pid": 1, "tid": 2, "dur": 3, "ts": i, "ph": "X", "name": f"/n{i % 5}",
         "args": {"op_name": f"Op{i % 3}", "provider": "CPU", "node_index": str(i),
                  "input_type_shape": [{"float": [i % 6]}], "output_type_shape": [{"float": [1]}]}}
        for i in range(number)
    ]  # fmt: skip
    return b"[\n" + b",\n".join(json.dumps(one).encode() for one in fields) + b"\n]\n"


def test_a_kineto_trace_is_the_same_wherever_it_is_divided(write):
    assert every_place(write(trace(plain(60)))) > 5


def test_an_array_of_events_is_the_same_wherever_it_is_divided(write):
    assert every_place(write(json.dumps(plain(60), indent=1))) > 5


def test_an_ort_profile_is_the_same_wherever_it_is_divided(write):
    assert every_place(write(profile(60)), block=700) > 5


def test_a_second_part_without_complete_events_counts(write):
    marks = [event("m", ph="i") for _ in range(60)]
    assert every_place(write(trace([*plain(20), *marks]))) > 5


HARD = {
    "a text that looks like events": [
        event("x", args={"text": '"},{"ph": "X", "name": "no"},{"ph": "X"' * 9})
    ],
    "events within arguments": [event("x", args={"list": plain(12)})],
    "an array of events within arguments": [event("x", args={"traceEvents": plain(4), "more": [plain(3)]})],
    "halves of an event": [event("b", ph="B"), *plain(9), event("b", ph="E", ts=9)],
    "an end without a beginning": [*plain(9), event("b", ph="E", ts=9), *plain(9)],
    "times that need all their digits": [event("x", ts=1419247332972313.125), event("y", ts="17")],
    "an event without a usable time": [event("x", ts=None), event("y", dur=-4), {"ph": "X", "ts": 1}],
    "tracks that are equal numbers": [event("x", pid=1.0), event("x", pid=1, tid=1.0)],
    "long events": [event("x" * 3000), event("y" * 900)],
    "other keys first": [{"name": "m", "ph": "M"}, {"args": {}, "ph": "X", "ts": 1, "dur": 1}],
    "empty names": [event("", cat=""), event("", cat=None, pid=None, tid="")],
}


@pytest.mark.parametrize("case", HARD)
def test_what_is_hard_to_divide_is_the_same_wherever_it_is_divided(write, case):
    few = plain(12)
    every_place(write(trace([*few, *HARD[case], *few, *HARD[case], *few]), "spaced.json"))
    every_place(write(trace([*few, *HARD[case], *few], separators=(",", ":")), "dense.json"))


BROKEN = {
    "the end is missing": lambda data: data[:-90],
    "a byte in the first part": lambda data: data[:700] + b"\0" + data[701:],
    "a bracket in the last part": lambda data: data[:-300] + b"]" + data[-299:],
    "not a number": lambda data: data.replace(b'"correlation": 9', b'"correlation": nan'),
    "a lost comma": lambda data: data.replace(b"}, {", b"} {", 30).replace(b"} {", b"}, {", 29),
    "members that end too early": lambda data: data[:-1],
    "what follows the end": lambda data: data + data,
    "two arrays of events": lambda data: data[:-1] + b',"traceEvents":[]}',
}


@pytest.mark.parametrize("case", BROKEN)
def test_damage_is_reported_as_by_one_process(write, case):
    every_place(write(BROKEN[case](trace(plain(40)))))


pieces = st.sampled_from([*HARD.values(), plain(3), plain(8)])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    parts=st.lists(pieces, min_size=1, max_size=8),
    share=st.floats(0.05, 0.95),
    block=st.integers(200, 3000),
    between=st.sampled_from([",", ", ", ",\n", " ,\r\n "]),
    cut=st.none() | st.floats(0, 1),
)
def test_any_trace_is_the_same(write, parts, share, block, between, cut):
    events = between.join(json.dumps(one) for part in parts for one in part).encode()
    data = HEAD + events + TAIL
    path = write(data if cut is None else data[: max(int(cut * len(data)), 1)])
    assert_same_by_two(path, int(share * path.stat().st_size), block)


def large(write):
    """Some blocks of events."""
    return write(trace(plain(12_000)))


def test_a_second_process_reads_a_part(write, joined, monkeypatch):
    path, seen = large(write), []
    monkeypatch.setattr(parallel, "HEAD_START", 0)
    found = table_of(path, 0, progress=lambda done, size: seen.append((done, size)))
    assert_same(found, table_of(path, NEVER))
    assert len(joined) == 1
    assert 0 < joined[0] < 12_000
    assert seen == sorted(seen)
    assert seen[-1] == (path.stat().st_size, path.stat().st_size)


def test_a_sample_is_the_same_by_two(joined, monkeypatch):
    monkeypatch.setattr(parallel, "HEAD_START", 0)
    paths = [path for path in SAMPLES.rglob("*.json") if path.stat().st_size > 1 << 20][:2]
    for path in paths:
        assert_same(table_of(path, 0), table_of(path, NEVER))


@pytest.mark.parametrize(
    "code", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)", "print('nonsense')"]
)
def test_without_the_second_process_the_first_reads_on(write, joined, monkeypatch, code):
    path = large(write)
    monkeypatch.setattr(parallel, "HEAD_START", 0)
    monkeypatch.setattr(parallel, "_START", code)
    assert_same(table_of(path, 0), table_of(path, NEVER))
    assert not joined


def test_a_system_without_another_process_is_enough(write, joined, monkeypatch):
    def refused(*_, **__):
        raise BlockingIOError

    path = large(write)
    monkeypatch.setattr(parallel, "HEAD_START", 0)
    monkeypatch.setattr("subprocess.Popen", refused)
    assert len(table_of(path, 0)) == 12_000


def test_an_interrupted_reader_leaves_nothing_behind(write, joined, monkeypatch):
    path, started = large(write), []
    monkeypatch.setattr(parallel, "HEAD_START", 0)

    class Noted(parallel.SecondProcess):
        def __init__(self, request):
            super().__init__(request)
            started.append(self._process)

    def interrupt(done, size):
        if started:
            raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "SecondProcess", Noted)
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(KeyboardInterrupt):
        table_of(path, 0, progress=interrupt)
    assert started[0].returncode is not None
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_one_core_reads_alone(write, monkeypatch):
    path = large(write)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(parallel, "SecondProcess", None)
    assert len(table_of(path, 0)) == 12_000


def test_a_packed_file_is_read_by_one(write, joined):
    assert len(table_of(write(trace(plain(50)), "t.json.gz"), 0)) == 50
    assert not joined
