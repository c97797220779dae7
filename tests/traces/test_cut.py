"""Every trace at hand, cut at random places: strict reading says where, lenient reading loses nothing before the cut.

What is right is found with Python's own JSON decoder and zlib over the intact file, not with attrib's readers.
"""

import bisect
import gzip
import io
import json
import os
import random
import re
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from attrib.errors import AttribError
from attrib.traces import read_trace

CUTS = 200
LONGEST = 120_000
"""Longer traces are shortened to this many bytes of events and closed again, before they are cut."""

SAMPLES = Path(__file__).parents[2] / "sample_traces"
SHARED = Path(os.environ.get("ATTRIB_SHARED", Path(__file__).parents[3] / "shared")) / "traces"
TRACES = sorted(
    [*SAMPLES.rglob("trace.json.gz"), *SAMPLES.rglob("profile.json.gz"), *SHARED.rglob("*.json*")]
)
SPACE = re.compile(r"[ \t\r\n]*")
INTEGERS = ("duration_ns", "correlation", "external_id", "node_index", "stream", "bytes")
TEXTS = ("name", "category", "track", "op", "provider", "parent")


class Layout(NamedTuple):
    """Where things are in an intact trace: every event, every other token, and the end of the array."""

    events: list[tuple[int, int]]
    phases: list[str]
    tokens: list[tuple[int, int]]
    close: int


def decode(text, at):
    at = SPACE.match(text, at).end()
    value, end = json.JSONDecoder(strict=False).raw_decode(text, at)
    return value, at, SPACE.match(text, end).end(), end


def events_of(text, at):
    events, phases = [], []
    at = SPACE.match(text, at).end()
    while text[at] != "]":
        value, start, after, end = decode(text, at)
        events.append((start, end))
        phases.append(value["ph"])
        at = SPACE.match(text, after + 1).end() if text[after] == "," else after
    return events, phases, at


def layout_of(data):
    text = data.decode("latin-1")
    if text.lstrip().startswith("["):
        return Layout(*events_of(text, text.index("[") + 1)[:2], [], events_of(text, text.index("[") + 1)[2])
    at, tokens, found = text.index("{") + 1, [], ([], [], -1)
    while text[at] != "}":
        key, start, after, end = decode(text, at)
        tokens.append((start, end))
        at = SPACE.match(text, after + 1).end()
        if key == "traceEvents":
            found = events_of(text, at + 1)
            at = found[2] + 1
        else:
            value, start, _, at = decode(text, at)
            if type(value) is not int:  # what is left of a number is a number
                tokens.append((start, at))
        at = SPACE.match(text, at).end()
        if text[at] == ",":
            at = SPACE.match(text, at + 1).end()
    return Layout(found[0], found[1], tokens, found[2])


def intact(path):
    """The trace, unpacked, and no longer than can be cut often."""
    data = path.read_bytes() if path.suffix == ".json" else b""
    if not data:
        with gzip.open(path) as file:
            data = file.read(2 * LONGEST)
    if len(data) <= LONGEST:
        return data.rstrip()
    text = data[: 2 * LONGEST].decode("latin-1")
    array = text.lstrip().startswith("[")
    at = (text.index("[") if array else text.index('"traceEvents"')) + 1
    at = text.index("[", at) + 1 if not array else at
    end = at
    while end < LONGEST:
        _, _, _, end = decode(text, at)
        at = SPACE.match(text, end).end() + 1
    closing = (
        "\n]"
        if array
        else '], "displayTimeUnit": "ms", "baseTimeNanoseconds": 1751410836000000000, "traceName": "t.json"}'
    )
    return (text[:end] + closing).encode("latin-1")


def expected(layout, cut):
    """How many events are whole before the cut, the byte that an error names, and whether an event was cut."""
    whole = bisect.bisect_right([end for _, end in layout.events], cut)
    inside = [start for start, end in layout.events[whole : whole + 1] if start < cut < end]
    others = [start for start, end in layout.tokens if start < cut < end]
    return whole, (inside or others or [cut])[0], bool(inside)


def texts(table, column, rows):
    strings = np.array([*table.strings, ""], dtype=object)
    return strings[getattr(table, column)[:rows]].tolist()


def assert_same(table, full, rows):
    assert len(table) == rows
    assert np.array_equal(table.start_ns - table.base_ns, (full.start_ns - full.base_ns)[:rows])
    for column in INTEGERS:
        assert np.array_equal(getattr(table, column), getattr(full, column)[:rows]), column
    for column in TEXTS:
        assert texts(table, column, rows) == texts(full, column, rows), column
    for row in {*range(min(rows, 10)), *range(max(rows - 10, 0), rows)}:
        assert table.inputs[row] == full.inputs[row]
        assert table.outputs[row] == full.outputs[row]


def refusal(data):
    with pytest.raises(AttribError) as caught:
        read_trace(io.BytesIO(data))
    found = re.search(r"event ([\d,]+), byte ([\d,]+)( after unpacking)?: ", str(caught.value))
    assert found, caught.value
    assert "\n" not in str(caught.value)
    return int(found[1].replace(",", "")), int(found[2].replace(",", "")), bool(found[3])


def check_cut(data, layout, full, cut, packed):
    """One cut after unpacking; `packed` is what lies on the disk."""
    whole, offset, inside = expected(layout, cut)
    event, byte, unpacked = refusal(data[:cut] if packed is None else packed)
    assert event == whole
    assert byte == offset
    assert unpacked == (packed is not None)
    source = io.BytesIO(data[:cut] if packed is None else packed)
    if not whole:
        with pytest.raises(AttribError):
            read_trace(source, lenient=True)
        return
    table = read_trace(source, lenient=True)
    assert_same(table, full, layout.phases[:whole].count("X"))
    damage = table.damage
    assert (damage.recovered, damage.event, damage.offset) == (whole, whole, byte)
    assert (damage.places, damage.lost, damage.lost_bytes) == (1, int(inside), cut - byte)
    assert damage.cut == (cut <= layout.close)
    assert damage.packed == (packed is not None)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_every_cut_is_named_and_costs_only_what_lies_behind_it(path):
    data = intact(path)
    layout, full = layout_of(data), read_trace(io.BytesIO(data))
    assert full.damage is None
    assert not {"B", "E"} & set(layout.phases)
    choose = random.Random(path.name)
    for _ in range(CUTS):
        check_cut(data, layout, full, choose.randrange(1, len(data)), None)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.parent.name}-{path.name}")
def test_a_packed_trace_that_was_cut_gives_what_can_be_unpacked(path):
    data = intact(path)
    layout, full, packed = layout_of(data), read_trace(io.BytesIO(data)), gzip.compress(data, mtime=0)
    choose = random.Random(path.name)
    for _ in range(CUTS // 4):
        head = packed[: choose.randrange(20, len(packed) - 8)]
        cut = len(zlib.decompressobj(31).decompress(head))
        if 0 < cut < len(data):
            check_cut(data, layout, full, cut, head)


PAIRS = [
    {"ph": "B", "name": "outer", "pid": 1, "tid": 1, "ts": 1},
    {"ph": "X", "name": "x", "pid": 1, "tid": 1, "ts": 2, "dur": 1},
    {"ph": "B", "name": "inner", "pid": 1, "tid": 1, "ts": 3},
    {"ph": "E", "pid": 1, "tid": 1, "ts": 5},
    {"ph": "M", "name": "process_name", "pid": 1, "args": {"name": "p"}},
    {"ph": "E", "pid": 1, "tid": 1, "ts": 9},
]


def test_a_pair_of_which_the_end_was_cut_off_is_no_event():
    data = json.dumps({"traceEvents": PAIRS, "baseTimeNanoseconds": 5_000_000_000}).encode()
    layout = layout_of(data)
    rows = [["x"], ["x"], ["x", "inner"], ["x", "inner"], ["x", "inner", "outer"]]
    for whole, names in enumerate(rows, start=2):
        end = layout.events[whole - 1][1]
        table = read_trace(io.BytesIO(data[:end]), lenient=True)
        assert sorted(texts(table, "name", len(table))) == sorted(names)
        assert table.base_ns == 0  # it stands behind the events
        assert table.damage.recovered == whole
        assert any("no counterpart" in warning for warning in table.warnings) == (whole < len(PAIRS))


def test_facts_behind_the_events_may_be_cut_off():
    data = json.dumps(
        {"traceEvents": PAIRS, "displayTimeUnit": "ms", "baseTimeNanoseconds": 5_000_000_000}
    ).encode()
    table = read_trace(io.BytesIO(data[:-30]), lenient=True)
    assert len(table) == 3
    assert not table.damage.cut
    assert table.damage.lost == 0
    with pytest.raises(
        AttribError, match=f"event 6, byte .*the file ends at byte {len(data) - 30} inside it"
    ):
        read_trace(io.BytesIO(data[:-30]))
