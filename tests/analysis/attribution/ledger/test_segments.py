"""Sums by row against plain loops, and the intervals of many rows against those of one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from attrib.analysis.attribution.ledger import segments as row_times
from attrib.analysis.attribution.ledger.rows import SideTimes
from attrib.analysis.attribution.ledger.sampling import Launches, Rounds

FLOATS = st.floats(-1e9, 1e9, allow_nan=False)


def side(rng: np.random.Generator, segments: int, steps: int = 3, resamples: int = 20) -> SideTimes:
    return SideTimes(
        rng.normal(1e4, 1e3, segments),
        rng.normal(1e4, 1e3, (segments, steps)),
        rng.random((steps, resamples)),
    )


@given(counts=st.lists(st.integers(0, 12), max_size=30), seed=st.integers(0, 2**32 - 1))
def test_adding_by_group_gives_the_digits_of_adding_one_after_another(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1e6, (sum(counts), 5))
    plain, fast = np.zeros((len(counts), 5)), np.zeros((len(counts), 5))
    np.add.at(plain, [i for i, n in enumerate(counts) for _ in range(n)], values)
    row_times.add_by_group(fast, np.array(counts, dtype=np.int64), values)
    assert plain.tobytes() == fast.tobytes()


@given(counts=st.lists(st.integers(0, 20), min_size=1, max_size=30), seed=st.integers(0, 2**32 - 1))
def test_row_values_have_the_digits_of_numpys_sums(counts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    times = side(rng, max(sum(counts), 1))
    order = rng.permutation(sum(counts)).tolist()
    ends = np.cumsum(counts).tolist()
    rows = [{"torch": order[end - n : end]} for n, end in zip(counts, ends, strict=True)]
    expected = [float(times.values[row["torch"]].sum()) if row["torch"] else 0.0 for row in rows]
    assert row_times.row_values(rows, "torch", times) == expected


@given(
    rows=st.lists(
        st.tuples(st.lists(st.integers(0, 39), max_size=4), st.lists(st.integers(0, 39), max_size=4)),
        min_size=1,
        max_size=40,
    ),
    at_once=st.integers(1, 50),
    seed=st.integers(0, 2**32 - 1),
)
@settings(deadline=None)
def test_row_deltas_do_not_depend_on_how_many_rows_are_done_at_once(
    rows: list[tuple[list[int], list[int]]], at_once: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    times = {"torch": side(rng, 40), "onnxruntime": side(rng, 40)}
    named = [{"torch": ours, "onnxruntime": theirs} for ours, theirs in rows]
    places = rng.permutation(len(rows)).tolist()
    table = np.empty((len(rows), 20))
    old, row_times.ROWS_AT_ONCE = row_times.ROWS_AT_ONCE, at_once
    try:
        sums = row_times.row_deltas(named, times, 20, places, table)
    finally:
        row_times.ROWS_AT_ONCE = old
    sides = {
        role: [sum((its.samples[i] @ its.weights for i in row[role]), np.zeros(20)) for row in named]
        for role, its in times.items()
    }
    for i, place in enumerate(places):
        np.testing.assert_allclose(table[place], sides["onnxruntime"][i] - sides["torch"][i], rtol=1e-12)
    for role, its in sides.items():
        np.testing.assert_allclose(sums[role], np.sum(its, axis=0), rtol=1e-12)


@given(
    table=st.integers(2, 30).flatmap(
        lambda columns: st.lists(st.lists(FLOATS, min_size=columns, max_size=columns), min_size=1, max_size=8)
    ),
    blocks=st.integers(1, 20),
    of_launches=st.booleans(),
    data=st.data(),
)
def test_intervals_of_many_rows_are_those_of_each_and_hold_it(
    table: list[list[float]], blocks: int, of_launches: bool, data: st.DataObject
) -> None:
    launches = Launches(tuple(range(len(table[0]))), {})
    sampling = launches if of_launches else Rounds(tuple(range(blocks)))
    estimates = data.draw(st.lists(st.integers(-(10**9), 10**9), min_size=len(table), max_size=len(table)))
    each = [sampling.interval(n, np.array(row)) for n, row in zip(estimates, table, strict=True)]
    assert sampling.intervals(estimates, np.array(table)) == each
    assert all(low <= estimate <= high for estimate, (low, high) in zip(estimates, each, strict=True))


def test_no_rows_have_no_intervals() -> None:
    assert Rounds((0, 1, 2)).intervals([], np.empty((0, 5))) == []
    assert row_times.row_intervals([], np.empty((0, 5)), Rounds((0, 1, 2))) == []
