"""Whether a run lies in the range recorded around it, on generated clocks."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.traces import read_kineto, read_ort_profile
from attrib.traces.recording.clocks import RUN_RANGE, join_clocks, range_rows

BASE = 1_790_857_026_000_000_000
ZERO = BASE + 7_000_000_123
"""Epoch time of the profile's zero."""


def kineto(path, ranges):
    """Ranges of (begin, duration) in nanoseconds from the profile's zero."""
    events = [
        {"ph": "X", "cat": "user_annotation", "name": f"{RUN_RANGE}{number}", "pid": 7, "tid": 7,
         "ts": (ZERO - BASE + begin) / 1000, "dur": duration / 1000}
        for number, (begin, duration) in enumerate(ranges)
    ]  # fmt: skip
    other = {"ph": "X", "cat": "cpu_op", "name": f"{RUN_RANGE}9", "pid": 7, "tid": 7, "ts": 1, "dur": 1}
    path.write_text(
        json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": BASE, "traceEvents": [*events, other]})
    )
    return read_kineto(path)


def profile(path, runs):
    events = [
        {"cat": "Session", "pid": 7, "tid": 7, "dur": duration // 1000, "ts": begin // 1000, "ph": "X",
         "name": "model_run", "args": {}}
        for begin, duration in runs
    ]  # fmt: skip
    path.write_text(json.dumps(events))
    return read_ort_profile(path)


def joined(tmp_path, ranges, runs, zero=ZERO):
    return join_clocks(profile(tmp_path / "p.json", runs), zero, kineto(tmp_path / "d.json", ranges))


RANGES = [(1_000_000, 900_000), (2_000_000, 900_000), (3_000_000, 900_000)]
RUNS = [(begin + 40_000, duration - 60_000) for begin, duration in RANGES]


def test_runs_inside_their_ranges_leave_no_residual(tmp_path):
    join = joined(tmp_path, RANGES, RUNS)
    assert join.agrees
    assert (join.residual_ns, join.unpaired) == (0, 0)
    assert join.before_ns.tolist() == [40_000] * 3
    assert join.after_ns.tolist() == [20_000] * 3


def test_what_the_join_cannot_tell_is_the_room_inside_the_ranges(tmp_path):
    assert joined(tmp_path, RANGES, RUNS).shifts_ns == (-40_000, 20_000)


def test_runs_without_a_range_stay_alone(tmp_path):
    """The warm-up and the lead-in of each block are in the profile only."""
    lead_in = [(0, 900_000), (950_000, 30_000), (4_000_000, 900_000)]
    join = joined(tmp_path, RANGES, sorted([*RUNS, *lead_in]))
    assert join.agrees
    assert join.before_ns.tolist() == [40_000] * 3


@pytest.mark.parametrize(
    ("shift", "residual"), [(-100_000, 60_000), (100_000, 80_000), (-41_000, 1_000), (15_000, 0)]
)
def test_clock_that_runs_aside_is_measured(tmp_path, shift, residual):
    join = joined(tmp_path, RANGES, RUNS, ZERO + shift)
    assert join.residual_ns == join.typical_ns == residual
    assert join.agrees == (residual <= 50_000)


def test_one_block_aside_does_not_hide_behind_the_others(tmp_path):
    join = joined(tmp_path, RANGES, [*RUNS[:2], (RUNS[2][0] + 100_000, RUNS[2][1])])
    assert (join.residual_ns, join.typical_ns, join.agrees) == (80_000, 0, False)


def test_range_without_a_run_is_counted(tmp_path):
    join = joined(tmp_path, RANGES, RUNS[:2])
    assert (join.ranges.size, join.unpaired, join.agrees) == (2, 1, False)


@pytest.mark.parametrize(("ranges", "runs"), [([], RUNS), (RANGES, []), ([], [])])
def test_nothing_to_join_agrees_with_nothing(tmp_path, ranges, runs):
    join = joined(tmp_path, ranges, runs)
    assert not join.agrees
    assert (join.residual_ns, join.typical_ns, join.shifts_ns) == (0, 0, (0, 0))
    assert join.unpaired == len(ranges)


def test_only_annotations_are_ranges(tmp_path):
    table = kineto(tmp_path / "d.json", RANGES)
    assert range_rows(table).size == 3


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 40), st.integers(1, 200), st.integers(0, 40)),
             min_size=1, max_size=12),
    st.integers(-30, 30),
)  # fmt: skip
def test_every_shift_that_the_join_allows_keeps_every_run_inside(tmp_path_factory, steps, shift):
    """Steps of (gap, before, run, after) in microseconds, on clocks that are `shift` microseconds apart."""
    folder = tmp_path_factory.mktemp("clocks")
    ranges, runs, now = [], [], 0
    for gap, before, run, after in steps:
        now += gap * 1000
        ranges.append((now, (before + run + after) * 1000))
        runs.append((now + before * 1000, run * 1000))
        now += (before + run + after) * 1000
    join = joined(folder, ranges, runs, ZERO + shift * 1000)
    if join.unpaired:
        return
    low, high = join.shifts_ns
    assert join.residual_ns == max(0, low, -high)
    for offset in {low, high} if low <= high else ():
        assert (join.before_ns + offset >= 0).all()
        assert (join.after_ns - offset >= 0).all()
    assert np.all(np.diff(join.ranges) > 0)
