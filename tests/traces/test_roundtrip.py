"""What is written is what is read, however the writer spells it."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.model.events import ABSENT
from attrib.traces import read_trace
from attrib.traces.io import envelope, stream, window

FEW = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    deadline=None,
    max_examples=80,
)
INT64 = (1 << 63) - 1
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
numbers = st.none() | st.integers(0, INT64)
ids = st.integers(0, 1 << 40) | texts.filter(lambda text: text != "")
shapes = st.lists(st.lists(st.integers(0, 4096), max_size=3), min_size=1, max_size=3)
times = st.integers(0, 1 << 52)

kineto_event = st.fixed_dictionaries({
    "cat": st.sampled_from(["cpu_op", "kernel", "cuda_runtime", "python_function", "user_annotation"]),
    "name": texts, "pid": ids, "tid": ids, "start": times, "duration": st.integers(0, 1 << 50),
    "correlation": numbers, "External id": numbers, "stream": numbers, "bytes": numbers, "dims": st.none() | shapes,
})  # fmt: skip
ort_event = st.fixed_dictionaries({
    "cat": st.sampled_from(["Node", "Session"]),
    "name": texts, "pid": ids, "tid": ids, "start": times, "duration": st.integers(0, 1 << 50),
    "op_name": texts, "provider": texts, "node_index": numbers, "dims": st.none() | shapes, "out": st.none() | shapes,
})  # fmt: skip
spellings = st.fixed_dictionaries(
    {
        "colon": st.sampled_from([":", ": ", " : ", " :"]),
        "comma": st.sampled_from([",", ", ", ",\n  "]),
        "between": st.sampled_from([",", ", ", ",\n", ",\r\n  ", "\n,"]),
        "as_text": st.booleans(),
        "null": st.booleans(),
        "ascii": st.booleans(),
        "block": st.sampled_from([2000, 4000, 1 << 18]),
        "random": st.randoms(use_true_random=False),
    }
)


def microseconds(nanoseconds, spelling):
    whole, rest = divmod(nanoseconds, 1000)
    text = f"{whole}.{rest:03}" if rest else spelling["random"].choice([f"{whole}", f"{whole}.000"])
    return text.rstrip("0") if "." in text and spelling["random"].random() < 0.3 and rest else text


def an_object(fields, spelling):
    """One object, its keys in any order."""
    fields = list(fields.items())
    spelling["random"].shuffle(fields)
    text = (json.dumps(key) + spelling["colon"] + value for key, value in fields)
    return "{" + spelling["comma"].join(text) + "}"


def given_number(fields, key, value, spelling):
    """A number as such, as a string, or null or nothing where there is none."""
    if value is not None:
        fields[key] = f'"{value}"' if spelling["as_text"] else str(value)
    elif spelling["null"]:
        fields[key] = "null"


def shared_fields(event, spelling):
    dumped = {
        key: json.dumps(event[key], ensure_ascii=spelling["ascii"]) for key in ("cat", "name", "pid", "tid")
    }
    return {
        **dumped, "ph": '"X"', "ts": microseconds(event["start"], spelling), "dur": microseconds(event["duration"], spelling)
    }  # fmt: skip


def kineto_text(events, spelling):
    lines = []
    for event in events:
        args = {"Ev Idx": "7", "Call stack": '"a;b"'}
        for key in ("correlation", "External id", "stream", "bytes"):
            given_number(args, key, event[key], spelling)
        if event["dims"] is not None:
            args["Input Dims"] = json.dumps(event["dims"])
            args["Input type"] = json.dumps(["float"] * len(event["dims"]))
        lines.append(
            an_object({**shared_fields(event, spelling), "args": an_object(args, spelling)}, spelling)
        )
        lines.append('{"ph":"i","name":"mark","ts":1}')
    return (
        '{"schemaVersion":1,"traceEvents":[' + spelling["between"].join(lines) + '],"baseTimeNanoseconds":5}'
    )


def ort_text(events, spelling):
    lines = []
    for event in events:
        args = {
            key: json.dumps(event[key], ensure_ascii=spelling["ascii"]) for key in ("op_name", "provider")
        }
        args |= {"mem_in_use_peak": '"1"', "thread_scheduling_stats": '{"main_thread": {"core": -1}}'}
        given_number(args, "node_index", event["node_index"], spelling)
        for key, name in (("dims", "input_type_shape"), ("out", "output_type_shape")):
            if event[key] is not None:
                args[name] = json.dumps([{"float": dims} for dims in event[key]])
        lines.append(
            an_object({**shared_fields(event, spelling), "args": an_object(args, spelling)}, spelling)
        )
    return "[\n" + spelling["between"].join(lines) + "\n]\n"


def number(value):
    return ABSENT if value is None else value


def assert_shared(table, events, base):
    assert len(table) == len(events)
    assert table.start_ns.tolist() == [event["start"] + base for event in events]
    assert table.duration_ns.tolist() == [event["duration"] for event in events]
    assert [table.text(code) for code in table.name] == [event["name"] for event in events]
    assert [table.text(code) for code in table.category] == [event["cat"] for event in events]
    assert [table.text(code) for code in table.track] == [
        f"{event['pid']}/{event['tid']}" for event in events
    ]
    assert len(set(table.strings)) == len(table.strings)


def tensors(dims):
    return [tuple(shape) for shape in dims or ()]


@pytest.fixture
def read(tmp_path):
    def read_text(text, block):
        path = tmp_path / "trace.json"
        path.write_bytes(text.encode())
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stream, "BLOCK", block)
            patch.setattr(envelope, "BLOCK", block)
            patch.setattr(window, "BLOCK", block)
            return read_trace(path)

    return read_text


@FEW
@given(events=st.lists(kineto_event, min_size=1, max_size=12), spelling=spellings)
def test_a_kineto_trace_reads_back(read, events, spelling):
    table = read(kineto_text(events, spelling), spelling["block"])
    assert_shared(table, events, base=5)
    for column, key in (
        ("correlation",) * 2,
        ("stream",) * 2,
        ("bytes",) * 2,
        ("external_id", "External id"),
    ):
        assert getattr(table, column).tolist() == [number(event[key]) for event in events]
    read_back = [[tensor.shape for tensor in table.input_tensors(row)] for row in range(len(events))]
    assert read_back == [tensors(event["dims"]) for event in events]


@FEW
@given(events=st.lists(ort_event, min_size=1, max_size=12), spelling=spellings)
def test_an_ort_profile_reads_back(read, events, spelling):
    table = read(ort_text(events, spelling), spelling["block"])
    assert table.format == "ort-profile"
    assert_shared(table, events, base=0)
    assert table.node_index.tolist() == [number(event["node_index"]) for event in events]
    for column, key in (("op", "op_name"), ("provider", "provider")):
        assert [table.text(code) for code in getattr(table, column)] == [event[key] for event in events]
    for row, event in enumerate(events):
        assert [tensor.shape for tensor in table.input_tensors(row)] == tensors(event["dims"])
        assert [tensor.shape for tensor in table.output_tensors(row)] == tensors(event["out"])
