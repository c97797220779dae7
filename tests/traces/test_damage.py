"""What is wrong with a trace, kind by kind: what strict reading says, and what lenient reading recovers."""

import json

import pytest

from attrib.errors import AttribError
from attrib.traces import read_kineto, read_ort_profile, read_trace

HEAD = b'{"schemaVersion":1,"traceEvents":['
TAIL = b'],"displayTimeUnit":"ms","baseTimeNanoseconds":1000}'


def event(name, **more):
    fields = {"ph": "X", "cat": "cpu_op", "name": name, "pid": 1, "tid": 1, "ts": 1, "dur": 2} | more
    return json.dumps(fields, separators=(",", ":")).encode()


def trace(*events, tail=TAIL):
    return HEAD + b",".join(events) + tail


def node(name, op="Add"):
    return (
        f'{{"cat" : "Node","pid" :1,"tid" :1,"dur" :5,"ts" :1,"ph" : "X","name" :"{name}",'
        f'"args" : {{"op_name" : "{op}"}}}}'
    ).encode()


def profile(*lines):
    return b"[\n" + b",\n".join(lines) + b"\n]\n"


def names(table):
    return [table.text(int(code)) for code in table.name]


A, B, C, D = (
    event(name, args={"Input Dims": [[1, 2], [3]], "l": [{"int64": 1}, {"b": 2}]}) for name in "abcd"
)

IN_THE_MIDDLE = {
    "garbage between events": (trace(A, B + b"\x00garbage", C, D), "abcd", 2, 0),
    "garbage in place of a comma": (trace(A, B) [: -len(TAIL)] + b"@@@" + C + TAIL, "abc", 2, 0),
    "garbage in place of an event": (trace(A, b"@!#", C, D), "acd", 1, 1),
    "an unescaped quote": (trace(A, event("b").replace(b'"b"', b'"b"b"'), C, D), "acd", 1, 1),
    "half an event": (trace(A, B[: len(B) // 2], C, D), "acd", 1, 1),
    "an event without its end": (trace(A, B[:-3], C, D), "acd", 1, 1),
    "an event without its beginning": (trace(A, B[9:], C, D), "acd", 1, 1),
    "the middle of two events cut out": (trace(A, B[:40] + C[50:], D), "ad", 1, 1),
    "a bracket left open": (trace(A, B.replace(b"[3]", b"[3"), C, D), "acd", 1, 1),
    "what is no object": (trace(A, b"5", C, b'"{}"', D), "acd", 1, 2),
    "deep nesting": (trace(A, event("b", args=0).replace(b":0", b":" + b"[" * 50_000), C, D), "acd", 1, 1),
    "the last event": (trace(A, B, C.replace(b'"name":', b'"name"')), "ab", 2, 1),
}  # fmt: skip


@pytest.mark.parametrize("case", IN_THE_MIDDLE)
def test_damage_in_the_middle_costs_the_event_in_which_it_lies(write, case):
    content, found, number, lost = IN_THE_MIDDLE[case]
    path = write(content)
    with pytest.raises(AttribError, match=rf"event {number}\b.*\bbyte \d+") as caught:
        read_trace(path)
    assert "\n" not in str(caught.value)
    table = read_trace(path, lenient=True)
    assert names(table) == list(found)
    assert table.base_ns == 1000
    damage = table.damage
    assert (damage.event, damage.recovered, damage.lost, damage.cut) == (number, len(found), lost, False)
    assert damage.lost_bytes > 0
    assert damage.file == str(path)


def test_the_offset_is_where_the_damage_begins(write):
    content = trace(A, B, b"@" * 100, C)
    damage = read_trace(write(content), lenient=True).damage
    assert (damage.offset, damage.lost_bytes) == (content.index(b"@"), 101)


def test_every_place_is_counted_and_the_first_is_named(write):
    events = [event(f"n{i}") if i % 10 else event(f"n{i}").replace(b'"cat"', b'"cat') for i in range(3000)]
    table = read_trace(write(trace(*events)), lenient=True)
    assert names(table) == [f"n{i}" for i in range(3000) if i % 10]
    assert (table.damage.places, table.damage.lost, table.damage.recovered) == (300, 300, 2700)
    assert (table.damage.event, table.damage.offset) == (0, len(HEAD))


def test_an_object_within_an_argument_is_not_an_event(write):
    inner = '{"ph":"X","name":"inner","ts":1,"dur":1}'
    content = trace(A, event("b", args={"x": json.loads(inner)}).replace(b'"name":"b"', b'"name":"b'), C)
    assert names(read_trace(write(content), lenient=True)) == ["a", "c"]


def test_an_event_over_the_edge_of_a_block_is_recovered_behind_damage(write):
    for size in (1 << 18) - 200, (1 << 18) - 20, 1 << 18, (1 << 18) + 50, 1 << 20:
        content = trace(A, b"x" * size, B, C)
        assert names(read_trace(write(content), lenient=True)) == ["a", "b", "c"]


BEHIND = {
    "garbage": (trace(A, B) + b"garbage", "something follows the end of the trace"),
    "another object": (trace(A, B) + trace(C), "another trace begins"),
    "another array": (b"[" + A + b"," + B + b"]\n[" + C + b"]", "another trace begins"),
    "a second array of events": (
        trace(A, B)[:-1] + b',"traceEvents":[' + C + b"]}",
        "second array of traceEvents",
    ),
}


@pytest.mark.parametrize("case", BEHIND)
def test_what_follows_the_end_is_refused_by_name_and_left_out(write, case):
    content, says = BEHIND[case]
    path = write(content)
    with pytest.raises(AttribError, match=says):
        read_trace(path)
    table = read_trace(path, lenient=True)
    assert names(table) == ["a", "b"]
    assert says in table.damage.reason
    assert table.damage.lost_bytes > 0
    assert not table.damage.cut


def test_joined_profiles_are_refused_by_name_and_the_first_is_read(write):
    path = write(profile(node("a"), node("b")) + profile(node("c")))
    with pytest.raises(AttribError, match=r"event 2, byte .*another trace begins, several files were joined"):
        read_ort_profile(path)
    assert names(read_ort_profile(path, lenient=True)) == ["a", "b"]


def test_damaged_facts_before_the_events_cost_no_event(write):
    path = write(b'{"schemaVersion":1,"bad":@@,"traceEvents":[' + A + TAIL)
    with pytest.raises(AttribError, match="event 0, byte"):
        read_trace(path)
    table = read_trace(path, lenient=True)
    assert names(table) == ["a"]
    assert table.damage.offset == 25


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"[", b'{"a":1', HEAD, HEAD + A[:-1], b"hello", b'[{"cat" : "Node"']
)
def test_a_file_without_one_whole_event_is_always_an_error(write, content):
    for lenient in (False, True):
        with pytest.raises(AttribError):
            read_trace(write(content), lenient=lenient)


HARMLESS = {
    "a comma before the bracket": (trace(A, B + b","), 2),
    "nan": (trace(A, event("b", args={"x": 0}).replace(b":0}", b":nan}")), 2),
    "a duplicate key": (trace(A, B.replace(b'"dur":2', b'"dur":7,"dur":2')), 2),
    "a control character": (trace(A, event("b@").replace(b"@", b"\x01")), 2),
    "invalid UTF-8": (trace(A, event("b@").replace(b"@", b"\xff")), 2),
    "out of order": (trace(event("a", ts=9), event("b", ts=3)), 2),
    "a negative duration": (trace(A, event("b", dur=-5)), 2),
    "a huge time": (trace(A, event("b", ts=10**40)), 1),
    "a huge id": (trace(A, event("b", args={"correlation": 10**40})), 2),
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_does_no_harm_is_read_alike_by_both(write, case):
    content, rows = HARMLESS[case]
    path = write(content)
    for table in (read_kineto(path), read_kineto(path, lenient=True)):
        assert len(table) == rows
        assert table.damage is None
        assert table.duration_ns.tolist() == [2000, 0 if "negative" in case else 2000][:rows]


def test_an_unescaped_name_beside_garbage_costs_no_other_event(write):
    lines = [node(f"n{i}" + ('"\\' if i % 7 == 0 else "")) for i in range(2000)]
    lines[1000] += b"\nXX"
    path = write(profile(*lines))
    with pytest.raises(AttribError, match=r"event 1001|event 1,001|event 1,000"):
        read_ort_profile(path)
    table = read_ort_profile(path, lenient=True)
    lost = set(range(2000)) - {int(name.strip('n"\\')) for name in names(table)}
    assert not lost - {1001}
    assert table.damage.recovered == len(table)


def test_two_events_are_never_mended_into_one(write):
    path = write(profile(node("a"), node("b") + b"\n@@", node("c")))
    with pytest.raises(AttribError):
        read_ort_profile(path)
    assert names(read_ort_profile(path, lenient=True)) == ["a", "b", "c"]


def test_events_that_only_a_second_look_gives_are_told_as_damage(write):
    odd = node("b").replace(b'{"cat"', b'{"cax"')
    path = write(profile(node("a"), odd, node('c"q'), node("d")))
    with pytest.raises(AttribError, match="event 0"):
        read_ort_profile(path)
    table = read_ort_profile(path, lenient=True)
    assert (table.damage.recovered, table.damage.lost, table.damage.lost_bytes) == (4, 0, 0)


def test_an_intact_trace_has_no_damage_and_the_same_table(write):
    path = write(trace(A, B, C))
    strict, lenient = read_trace(path), read_trace(path, lenient=True)
    assert strict.damage is lenient.damage is None
    assert names(strict) == names(lenient)
