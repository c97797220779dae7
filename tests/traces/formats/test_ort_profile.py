import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attrib.errors import AttribError
from attrib.model.tensor import Tensor
from attrib.traces import read_ort_profile, read_trace


def line(name, *, cat="Node", ts=1, dur=2, args="", pid=1, tid=2):
    """One event as ORT 1.31 writes it: nothing is escaped."""
    return (
        f'{{"cat" : "{cat}","pid" :{pid},"tid" :{tid},"dur" :{dur},"ts" :{ts},"ph" : "X",'
        f'"name" :"{name}","args" : {{{args}}}}}'
    )


def profile(*lines):
    return "[\n" + ",\n".join((line("model_loading_uri", cat="Session"), *lines)) + "\n]\n"


def node_args(op, provider="CPUExecutionProvider"):
    return (
        f'"op_name" : "{op}","node_index" : "5","provider" : "{provider}","thread_scheduling_stats" : "",'
        f'"input_type_shape" : [{{"float":[1,128,768]}},{{"int64":[]}}],"output_type_shape" : [{{"bool":[2]}}]'
    )


def texts(table, column):
    return [table.text(code) for code in column]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rows=st.lists(st.tuples(st.integers(0, 1 << 50), st.integers(0, 1 << 50)), max_size=20))
def test_every_microsecond_survives(write, rows):
    lines = [line(f"n{i}_kernel_time", ts=ts, dur=dur) for i, (ts, dur) in enumerate(rows)]
    table = read_ort_profile(write(profile(*lines)))
    assert table.start_ns.tolist()[1:] == [ts * 1000 for ts, _ in rows]
    assert table.duration_ns.tolist()[1:] == [dur * 1000 for _, dur in rows]
    assert texts(table, table.name)[1:] == [f"n{i}_kernel_time" for i in range(len(rows))]


def test_node_arguments_become_columns(write):
    table = read_ort_profile(write(profile(line("n_kernel_time", args=node_args("MatMul")))))
    assert texts(table, table.op) == ["", "MatMul"]
    assert texts(table, table.provider) == ["", "CPUExecutionProvider"]
    assert table.node_index.tolist() == [-1, 5]
    assert table.input_tensors(1) == (Tensor("float", (1, 128, 768)), Tensor("int64", ()))
    assert table.output_tensors(1) == (Tensor("bool", (2,)),)
    assert table.input_tensors(0) == ()


@pytest.mark.parametrize("stats", ['""', "[]", "[1]", '{"main_thread": {"core": -1}}', "null", "7"])
def test_thread_statistics_may_be_anything(write, stats):
    args = f'"op_name" : "Add","thread_scheduling_stats" : {stats},"node_index" : 3'
    table = read_ort_profile(write(profile(line("n_kernel_time", args=args))))
    assert table.node_index.tolist() == [-1, 3]
    assert not any("left out" in warning for warning in table.warnings)


HOSTILE = [
    'a "quoted" name',
    "back\\slash \\d \\u12",
    "ends with a backslash\\",
    "new\nline",
    "\t\x01\x1b[31m",
    "</script>",
    'x"},{"y',
    'a","args" : {"op_name" : "forged"',
    "x" * 10_000,
    '"',
    "'; DROP TABLE nodes; --",
    "::/<>_1",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_ort_left_unescaped_are_recovered(write, name):
    lines = [
        line("first_kernel_time", args=node_args("Add")),
        line(f"{name}_kernel_time", args=node_args("MatMul")),
        line("last_kernel_time", args=node_args("Mul")),
    ]
    table = read_ort_profile(write(profile(*lines)))
    assert texts(table, table.name)[1:] == ["first_kernel_time", f"{name}_kernel_time", "last_kernel_time"]
    assert texts(table, table.op)[1:] == ["Add", "MatMul", "Mul"]
    assert table.output_tensors(2) == (Tensor("bool", (2,)),)


@pytest.mark.parametrize("op", ['My"Op', "My\\Op", "My\nOp", '","node_index" '])
def test_op_names_that_ort_left_unescaped_are_recovered(write, op):
    lines = [line("a_kernel_time", args=node_args(op)), line("b_kernel_time", args=node_args("Mul"))]
    table = read_ort_profile(write(profile(*lines)))
    assert texts(table, table.name)[1:] == ["a_kernel_time", "b_kernel_time"]
    assert texts(table, table.provider)[1:] == ["CPUExecutionProvider"] * 2
    assert texts(table, table.op)[2] == "Mul"


def test_hostile_names_among_many_events_cost_no_other_event(write):
    names = [f'n{i}"\\' if i % 100 == 0 else f"n{i}" for i in range(5000)]
    lines = [line(f"{name}_kernel_time", ts=i, args=node_args("Add")) for i, name in enumerate(names)]
    table = read_ort_profile(write(profile(*lines), "p.json.gz"))
    assert texts(table, table.name)[1:] == [f"{name}_kernel_time" for name in names]


def test_invalid_utf8_in_a_name_is_replaced(write):
    content = profile(line("n@_kernel_time", args=node_args("Add"))).encode().replace(b"@", b"\xff")
    table = read_ort_profile(write(content))
    assert texts(table, table.name)[1] == "n\ufffd_kernel_time"
    assert texts(table, table.op)[1] == "Add"


def test_a_profile_that_was_dumped_again_reads_the_same(write):
    lines = [line(f"n{i}_kernel_time", ts=i, args=node_args("Add")) for i in range(3000)]
    text = profile(*lines)
    first = read_ort_profile(write(text))
    for again in (json.dumps(json.loads(text)), json.dumps(json.loads(text), indent=1)):
        table = read_trace(write(again, "again.json"))
        assert table.format == "ort-profile"
        assert table.start_ns.tolist() == first.start_ns.tolist()
        assert texts(table, table.name) == texts(first, first.name)
        assert table.input_tensors(7) == first.input_tensors(7)


def test_windows_line_ends_are_read(write):
    name = 'odd"name_kernel_time'
    table = read_ort_profile(write(profile(line(name), line("n")).replace("\n", "\r\n")))
    assert texts(table, table.name)[1:] == [name, "n"]


def test_lost_events_are_said(write):
    marker = line(
        "profile_truncated", cat="Session", args='"dropped_event_count" : "7","max_num_events" : "1000000"'
    )
    assert any("stopped recording" in w for w in read_ort_profile(write(profile(marker))).warnings)
    assert not any("stopped recording" in w for w in read_ort_profile(write(profile())).warnings)


def test_a_full_recorder_is_said_although_old_versions_do_not(write, monkeypatch):
    monkeypatch.setattr("attrib.traces.formats.ort_profile.MOST_EVENTS", 3)
    assert any(
        "stopped recording" in w for w in read_ort_profile(write(profile(line("a"), line("b")))).warnings
    )


def test_fences_and_missing_evidence_are_said(write):
    table = read_ort_profile(write(profile(line("n_fence_before"), line("n_kernel_time"))))
    said = " ".join(table.warnings)
    assert "fence events" in said
    assert "no execution providers" in said
    assert "no shapes" in said
    assert "no run" in said


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
def test_a_killed_process_leaves_a_file_that_is_refused_with_its_place(write, cut):
    text = profile(*(line(f"n{i}_kernel_time", args=node_args("Add")) for i in range(2000)))
    path = write(text[: int(len(text) * cut)])
    with pytest.raises(AttribError, match=r"cut short or not valid JSON at event \d+.*, byte \d+") as caught:
        read_ort_profile(path)
    assert "record the trace again" in caught.value.hint


def test_a_file_without_closing_bracket_is_refused(write):
    with pytest.raises(AttribError, match="without its closing ]"):
        read_ort_profile(write(profile(line("n")).rstrip().removesuffix("]")))


def test_a_broken_event_is_named_by_number_and_byte(write):
    lines = [line("a"), line("b").replace('"ts" :1', '"ts" :'), line("c")]
    with pytest.raises(AttribError, match=r"event 2 \(byte \d+\) cannot be read"):
        read_ort_profile(write(profile(*lines)))


def test_the_other_format_is_refused_by_name(write):
    with pytest.raises(AttribError, match="holds a Kineto trace, not an ONNX Runtime profile"):
        read_ort_profile(write('{"traceEvents":[]}'))


def test_a_profile_that_lost_its_first_bracket_is_read_leniently(write):
    lines = (
        f'{{"cat" : "Session","pid" :1,"tid" :1,"dur" :3,"ts" :{i},"ph" : "X","name" :"model_run","args" : {{}}}},'
        for i in range(4)
    )
    path = write("\n".join(lines))
    with pytest.raises(AttribError):
        read_trace(path)
    profile = read_trace(path, lenient=True)
    assert len(profile) == 4
    assert profile.damage is not None
    assert profile.damage.reason == "the opening [ is missing"


def test_nodes_without_arguments_say_their_op_by_their_name(write):
    names = ("DmlFusedNode_0_41", "/0/0.0/STFT", "/1/prenet/lstm/LSTM", "Conv", "_7")
    nodes = [
        {"cat": "Node", "pid": 1, "tid": 1, "dur": 5, "ts": 10 * i, "ph": "X", "name": f"{name}_kernel_time"}
        for i, name in enumerate(names)
    ]
    profile = read_trace(write(json.dumps(nodes)))
    ops = [profile.text(code) for code in profile.op[profile.nodes()]]
    assert ops == ["DmlFusedNode", "STFT", "LSTM", "Conv", ""]
    assert any("DirectML" in warning for warning in profile.warnings)
