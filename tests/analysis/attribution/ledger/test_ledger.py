"""The ledger: exact sums, honest intervals, and the overhead as its own row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attrib.analysis.attribution.ledger.headline import headline
from attrib.analysis.attribution.ledger.ledger import build_ledger
from attrib.analysis.attribution.ledger.sampling import Launches, Rounds, step_weights
from attrib.analysis.match.regions import regions
from attrib.errors import InternalError
from attrib.model.manifest import Overhead
from attrib.model.work import Partition, Work


def partition(engine, times, parts, *, blocks=3, seed=0, noise=0.0, slow=()):
    """A partition of `2 * blocks` steps around the given times in ns."""
    rng = np.random.default_rng(seed)
    steps = 2 * blocks
    names = [f"{engine}-{i}" for i in range(len(times))]
    ops = {"torch": "aten::linear", "onnxruntime": "MatMul"}
    work = tuple(
        Work(id=n, engine=engine, op=ops[engine], order=i, provider="CPU") for i, n in enumerate(names)
    )
    base = np.array([*times, *parts], dtype=float)[:, None]
    scaled = np.round(base * (1 + noise * rng.standard_normal((1, steps)))).astype(np.int64)
    scaled[:, list(slow)] *= 10
    count = len(times)
    return Partition(
        engine=engine,
        work=work,
        parts=tuple(f"{engine} part {i}" for i in range(len(parts))),
        work_ns=scaled[:count],
        parts_ns=scaled[count:],
        walls_ns=scaled.sum(axis=0),
        blocks=np.repeat(np.arange(blocks), 2),
        inside=np.array([*[1] * count, *[0] * len(parts)]),
        outside=np.array([*[0] * count, *[count] * len(parts)]),
        scopes=np.zeros(count + len(parts), dtype=np.int64),
    )


def plain(median, *, blocks=8, noise=0.01, seed=1):
    rng = np.random.default_rng(seed)
    return {
        b: np.round(median * (1 + noise * rng.standard_normal(5))).astype(np.int64) for b in range(blocks)
    }


def ledger_of(torch, ort, head, overheads=None, faults=None):
    calls = torch.work if torch else ()
    nodes = ort.work if ort else ()
    sides = {"torch": torch, "onnxruntime": ort}
    found = regions(calls, nodes)
    partitions = {role: p for role, p in sides.items() if p}
    return build_ledger(
        partitions, found, head, overheads=overheads or {}, provider="CPU", faults=faults or {}
    )


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 10**8), min_size=1, max_size=8),
    st.lists(st.integers(1, 10**8), min_size=1, max_size=8),
    st.integers(0, 50_000),
)
def test_rows_sum_to_the_headline_to_the_nanosecond(torch, ort, cost):
    head = headline({"torch": plain(sum(torch)), "onnxruntime": plain(sum(ort), seed=2)})
    ledger = ledger_of(
        partition("torch", torch, [1000], noise=0.02),
        partition("onnxruntime", ort, [500, 20], noise=0.02),
        head,
        {"torch": Overhead(inside_ns=cost, outside_ns=cost)},
    )
    assert sum(row.delta_ns for row in ledger.rows) == head.latency.delta_ns.median
    assert sum(cause.delta_ns for cause in ledger.causes()) == head.latency.delta_ns.median
    assert all(row.low_ns <= row.delta_ns <= row.high_ns for row in ledger.rows)
    assert len({row.id for row in ledger.rows}) == len(ledger.rows)


def test_page_faults_that_profiled_steps_lack_are_a_row_and_the_rows_still_sum():
    rounds = {number: number // 4 for number in range(8)}
    step = {number: 1_400_000 if launch == 0 else 1_200_000 for number, launch in rounds.items()}
    head = headline(
        {
            "torch": {number: np.full(5, wall) for number, wall in step.items()},
            "onnxruntime": plain(1_000_000, seed=2),
        },
        rounds,
    )
    ledger = ledger_of(
        partition("torch", [900_000], [100_000], blocks=8),
        partition("onnxruntime", [900_000], [100_000], blocks=8),
        head,
        faults={"torch": {0: 400_000.0, 1: 200_000.0}, "onnxruntime": {0: 0.0, 1: 0.0}},
    )
    row = next(row for row in ledger.rows if row.cause == "page_faults")
    assert (row.torch_ns, row.onnxruntime_ns) == (300_000, 0)
    assert row.low_ns < -300_000 < row.high_ns
    overhead = next(row for row in ledger.rows if row.cause == "profiler_overhead")
    assert overhead.torch_ns == 0
    assert sum(row.torch_ns for row in ledger.rows) == head.latency.torch_ns.median
    assert sum(row.delta_ns for row in ledger.rows) == head.latency.delta_ns.median
    assert ledger.times("torch")[row.region] == 300_000


def test_without_page_faults_there_is_no_row_of_them():
    head = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_000_000, seed=2)})
    ledger = ledger_of(
        partition("torch", [900_000], [100_000]),
        partition("onnxruntime", [900_000], [600_000]),
        head,
        faults={"torch": {0: 0.0}},
    )
    assert "page_faults" not in {row.cause for row in ledger.rows}


def test_a_slow_profiler_is_a_row_and_not_blamed_on_operators():
    head = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_000_000, seed=2)})
    ledger = ledger_of(
        partition("torch", [900_000], [100_000]), partition("onnxruntime", [900_000], [600_000]), head
    )
    overhead = next(row for row in ledger.rows if row.cause == "profiler_overhead")
    assert overhead.torch_ns == pytest.approx(0, abs=20_000)
    assert overhead.onnxruntime_ns == pytest.approx(-500_000, abs=20_000)


def test_calibrated_overhead_is_taken_out_where_it_lands():
    head = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_000_000, seed=2)})
    ledger = ledger_of(
        partition("torch", [900_000], [100_000]),
        partition("onnxruntime", [900_000], [600_000]),
        head,
        {"onnxruntime": Overhead(outside_ns=500_000)},
    )
    executor = next(row for row in ledger.rows if row.region == "(framework)/onnxruntime part 0")
    assert executor.onnxruntime_ns == pytest.approx(100_000, abs=10_000)


def test_the_executor_is_held_to_what_it_can_need_without_the_profiler():
    head = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_000_000, seed=2)})
    ledger = ledger_of(
        partition("torch", [900_000], [100_000]),
        partition("onnxruntime", [900_000], [600_000]),
        head,
        {"onnxruntime": Overhead(outside_ns=100_000, between_ns=200)},
    )
    executor = next(row for row in ledger.rows if row.region == "(framework)/onnxruntime part 0")
    assert executor.onnxruntime_ns == 200
    assert sum(row.delta_ns for row in ledger.rows) == head.latency.delta_ns.median


def test_one_outlier_step_does_not_move_the_estimate():
    head = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_000_000, seed=2)})
    ledger = ledger_of(
        partition("torch", [900_000], [100_000]),
        partition("onnxruntime", [900_000], [100_000], blocks=4, slow=(3,)),
        head,
    )
    row = next(row for row in ledger.rows if row.cause == "kernel")
    assert row.onnxruntime_ns == 900_000


def test_a_single_engine_gives_its_breakdown_and_no_delta():
    head = headline({"torch": plain(1_000_000)})
    ledger = ledger_of(partition("torch", [900_000], [100_000]), None, head)
    assert head.latency.delta_ns is None
    assert not head.latency.significant
    assert sum(row.torch_ns for row in ledger.rows) == head.latency.torch_ns.median


def test_without_plain_steps_there_is_no_headline_and_no_overhead_row():
    ledger = ledger_of(partition("torch", [5], [1]), partition("onnxruntime", [7], [2]), headline({}))
    assert "profiler_overhead" not in {row.cause for row in ledger.rows}
    assert sum(row.onnxruntime_ns for row in ledger.rows) == 9


def test_equal_sides_are_not_significant_and_different_ones_are():
    same = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_000_000, seed=2)})
    assert not same.latency.significant
    other = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_200_000, seed=2)})
    assert other.latency.significant
    assert other.latency.delta_ns.low <= other.latency.delta_ns.median <= other.latency.delta_ns.high


def test_a_shared_drift_cancels_out_of_the_delta():
    drift = np.linspace(1, 2, 12)
    torch = {b: np.full(5, int(1e6 * d)) for b, d in enumerate(drift)}
    ort = {b: walls + 10_000 for b, walls in torch.items()}
    found = headline({"torch": torch, "onnxruntime": ort}).latency
    assert found.delta_ns.low >= 9_000
    assert found.delta_ns.high <= 11_000
    assert found.torch_ns.high - found.torch_ns.low > 100_000


def test_the_interval_covers_the_truth_about_as_often_as_it_claims():
    """200 simulated captures of 12 noisy rounds with block effects: coverage of the true difference near 95 %."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        sides = [
            {b: 1e6 * (1 + 0.02 * rng.standard_normal() + 0.01 * rng.standard_normal(5)) for b in range(12)}
            for _ in range(2)
        ]
        delta = headline(dict(zip(("torch", "onnxruntime"), sides, strict=True))).latency.delta_ns
        hits += delta.low <= 0 <= delta.high
    assert 0.90 <= hits / 200 <= 1.0


class Drawn(Rounds):
    """Rounds of which it is known how often each was drawn."""

    def counts(self, rounds):
        return np.array([[0, 0, 3], [1, 1, 1]])[:, np.searchsorted(np.array(self.numbers), rounds)]


def test_weights_prefer_the_middle_half_and_sum_to_one():
    walls = np.array([10, 11, 12, 13, 1000])
    weights, resampled = step_weights(walls, np.array([0, 0, 1, 1, 2]), Drawn((0, 1, 2)))
    assert weights[4] == 0
    assert weights[2] == max(weights)
    assert weights.sum() == pytest.approx(1)
    assert resampled[:, 0].tolist() == [0, 0, 0, 0, 1]
    assert resampled[:, 1] == pytest.approx(weights)


def test_a_step_weighs_only_in_the_column_of_its_launch_and_the_estimate_is_their_mean():
    walls, blocks = np.array([10, 11, 12, 1000, 13, 14]), np.array([0, 0, 0, 0, 7, 7])
    weights, columns = step_weights(walls, blocks, Launches((0, 3), {0: 0, 7: 3}))
    assert columns[:4, 1].tolist() == [0, 0, 0, 0]
    assert columns[4:, 0].tolist() == [0, 0]
    assert columns.sum(axis=0) == pytest.approx([1, 1])
    assert columns[3, 0] == 0  # an outlier
    assert weights == pytest.approx(columns.mean(axis=1))


def of_launches(blocks, per_launch):
    """The launch of each block, so many blocks a launch."""
    return {number: number // per_launch for number in range(blocks)}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(10**4, 10**7), min_size=1, max_size=6),
    st.lists(st.integers(10**4, 10**7), min_size=1, max_size=6),
    st.integers(2, 5),
    st.integers(0, 2**16),
    st.integers(0, 50_000),
)
def test_with_launches_sums_stay_exact_and_time_is_never_negative(torch, ort, launches, seed, cost):
    rounds = of_launches(3 * launches, 3)
    head = headline(
        {
            "torch": plain(sum(torch), blocks=len(rounds), seed=seed),
            "onnxruntime": plain(sum(ort), blocks=len(rounds), seed=seed + 1),
        },
        rounds,
    )
    ledger = ledger_of(
        partition("torch", torch, [1000], blocks=len(rounds), noise=0.02, seed=seed),
        partition("onnxruntime", ort, [500], blocks=len(rounds), noise=0.02, seed=seed + 1),
        head,
        {"torch": Overhead(inside_ns=cost, outside_ns=cost)},
    )
    assert ledger.replicates.shape == (len(ledger.rows), launches)
    for made in (
        *ledger.rows,
        *ledger.without((), (ledger.rows[0].onnx_nodes or ("?",))[:1]).rows,
        *ledger.causes(),
    ):
        assert made.cause == "profiler_overhead" or min(made.torch_ns, made.onnxruntime_ns) >= 0
    assert sum(row.delta_ns for row in ledger.rows) == head.latency.delta_ns.median
    everything = ledger.total(row.id for row in ledger.rows)
    expected = head.latency.delta_ns
    assert (everything.median, everything.low, everything.high) == pytest.approx(
        (expected.median, expected.low, expected.high), abs=2
    )
    assert all(row.low_ns <= row.delta_ns <= row.high_ns for row in ledger.rows)


def test_a_launch_without_profiled_steps_counts_for_the_headline_and_not_for_the_rows():
    rounds = of_launches(9, 3)
    sides = {"torch": plain(10**6, blocks=9), "onnxruntime": plain(2 * 10**6, blocks=9, seed=2)}
    head = headline(sides, rounds)
    torch, ort = (
        partition(side, [its], [1000], blocks=6, noise=0.01, seed=its)
        for side, its in (("torch", 10**6), ("onnxruntime", 2 * 10**6))
    )
    ledger = ledger_of(torch, ort, head)
    assert head.latency.launches == 3
    assert ledger.sampling.launches == 2
    assert sum(row.delta_ns for row in ledger.rows) == head.latency.delta_ns.median
    alone = ledger_of(
        partition("torch", [10**6], [1000], blocks=3), partition("onnxruntime", [5], [1], blocks=3), head
    )
    assert alone.sampling.launches == 1  # the rounds of that launch are drawn
    assert sum(row.delta_ns for row in alone.rows) == head.latency.delta_ns.median


def test_a_launch_that_only_one_side_profiled_does_not_weigh():
    rounds = of_launches(9, 3)
    head = headline({"torch": plain(10**6, blocks=9), "onnxruntime": plain(10**6, blocks=9, seed=2)}, rounds)
    torch = partition("torch", [10**6], [1000], blocks=9, slow=(12, 13, 14, 15, 16, 17))  # all of launch 2
    ledger = ledger_of(torch, partition("onnxruntime", [10**6], [1000], blocks=6), head)
    kernel = next(row for row in ledger.rows if row.cause == "kernel")
    assert kernel.torch_ns == 10**6


def test_a_broken_partition_is_a_bug_and_says_so():
    broken = partition("torch", [5], [1])
    broken.walls_ns[0] += 1
    with pytest.raises(InternalError, match="segments sum to"):
        broken.self_check()


@pytest.mark.parametrize("off", [-1, 1, 10**9])
def test_self_check_refuses_rows_that_do_not_sum(off):
    head = headline({"torch": plain(1_000_000), "onnxruntime": plain(1_000_000, seed=2)})
    ledger = ledger_of(partition("torch", [5], [1]), partition("onnxruntime", [7], [2]), head)
    with pytest.raises(InternalError, match="rows sum to"):
        ledger.self_check({"torch": head.latency.torch_ns.median + off})
