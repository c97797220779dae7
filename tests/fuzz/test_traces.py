"""Property-based fuzzing of the trace readers, by the same oracle as the coverage-guided runs, and every crash of those."""

import json
import sys
from pathlib import Path

import fuzz_seeds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trace_oracle import check_bytes, events_of, expected_sums, loads, sums_of

CRASHES = sorted(Path(__file__).with_name("crashes").glob("*.bin"))
KINETO = json.dumps(fuzz_seeds.KINETO).encode()
ORT = next(seed for seed in fuzz_seeds.ort_seeds() if seed.startswith(b"[\n{") and expected_sums(seed))
QUIET = {"suppress_health_check": [HealthCheck.function_scoped_fixture], "deadline": None}

PIECES = st.one_of(
    st.sampled_from([bytes([b]) for b in b'"\\{}[],:.-+eE09\x00\x80\xff \n']),
    st.binary(min_size=1, max_size=6),
)
EDITS = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 30), PIECES), min_size=1, max_size=3)

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=4),
    st.sampled_from(["X", "B", "E", "Node", "0x7", "616", "12.5", [], {}, [[1]], {"a": 1}]),
)  # fmt: skip
FIELDS = st.sampled_from(["ph", "cat", "name", "pid", "tid", "ts", "dur", "args", "other"])
CHANGES = st.lists(
    st.tuples(st.integers(0, 50), FIELDS, VALUES, st.sampled_from(["set", "drop"])), min_size=1, max_size=4
)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 512 bytes, as in the coverage-guided runs: a seam every few events."""
    for name, module in list(sys.modules.items()):
        if name.startswith("attrib.traces.") and hasattr(module, "BLOCK"):
            monkeypatch.setattr(module, "BLOCK", 512)


def edited(data, edits):
    for place, length, piece in edits:
        at = place % (len(data) + 1)
        data = data[:at] + piece + data[at + length :]
    return data


def changed(data, changes):
    """The trace with members of its events set or left out; JSON throughout."""
    tree = json.loads(data)
    events = events_of(tree)
    for place, name, value, how in changes:
        event = events[place % len(events)]
        if how == "drop":
            event.pop(name, None)
        else:
            event[name] = value
    return json.dumps(tree).encode()


@pytest.mark.parametrize("crash", CRASHES, ids=lambda path: path.stem)
@pytest.mark.parametrize("blocks", ["whole", "small"])
def test_what_crashed_once_is_read_or_refused(tmp_path, request, crash, blocks):
    if blocks == "small":
        request.getfixturevalue("small_blocks")
    check_bytes(crash.read_bytes(), tmp_path)


@pytest.mark.parametrize("seeds", [fuzz_seeds.kineto_seeds, fuzz_seeds.ort_seeds], ids=["kineto", "ort"])
@pytest.mark.parametrize("blocks", ["whole", "small"])
def test_every_seed_is_read_and_adds_up(tmp_path, request, seeds, blocks):
    if blocks == "small":
        request.getfixturevalue("small_blocks")
    for seed in seeds():
        assert check_bytes(seed, tmp_path) is not None


@pytest.mark.parametrize("original", [KINETO, ORT], ids=["kineto", "ort"])
@settings(max_examples=60, **QUIET)
@given(edits=EDITS)
def test_edited_bytes_across_blocks_are_read_or_refused_and_add_up(tmp_path, small_blocks, original, edits):
    check_bytes(edited(original, edits), tmp_path, summary=False)


@pytest.mark.parametrize("original", [KINETO, ORT], ids=["kineto", "ort"])
@settings(max_examples=60, **QUIET)
@given(changes=CHANGES)
def test_events_with_members_of_any_type_are_never_refused(tmp_path, small_blocks, original, changes):
    assert check_bytes(changed(original, changes), tmp_path, summary=False) is not None


def test_the_oracle_notices_a_lost_event(tmp_path):
    table = check_bytes(
        KINETO.replace(b'"ph": "B"', b'"ph": "M"').replace(b'"ph": "E"', b'"ph": "M"'), tmp_path
    )
    found = sums_of(table)
    assert found["cpu_op"] == (1, 22_510)
    tree = loads(KINETO.replace(b'"B"', b'"M"').replace(b'"E"', b'"M"'))
    tree["traceEvents"].pop(1)
    assert expected_sums(json.dumps(tree, default=float).encode()) != found
