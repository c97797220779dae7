import gzip
import json
import os
import threading
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.errors import AttribError
from attrib.model.tensor import Tensor
from attrib.traces import read_kineto, read_trace
from attrib.traces.io.window import BLOCK

HOSTILE = [
    "</script><script>alert(1)</script>",
    'a "quoted" name',
    "back\\slash",
    "new\nline\ttab",
    "x" * 10_000,
    "{{7*7}} [bold]markup[/bold]",
    '},\n{"ph":"X","name":"forged"',
    "\u202eright to left",
    "\x00\x1b[31m",
]


def event(**fields):
    return {"ph": "X", "cat": "cpu_op", "name": "aten::add", "pid": 1, "tid": 2, "ts": 1, "dur": 1} | fields


def texts(table, column):
    return [table.text(code) for code in column]


def as_trace(events, **facts):
    return json.dumps({"schemaVersion": 1, **facts, "traceEvents": events})


def microseconds(nanoseconds):
    """A JSON number with three decimals, exactly as Kineto prints it."""
    sign, magnitude = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    return f"{sign}{magnitude // 1000}.{magnitude % 1000:03d}"


TIMES = st.integers(-(1 << 60), 1 << 60)
SPELLINGS = st.sampled_from(
    [microseconds, lambda ns: str(Decimal(ns) / 1000), lambda ns: f'"{microseconds(ns)}"']
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    rows=st.lists(st.tuples(TIMES, st.integers(0, 1 << 60), SPELLINGS), min_size=1, max_size=20),
    base=st.integers(0, 1 << 60),
)
def test_every_nanosecond_survives(write, rows, base):
    events = ",\n".join(
        f'{{"ph":"X","name":"n","ts":{spell(ts)},"dur":{spell(duration)}}}' for ts, duration, spell in rows
    )
    table = read_kineto(write(f'{{"traceEvents":[{events}],"baseTimeNanoseconds":{base}}}'))
    assert table.start_ns.tolist() == [base + ts for ts, _, _ in rows]
    assert table.duration_ns.tolist() == [duration for _, duration, _ in rows]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(ts=st.integers(0, 8_700_000_000_000_000))
def test_times_up_to_a_hundred_days_are_exact_on_the_fast_path(write, ts):
    from attrib.traces.formats.times import nanoseconds_from_floats

    found = nanoseconds_from_floats([float(microseconds(ts))])
    assert found is not None
    assert found.tolist() == [ts]


def test_the_fast_path_refuses_what_a_float_cannot_hold():
    from attrib.traces.formats.times import nanoseconds_from_floats

    assert nanoseconds_from_floats([1.7e15]) is None
    assert nanoseconds_from_floats([float("nan")]) is None
    assert nanoseconds_from_floats([float("inf")]) is None


def test_microseconds_since_the_epoch_keep_their_decimals(write):
    table = read_kineto(write('{"traceEvents":[{"ph":"X","ts":1719853884123456.789,"dur":1}]}'))
    assert table.start_ns.tolist() == [1719853884123456789]


def test_more_than_three_decimals_are_rounded_half_to_even(write):
    events = [f'{{"ph":"X","ts":{ts},"dur":0}}' for ts in ("0.0005", "0.0015", "0.00151", "1e-30", "12e2")]
    table = read_kineto(write(f'{{"traceEvents":[{",".join(events)}]}}'))
    assert table.start_ns.tolist() == [0, 2, 2, 0, 1_200_000]


def test_strings_without_a_time_are_left_out_and_counted(write):
    events = [
        event(ts=None),
        event(ts="soon"),
        event(ts="7.5"),
        event(ts=[1]),
        event(ts=1e300),
        event(dur="x"),
    ]
    table = read_kineto(write(as_trace(events)))
    assert table.start_ns.tolist() == [7500]
    assert any("5 complete events have no usable time" in warning for warning in table.warnings)


def test_a_negative_duration_counts_as_zero_and_is_said(write):
    table = read_kineto(write(as_trace([event(dur=-1), event()])))
    assert table.duration_ns.tolist() == [0, 1000]
    assert any("negative duration" in warning for warning in table.warnings)


def test_only_complete_events_become_rows(write):
    events = [event(ph="M"), event(), event(ph="i"), event(ph="s"), {"name": "no phase"}]
    assert len(read_kineto(write(as_trace(events)))) == 1


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_come_through_as_they_are(write, name):
    table = read_kineto(write(as_trace([event(name=name), event(), event(name=name, cat=name)])))
    assert texts(table, table.name) == [name, "aten::add", name]


def test_a_block_is_never_cut_inside_a_name_that_looks_like_a_separator(write):
    name = '},{"ph":"X","name":"forged"}],[{'
    events = [event(name=f"{name}{i}", args={"External id": i}) for i in range(2 * BLOCK // 100)]
    text = as_trace(events)
    assert len(text) > 2 * BLOCK
    table = read_kineto(write(text))
    assert texts(table, table.name) == [e["name"] for e in events]
    assert table.external_id.tolist() == list(range(len(events)))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("separators", [None, (",", ":")])
def test_layout_does_not_matter(write, indent, separators):
    events = [event(ts=i / 8, args={"x": [{"a": 1}, {"b": 2}], "External id": i}) for i in range(4000)]
    facts = {
        "deviceProperties": [{"id": 0}, {"id": 1}],
        "traceEvents": events,
        "trace_id": "x",
        "with_stack": 1,
    }
    table = read_kineto(write(json.dumps(facts, indent=indent, separators=separators)))
    assert table.external_id.tolist() == list(range(4000))
    assert table.start_ns.tolist() == [125 * i for i in range(4000)]
    assert table.metadata["with_stack"] == "1"


def test_one_event_may_be_larger_than_a_block(write):
    name = "x" * (3 * BLOCK)
    table = read_kineto(write(as_trace([event(), event(name=name), event()])))
    assert texts(table, table.name)[1] == name


def test_a_list_at_top_level_is_a_trace_too(write):
    table = read_trace(write(json.dumps([event(), event(ph="M")])))
    assert (table.format, len(table)) == ("kineto", 1)


def test_gzip_is_recognized_by_content(write, tmp_path):
    path = tmp_path / "plain-by-name.json"
    path.write_bytes(gzip.compress(as_trace([event()]).encode()))
    assert len(read_kineto(path)) == 1


def test_integers_are_read_in_every_spelling(write):
    args = [
        {"correlation": 7, "stream": "0x1f", "bytes": "616", "External id": 3},
        {"correlation": None, "stream": 7, "bytes": 1 << 70, "external id": 4},
        {"correlation": True, "stream": "x", "bytes": 2.5},
        {},
        "not a dict",
    ]
    table = read_kineto(write(as_trace([event(args=a) for a in args])))
    assert table.correlation.tolist() == [7, -1, -1, -1, -1]
    assert table.stream.tolist() == [31, 7, -1, -1, -1]
    assert table.bytes.tolist() == [616, -1, -1, -1, -1]
    assert table.external_id.tolist() == [3, 4, -1, -1, -1]


@pytest.mark.parametrize(
    ("args", "tensors"),
    [
        (
            {"Input Dims": [[2, 3], [], [], []], "Input type": ["float", "long int", "Scalar", ""]},
            [("float", (2, 3)), ("int64", ())],
        ),
        (
            {"Input Dims": [[4], [5]], "Input type": ["c10::BFloat16", "unsigned char"]},
            [("bfloat16", (4,)), ("uint8", (5,))],
        ),
        (
            {"Input Dims": [[[2], [3, 4]], []], "Input type": ["TensorList", "ScalarList"]},
            [("", (2,)), ("", (3, 4))],
        ),
        ({"Input Dims": [[]], "Input type": ["GenericList"]}, []),
        ({"Input dims": [[2], []]}, [("", (2,))]),
        ({"Input Dims": "[[2, 3]]", "Input type": '["c10::Half"]'}, [("float16", (2, 3))]),
        ({"Input Dims": [[2]], "Input type": ["my::type"]}, [("my::type", (2,))]),
        ({"Input Dims": [[2], [3]], "Input type": ["float"]}, [("", (2,)), ("", (3,))]),
        ({"Input Dims": {"a": 1}, "Input type": 5}, []),
        ({"Input Dims": [["x"], [1.5], [1 << 80]], "Input type": ["float", "float", "float"]}, []),
        ({"Input Dims": [[1], [2]], "Input type": [["float"], None]}, []),
        ({"Input Dims": [json.loads("[" * 600 + "]" * 600)], "Input type": ["TensorList"]}, []),
        ({}, []),
    ],
)
def test_shapes_are_brought_to_one_form(write, args, tensors):
    table = read_kineto(write(as_trace([event(args=args)])))
    assert table.input_tensors(0) == tuple(Tensor(dtype, shape) for dtype, shape in tensors)
    assert table.output_tensors(0) == ()


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "NaN", "Infinity", "-nan"])
def test_numbers_that_json_does_not_know_are_passed_over(write, number):
    good = '{"ph":"X","name":"aten::add","ts":2,"dur":1,"args":{"correlation":5}}'
    args = f'{{"blocks per SM": {number}, "l":[{number}],"correlation":4}}'
    odd = f'{{"ph":"X","name":"a \\": {number}, b","ts":1,"dur":1,"args":{args}}}'
    table = read_kineto(write(f'{{"traceEvents":[{good},{odd},{good}]}}'))
    assert table.correlation.tolist() == [5, 4, 5]
    assert texts(table, table.name)[1] == f'a ": {number}, b'


def test_invalid_utf8_is_replaced(write):
    table = read_kineto(
        write(b'{"traceEvents":[{"ph":"X","name":"a\xff\xfeb","ts":1,"dur":1},{"ph":"X","ts":2}]}')
    )
    assert texts(table, table.name) == ["a\ufffd\ufffdb", ""]


def test_lone_surrogates_and_control_characters_are_survived(write):
    table = read_kineto(write(b'{"traceEvents":[{"ph":"X","name":"a\\ud800b\x01","ts":1,"dur":1}]}'))
    assert texts(table, table.name) == ["a?b\x01"]


def test_odd_processes_and_threads_have_tracks(write):
    keys = [(1, 2), ("Spans", "PyTorch Profiler"), (1.5, None), (-1, 0)]
    table = read_kineto(write(as_trace([event(pid=pid, tid=tid) for pid, tid in keys])))
    assert texts(table, table.track) == ["1/2", "Spans/PyTorch Profiler", "1.5/", "-1/0"]


def test_only_safe_facts_are_kept(write):
    facts = {
        "record_shapes": 1,
        "cuda_runtime_version": "/home/me",
        "deviceProperties": [{"name": "Tesla T4"}, {"name": 5}, 7],
        "username": "me",
        "host_name": "box",
        "traceName": "/home/me/t.json",
        "metadata": {"HF_TOKEN": "hf_secret"},
    }
    table = read_kineto(write(as_trace([event()], **facts)))
    assert table.metadata == {
        "schemaVersion": "1",
        "record_shapes": "1",
        "devices": "Tesla T4, unnamed device",
    }


def test_missing_evidence_is_named(write):
    no_shapes = read_kineto(write(as_trace([event()])))
    assert any("record_shapes=True" in warning for warning in no_shapes.warnings)
    no_kernels = read_kineto(write(as_trace([event()], deviceProperties=[{"name": "T4"}])))
    assert any("no kernel times" in warning for warning in no_kernels.warnings)
    with_kernel = read_kineto(write(as_trace([event(cat="Kernel")], deviceProperties=[{"name": "T4"}])))
    assert not any("no kernel times" in warning for warning in with_kernel.warnings)
    assert any("no operators" in warning for warning in with_kernel.warnings)


GOOD = as_trace([event(name=f"n{i}") for i in range(50)])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        (" \n", "nothing at byte 2"),
        ("hello", "0x68 at byte 0"),
        ("{}", "without traceEvents"),
        ('{"traceEvents": {}}', "without traceEvents"),
        ('{"a": 1', "cut short or not valid JSON at event 0"),
        ("[1, 2]", "not a trace"),
        ('[{"a": 1}]', "not a trace"),
        ('{"traceEvents": [5]}', "event 0 (byte 17) cannot be read: it is not an object"),
        (GOOD[: len(GOOD) // 2], "cut short or not valid JSON at event"),
        (GOOD[:-2], "without its closing ]"),
        (GOOD[:-1], "without its closing }"),
        (GOOD + "x", "something follows the end"),
        ('{"traceEvents": [{"ph":"X","ts":1} {"ph":"X","ts":2}]}', "expected , or ]"),
        ('{"traceEvents": [' + "[" * 100_000, "event 0"),
        ('{"x": ' + "[" * 100_000, "event 0"),
    ],
)
def test_broken_files_give_one_line_that_says_where(write, content, says):
    path = write(content)
    with pytest.raises(AttribError) as caught:
        read_trace(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_a_gzip_file_that_was_cut_says_so(tmp_path):
    path = tmp_path / "t.json.gz"
    path.write_bytes(gzip.compress(GOOD.encode())[:-12])
    with pytest.raises(AttribError, match="gzip stream is damaged or cut short"):
        read_trace(path)


def test_a_gzip_file_with_a_wrong_checksum_says_so(tmp_path):
    packed = bytearray(gzip.compress(GOOD.encode()))
    packed[-6] ^= 0xFF
    path = tmp_path / "t.json.gz"
    path.write_bytes(packed)
    with pytest.raises(AttribError, match="gzip stream is damaged"):
        read_trace(path)


def test_a_gzip_file_that_unpacks_to_too_much_is_refused(write, monkeypatch):
    monkeypatch.setattr("attrib.traces.io.source.MAX_UNPACKED", 1000)
    with pytest.raises(AttribError, match="unpacks to more than"):
        read_trace(write(GOOD, "t.json.gz"))


def test_what_is_no_readable_file_says_so(tmp_path):
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(AttribError, match="cannot be read"):
            read_trace(path)


def test_the_other_format_is_refused_by_name(write):
    with pytest.raises(AttribError, match="holds an ONNX Runtime profile, not a Kineto trace"):
        read_kineto(write('[{"cat":"Session","ph":"X","name":"model_run","ts":1,"dur":1}]'))


def test_a_pipe_is_read_like_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gzip.compress(GOOD.encode()),))
    writer.start()
    assert len(read_trace(pipe)) == 50
    writer.join()


@pytest.mark.parametrize(
    "hostile",
    [
        '{"traceEvents":[{"ph":"X","ts":1,"args":{"l":[' + "nan," * 60_000 + "1]}}]}",
        '[\n{"cat" : "Node","ph" : "X","name" :"' + "}" + " " * 200_000 + '"x","args" : {}}\n]',
        '[\n{"cat" : "Node","ph" : "X","ts" :"' + '"op_name" : "' * 20_000 + "x}}\n]",
    ],
    ids=["many nan", "long space", "many keys"],
)
def test_text_that_was_made_to_be_slow_is_refused_soon(write, hostile):
    path = write(hostile)
    with pytest.raises(AttribError):  # milliseconds; without the limits half a minute and more
        read_trace(path)


STACK = r"C:\Users\user\python\lib\torch\nn\modules\module.py(611): _call_impl;C:\work\model.py(10): forward"


@pytest.mark.parametrize("lenient", [False, True])
def test_paths_of_windows_that_nobody_escaped_cost_no_event(write, lenient):
    events = [event(name=f"aten::op{i}", args={"External id": i, "Call stack": "PATH"}) for i in range(3)]
    told = as_trace(events).replace("PATH", STACK)
    assert json.loads(as_trace(events).replace("PATH", "x")), "the test's own text"
    table = read_trace(write(told), lenient=lenient)
    assert texts(table, table.name) == ["aten::op0", "aten::op1", "aten::op2"]
    assert table.external_id.tolist() == [0, 1, 2]
    assert table.damage is None


def test_escapes_that_are_right_stay_beside_one_that_is_wrong(write):
    told = as_trace([event(name='q"uo\\te\u00e9'), event(name="PATH")]).replace("PATH", r"C:\Users\\D")
    table = read_kineto(write(told))
    assert texts(table, table.name) == ['q"uo\\te\u00e9', "C:/Users\\D"]


@pytest.mark.parametrize("lenient", [False, True])
def test_what_is_not_available_is_no_value(write, lenient):
    events = [event(name=f"aten::op{i}", args={"External id": i, "grid": "NA"}) for i in range(3)]
    table = read_trace(write(as_trace(events).replace('"NA"', "N/A")), lenient=lenient)
    assert texts(table, table.name) == ["aten::op0", "aten::op1", "aten::op2"]
    assert table.damage is None


def test_steps_of_2021_are_steps_and_no_operators(write):
    events = [
        event(cat="Operator", name="ProfilerStep#5", ts=100, dur=100),
        event(cat="Operator", name="aten::mm", ts=110, dur=30),
    ]
    table = read_kineto(write(as_trace(events)))
    assert [table.text(code) for code in table.name[table.steps()]] == ["ProfilerStep#5"]
    assert [table.text(code) for code in table.name[table.ops()]] == ["aten::mm"]


def test_ranges_of_modules_hide_no_operator(write):
    events = [
        event(name="module: ", ts=100, dur=100),
        event(name="module: encoder", ts=105, dur=80),
        event(name="aten::mm", ts=110, dur=30),
    ]
    table = read_kineto(write(as_trace(events)))
    assert [table.text(code) for code in table.name[table.ops()]] == ["aten::mm"]
    assert table.annotations().tolist() == [0, 1]


def test_kernels_of_which_ascend_says_no_more_are_the_devices_work(write):
    kinds = ("AI_CPU", "Other", "PLACE_HOLDER_SQE")
    events = [
        {"ph": "X", "name": "k", "pid": 800, "tid": 3, "ts": str(i), "dur": 1, "args": {"Task Type": kind}}
        for i, kind in enumerate(kinds)
    ]
    table = read_kineto(write(json.dumps(events)))
    assert table.device_work().tolist() == [0, 1]


def test_the_output_of_another_profiler_is_named(write):
    with pytest.raises(AttribError, match="written by rocprofv3") as refused:
        read_trace(write('{"rocprofiler-sdk-tool": [{"metadata": {}}]}'))
    assert "torch.profiler" in refused.value.hint
