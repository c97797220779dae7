"""Two sides measured side by side: the difference is the second minus the first, with the headline's interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrib.analysis.attribution.ledger.headline import (
    ESTIMATORS,
    headline,
    location,
    number_blocks,
    paired_difference,
)
from attrib.analysis.attribution.ledger.sampling import DRIFT
from attrib.model.latency import LatencyTable


def blocks(level, seed, *, rounds=12, steps=5, drift=0.0):
    rng = np.random.default_rng(seed)
    return tuple(
        tuple(int(level * (1 + drift * number) * (1 + 0.01 * rng.standard_normal())) for _ in range(steps))
        for number in range(rounds)
    )


def test_difference_is_second_minus_first_and_equals_the_headline():
    first, second = blocks(1_000_000, 1), blocks(1_200_000, 2)
    baseline, variant, delta = paired_difference(first, second)
    latency = headline({"torch": number_blocks(first), "onnxruntime": number_blocks(second)}).latency
    assert (baseline, variant, delta) == (latency.torch_ns, latency.onnxruntime_ns, latency.delta_ns)
    assert delta.median == variant.median - baseline.median
    assert delta.low <= 200_000 <= delta.high
    assert delta.low > 0


def test_drift_that_both_sides_share_does_not_widen_the_difference():
    first, second = blocks(1_000_000, 1, drift=0.05), blocks(1_100_000, 2, drift=0.05)
    baseline, _, delta = paired_difference(first, second)
    assert delta.high - delta.low < (baseline.high - baseline.low) / 2


def test_rounds_that_one_side_lacks_are_not_paired():
    first, second = blocks(1_000_000, 1, rounds=4), blocks(1_000_000, 2, rounds=3)
    baseline, variant, _ = paired_difference(first, second)
    assert (baseline.n, variant.n) == (20, 15)
    with pytest.raises(ValueError, match="no round"):
        paired_difference(first, ())


def launched(levels, seed=0, *, rounds=4):
    """Blocks around a level for each launch, and the launch of each round."""
    found = [blocks(level, seed + i, rounds=rounds) for i, level in enumerate(levels)]
    return tuple(block for its in found for block in its), [
        i for i in range(len(levels)) for _ in range(rounds)
    ]


def test_a_side_is_the_mean_over_launches_and_the_delta_exactly_their_difference():
    first, launches = launched([1_000_000, 1_000_001, 1_100_000])
    second, _ = launched([900_000, 900_000, 930_000], seed=9)
    baseline, variant, delta = paired_difference(first, second, launches)
    each = [np.median(np.concatenate(first[i : i + 4])) for i in (0, 4, 8)]
    assert baseline.median == round(np.mean(each))
    assert delta.median == variant.median - baseline.median
    latency = headline(
        {"torch": number_blocks(first), "onnxruntime": number_blocks(second)}, dict(enumerate(launches))
    ).latency
    assert latency.launches == 3
    assert (latency.torch_ns, latency.onnxruntime_ns, latency.delta_ns) == (baseline, variant, delta)


def test_the_interval_over_launches_is_students():
    """scipy.stats.t.interval(0.95, 2, loc, sem) of 10, 20 and 30: 20 -/+ 24.84."""
    first = [[1000]] * 3
    second = [[1010], [1020], [1030]]
    _, _, delta = paired_difference(first, second, [0, 1, 2])
    assert (delta.median, delta.low, delta.high) == (20, -5, 45)


def test_a_launch_that_lies_elsewhere_widens_the_interval():
    first, launches = launched([1_000_000] * 4)
    alike, _ = launched([900_000] * 4, seed=9)
    odd, _ = launched([900_000, 900_000, 900_000, 990_000], seed=9)
    (_, _, narrow), (_, _, wide) = (paired_difference(first, second, launches) for second in (alike, odd))
    assert narrow.high - narrow.low < 30_000
    assert wide.high - wide.low > 100_000
    _, _, blind = paired_difference(first, odd)  # as if they were rounds of one launch
    assert blind.high - blind.low < wide.high - wide.low


def test_what_all_launches_share_cancels_out_of_the_ratio():
    first, launches = launched([1_000_000, 1_500_000, 4_000_000])
    second = tuple(tuple(wall // 2 for wall in block) for block in first)
    latency = headline(
        {"torch": number_blocks(first), "onnxruntime": number_blocks(second)}, dict(enumerate(launches))
    ).latency
    assert latency.ratio.value == pytest.approx(2, abs=1e-5)
    assert latency.ratio.low == pytest.approx(2 ** (1 - DRIFT), abs=1e-4)
    assert latency.ratio.high == pytest.approx(2 ** (1 + DRIFT), abs=1e-4)
    assert not latency.significant  # the difference is 0.5, 0.75 and 2 ms: of another launch it may be 0


def test_the_ratio_lies_in_its_interval_and_is_that_of_the_steps():
    latency = headline(
        {"torch": number_blocks(blocks(1_400_000, 1)), "onnxruntime": number_blocks(blocks(1_000_000, 2))}
    ).latency
    ratio = latency.ratio
    assert ratio.value == pytest.approx(latency.torch_ns.median / latency.onnxruntime_ns.median, abs=1e-6)
    assert 1.3 < ratio.low <= ratio.value <= ratio.high < 1.5
    assert latency.significant
    assert latency.launches == 1


def test_steps_that_took_no_time_have_no_ratio():
    latency = headline({"torch": number_blocks([[0], [0]]), "onnxruntime": number_blocks([[5], [5]])}).latency
    assert latency.ratio is None
    assert latency.significant


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_finds_the_level_and_gives_an_interval(estimator):
    first, second = blocks(1_000_000, 1), blocks(1_200_000, 2)
    assert location(number_blocks(first), estimator) == pytest.approx(1_000_000, rel=0.02)
    baseline, variant, delta = paired_difference(first, second, estimator=estimator)
    assert baseline.low <= baseline.median <= baseline.high
    assert delta.low <= variant.median - baseline.median <= delta.high
    assert delta.low > 150_000


def test_estimators_of_short_blocks():
    """Blocks of different lengths: the median of 1, 2, 9 is 2, that of their medians (2, 9) 5.5."""
    short = number_blocks([[1, 2, 9], [9]])
    expected = {"median": 5.5, "median-of-blocks": 5.5, "hodges-lehmann": 5.5, "lower-quartile": 3.75}
    assert {name: location(short, name) for name in ESTIMATORS} == expected


def test_coverage_over_launches_is_what_it_claims():
    """300 simulated captures of five launches with an effect of the launch: the interval holds the truth near 95 %."""
    rng = np.random.default_rng(5)
    launches, hits, blind = [launch for launch in range(5) for _ in range(4)], 0, 0
    for _ in range(300):
        luck = rng.normal(1, 0.03, (2, 5))
        sides = [
            [rng.normal(1e6 * luck[side, launch], 1e4, 5).astype(int) for launch in launches]
            for side in (0, 1)
        ]
        for known in (True, False):
            _, _, delta = paired_difference(*sides, launches if known else ())
            is_held = delta.low <= 0 <= delta.high
            hits, blind = hits + (known and is_held), blind + (not known and is_held)
    assert 0.92 <= hits / 300 <= 0.98
    assert blind < hits


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 4), st.sets(st.integers(0, 11), max_size=5), st.integers(1, 50), st.integers(0, 2**16))
def test_disturbed_blocks_never_move_the_headline(launches, disturbed, slower, seed):
    """Rounds that were disturbed (the threads waited) and measured again, whatever they took."""
    rng = np.random.default_rng(seed)
    rows, clean = [], {"torch": {}, "onnxruntime": {}}
    for number in range(12):
        for attempt in range(1 + (number in disturbed)):
            is_last = attempt == (number in disturbed)
            for role in ("torch", "onnxruntime"):
                wall = int(1e6 * rng.normal(1, 0.05)) * (1 if is_last else slower)
                rows.append(
                    (role, number, number % launches, attempt, len(rows), wall, 0 if is_last else 10**9)
                )
                if is_last:
                    clean[role][number] = np.array([wall])
    role, number, launch, attempt, start, wall, waiting = (list(column) for column in zip(*rows, strict=True))
    table = LatencyTable(
        engine=role, phase=["plain"] * len(rows), block=np.array(number), iteration=np.zeros(len(rows), int),
        start_ns=np.array(start), wall_ns=np.array(wall),
        more={
            "launch": np.array(launch), "attempt": np.array(attempt), "waiting_ns": np.array(waiting),
            "elapsed_ns": np.full(len(rows), 10**9),
        },
    )  # fmt: skip
    sides = {side: table.blocks(side, "plain") for side in ("torch", "onnxruntime")}
    of_round = {number: number % launches for number in range(12)}
    assert table.launches() == of_round
    assert headline(sides, table.launches()).latency == headline(clean, of_round).latency
