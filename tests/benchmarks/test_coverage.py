"""Coverage of intervals: what counts as held, what noise does to a location, and what stopping by the width does."""

from types import SimpleNamespace

import numpy as np
import pytest
from coverage import causes_by_launch, latency_of, plan
from coverage_estimators import Timed, compare, disturbed_factors, drawn_factors, timed, with_noise
from coverage_estimators import table as estimator_table
from coverage_figures import (
    Interval,
    Reading,
    as_one_launch,
    captures_in,
    cells,
    met,
    pooled_share,
    read_both,
    table,
)
from coverage_stopping import Rule, launch_rows, launch_seconds, pool_of, simulate, stopped

from attrib.analysis.attribution.ledger.headline import ESTIMATORS, headline
from attrib.model.disturbance import BlockEvidence
from attrib.model.latency import BLOCK_COLUMNS, REFERENCES, LatencyTable
from attrib.model.manifest import ROLES
from attrib.traces.directory.trace_directory import TraceDirectory
from tests.conftest import ROOT

MS = 1_000_000
QUIET, BUSY = BlockEvidence(elapsed_ns=MS, processors=2, waiting_ns=0), BlockEvidence(
    elapsed_ns=MS, processors=2, waiting_ns=MS
)  # fmt: skip


def steps(blocks):
    """A table of blocks `(role, phase, round, launch, attempt, evidence, start, walls)`."""
    columns = {
        name: [] for name in ("engine", "phase", "block", "iteration", "start_ns", "wall_ns", *BLOCK_COLUMNS)
    }
    for role, phase, number, launch, attempt, evidence, start, walls in blocks:
        beside = {"launch": launch, "attempt": attempt} | dict.fromkeys(REFERENCES, 1)
        beside |= {name: getattr(evidence, name) for name in BlockEvidence.__struct_fields__}
        for i, wall in enumerate(walls):
            row = {
                "engine": role,
                "phase": phase,
                "block": number,
                "iteration": i,
                "start_ns": start + i * wall,
            }
            for name, value in (row | {"wall_ns": wall} | beside).items():
                columns[name].append(value)
    own = {name: columns.pop(name) for name in ("engine", "phase")}
    arrays = {name: np.array(column, dtype=np.int64) for name, column in columns.items()}
    return LatencyTable(**own, more={name: arrays.pop(name) for name in BLOCK_COLUMNS}, **arrays)


# Cells


def around(estimate, half=1.0):
    return Interval(estimate, estimate - half, estimate + half)


def test_an_interval_counts_where_it_holds_the_median_of_all_captures():
    readings = [Reading(difference=around(value)) for value in (-10.0, -9.5, -9.0, -8.5, -7.9)]
    (cell,) = cells("12ms-quiet", readings, readings)
    assert cell.truths == {"": -9.0}
    assert (cell.captures, cell.held) == (5, 4)


def test_captures_of_one_state_of_the_machine_are_compared_with_those_of_that_state():
    def met_state(value, state, half=0.2):
        found = Reading(difference=around(value, half))
        found.state = state
        return found

    readings = [met_state(-67.0, "shared"), met_state(-67.1, "shared"), met_state(-92.0, "apart"),
                met_state(-75.0, "both", 20.0)]  # fmt: skip
    (cell,) = cells("150ms-quiet", readings, readings)
    assert cell.states == {"apart": 1, "both": 1, "shared": 2}
    assert cell.truths == {"apart": -92.0, "both": pytest.approx(-71.05), "shared": pytest.approx(-67.05)}
    assert cell.held == 4
    for its in readings:
        its.state = ""
    (cell,) = cells("150ms-quiet", readings, readings)
    assert cell.held == 1
    assert "(2 shared)" in table(cells("150ms-quiet", [met_state(-67.0, "shared")] * 2, readings[:2]))


def test_the_method_before_is_held_against_the_median_of_its_own_estimates():
    ours = [Reading(difference=around(value)) for value in (1.0, 2.0, 3.0)]
    before = [Reading(difference=around(value, half=0.1)) for value in (11.0, 12.0, 12.05)]
    (cell,) = cells("g", ours, before)
    assert (cell.held, cell.before) == (3, 2)
    assert cell.half_widths == (1.0, pytest.approx(0.1))


def test_the_largest_causes_are_chosen_by_their_median_and_a_missing_one_counts_as_nothing():
    sizes = {"kernel": 9.0, "cast": -8.0, "layout": 7.0, "fused": 6.0, "memcpy": 5.0, "quantize": 4.0}
    whole = Reading(difference=around(1.0), **{name: around(size) for name, size in sizes.items()})
    once = Reading(difference=around(1.0), fallback=around(100.0))
    found = cells("g", [whole, whole, once], [whole, whole, once])
    assert [cell.quantity for cell in found] == ["difference", "kernel", "cast", "layout", "fused", "memcpy"]
    assert [cell.held for cell in found] == [3, 2, 2, 2, 2, 2]


def test_the_ratio_is_shown_and_not_pooled():
    readings = [Reading(difference=around(1.0), ratio=around(value, 0.01)) for value in (1.1, 1.2, 1.3)]
    found = cells("g", readings, readings)
    assert {cell.quantity: cell.pooled for cell in found} == {"difference": True, "ratio": False}
    assert pooled_share(found) == 1.0


@pytest.mark.parametrize(("wrong", "passes"), [(4, True), (5, False)])
def test_sixteen_of_twenty_pass_and_a_cell_with_fewer_is_named(wrong, passes):
    sure = [Reading(difference=around(0.0), kernel=around(0.0), cast=around(0.0)) for _ in range(20)]
    readings = [Reading(its, layout=around(5.0 if i < wrong else 0.0)) for i, its in enumerate(sure)]
    found = cells("12ms-quiet", readings, readings)
    assert pooled_share(found) == pytest.approx(1 - wrong / 80)
    assert met(found) is passes
    assert (f"12ms-quiet layout ({20 - wrong} of 20)" in table(found)) is not passes


def test_the_pooled_share_can_fail_where_no_cell_does():
    readings = [Reading(difference=around(0.0 if i >= 3 else 5.0)) for i in range(20)]
    found = cells("g", readings, readings)
    assert not any(cell.fails for cell in found)
    assert not met(found)


def test_read_as_one_launch_the_first_attempt_counts_and_nothing_is_disturbed():
    table_ = steps([
        ("torch", "plain", 0, 0, 0, BUSY, 0, [900]),
        ("onnxruntime", "plain", 0, 0, 0, QUIET, 1000, [10]),
        ("torch", "plain", 0, 0, 1, QUIET, 2000, [100]),
        ("onnxruntime", "plain", 0, 0, 1, QUIET, 3000, [11]),
        ("torch", "plain", 1, 1, 0, QUIET, 4000, [101]),
        ("onnxruntime", "plain", 1, 1, 0, QUIET, 5000, [12]),
    ])  # fmt: skip
    assert {n: walls.tolist() for n, walls in table_.blocks("torch", "plain").items()} == {0: [100], 1: [101]}
    before = as_one_launch(table_)
    assert {n: walls.tolist() for n, walls in before.blocks("torch", "plain").items()} == {0: [900], 1: [101]}
    assert set(before.launches().values()) == {0}
    assert not any(block.disturbed for block in before.every_block("plain"))


def test_a_capture_of_one_launch_reads_the_same_by_both_methods(monkeypatch):
    sample, measured = ROOT / "sample_traces" / "distilbert-base-uncased", TraceDirectory.latency
    _, before = read_both(sample)
    monkeypatch.setattr(TraceDirectory, "latency", lambda folder: as_one_launch(measured(folder)))
    ours, _ = read_both(sample)
    assert ours == before
    assert {"difference", "ratio", "kernel"} <= set(ours)


def test_unfinished_captures_do_not_count(tmp_path):
    for name in ("12ms-quiet/00", "12ms-quiet/01.partial", "150ms-bursts/00"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "manifest.json").write_text("{}")
    (tmp_path / "12ms-quiet" / "02").mkdir()
    assert captures_in(tmp_path) == {
        "12ms-quiet": [tmp_path / "12ms-quiet" / "00"],
        "150ms-bursts": [tmp_path / "150ms-bursts" / "00"],
    }


def test_the_groups_take_turns_in_an_order_that_changes():
    order = list(plan(["a", "b", "c"], 6, seed=0))
    passes = [tuple(group for number, group in order if number == i) for i in range(6)]
    assert all(sorted(its) == ["a", "b", "c"] for its in passes)
    assert len(set(passes)) > 1


# Locations


def capture(rng, *, launches=4, rounds=4, luck=0.02, noise=0.005):
    """Steps of 100 and 70 ms whose launches have luck of their own."""
    plain, of_round = {}, {}
    for role, step in zip(ROLES, (100 * MS, 70 * MS), strict=True):
        plain[role] = {}
        for launch in range(launches):
            center = step * (1 + rng.normal(0, luck))
            for i in range(rounds):
                number = launch * rounds + i
                of_round[number] = launch
                plain[role][number] = np.rint(center * (1 + rng.normal(0, noise, 5))).astype(np.int64)
    return Timed(plain, of_round)


def captures(count, **more):
    rng = np.random.default_rng(5)
    return [capture(rng, **more) for _ in range(count)]


def test_noise_replaces_a_third_of_the_blocks_of_every_launch_and_side():
    (its,) = captures(1, launches=3, rounds=6)
    noisy = with_noise(its, [np.full(3, 2.0)], np.random.default_rng(0))
    for role in ROLES:
        changed = [
            n for n, walls in its.plain[role].items() if not np.array_equal(walls, noisy.plain[role][n])
        ]
        assert [sum(its.launches[n] == launch for n in changed) for launch in range(3)] == [2, 2, 2]
        assert {len(noisy.plain[role][n]) for n in changed} == {5}
        assert noisy.plain[role][changed[0]][0] == round(2 * its.middle(role, its.launches[changed[0]]))


def test_intervals_over_launches_hold_the_truth_and_those_of_one_launch_do_not():
    def held(of_round):
        found = [
            headline(its.plain, of_round(its), estimator="median").latency.delta_ns for its in captures(60)
        ]
        return np.mean([delta.low <= -30 * MS <= delta.high for delta in found])

    assert held(lambda its: its.launches) >= 0.88
    assert held(lambda its: dict.fromkeys(its.launches, 0)) <= 0.8


def test_every_location_is_compared_on_the_same_noise():
    found = compare(captures(12, rounds=6), drawn_factors(np.random.default_rng(0)))
    assert [its.location for its in found] == list(ESTIMATORS)
    assert {len(its.bias) for its in found} == {60}
    assert all(its.held >= 0.75 for its in found)
    assert len(estimator_table({"12ms-quiet": found}).splitlines()) == 2 + len(found)


def test_noise_bends_a_location_and_the_lower_quartile_least():
    found = {
        its.location: np.abs(its.bias).mean()
        for its in compare(captures(20, rounds=6), [np.array([1.5, 2.0, 3.0])])
    }
    assert found["lower-quartile"] < found["median"]
    assert found["hodges-lehmann"] > 0.01


def test_without_noise_no_location_is_bent():
    assert all(set(its.bias) == {0.0} for its in compare(constant_captures(), [np.array([1.0])]))


def constant_captures():
    plain = {role: {n: np.full(5, 1000 * (i + 1)) for n in range(6)} for i, role in enumerate(ROLES)}
    return [Timed(plain, {n: n // 3 for n in range(6)})] * 3


def test_recorded_noise_is_what_disturbed_blocks_took_over_undisturbed_ones_of_their_launch():
    found = disturbed_factors(steps([
        ("torch", "plain", 0, 0, 0, QUIET, 0, [100, 100]),
        ("torch", "plain", 1, 0, 0, BUSY, 500, [150, 300]),
        ("onnxruntime", "plain", 1, 0, 0, QUIET, 900, [10, 10]),
        ("torch", "plain", 2, 1, 0, QUIET, 1500, [200, 200]),
        ("torch", "plain", 3, 1, 0, BUSY, 2000, [400, 400]),
        ("onnxruntime", "plain", 4, 2, 0, BUSY, 3000, [70, 70]),
    ]))  # fmt: skip
    assert [its.tolist() for its in found] == [[1.5, 3.0], [2.0, 2.0]]


# Stopping


def pool(count=200, *, spread=1.0, rounds=2, seed=3, drift=0.0, a_capture=10):
    """Launches of a difference of -30 ms and a step of 100 ms, 10 s each; those of one capture drift together."""
    rng = np.random.default_rng(seed)
    together = np.repeat(rng.normal(0, drift, count // a_capture), a_capture) if drift else np.zeros(count)
    rows = [(-30 * MS + value * MS, 100 * MS, rounds) for value in rng.normal(0, spread, count) + together]
    causes = [{"kernel": row[0] * 0.5, "layout": rng.normal(2, 1) * MS, "cast": 0.0} for row in rows]
    return pool_of(rows, [10.0] * count, [i // a_capture for i in range(count)], causes)


def test_a_fixed_number_of_launches_covers_as_often_as_it_says():
    for most in (2, 3, 5, 8):
        found = simulate(pool(), Rule(0.0, most))
        assert found.launches == most
        assert found.seconds == 10.0 * most
        assert found.held == pytest.approx(0.95, abs=0.025)
        assert found.causes == pytest.approx(0.95, abs=0.03)


def test_a_small_pool_does_not_flatter():
    held = [simulate(pool(16, seed=seed), Rule(0.0, 8), times=100).held for seed in range(12)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.02)


def test_stopping_by_the_width_saves_launches_and_costs_coverage_that_the_table_shows():
    fixed, early = simulate(pool(), Rule(0.0, 8)), simulate(pool(), Rule(0.02, 8))
    assert 3 <= early.launches < fixed.launches
    assert early.seconds == pytest.approx(10 * early.launches)
    assert 0.85 < early.held <= fixed.held + 0.02
    assert early.half_width <= 0.02


def test_a_capture_stops_at_the_first_launch_that_is_enough():
    rows = [(value * MS, 100 * MS, 2) for value in (10, 12, 11, 11, 11, 30)]
    its = pool_of(rows, [1.0] * 6, [0] * 6, [{}] * 6)
    order = np.arange(6)
    assert its.names == ("difference",)
    assert len(stopped(its, order, Rule(0.03, 5, fewest=2, rounds=2))) == 3  # 2 launches: 12.7 %, 3: 2.5 %
    assert len(stopped(its, order, Rule(0.03, 5, fewest=2, rounds=7))) == 4
    assert len(stopped(its, order, Rule(0.03, 5, fewest=5))) == 5
    assert len(stopped(its, order, Rule(0.0001, 4, fewest=2))) == 4


def test_launches_that_followed_each_other_share_their_drift_which_no_interval_of_theirs_knows():
    drifting = pool(drift=3.0)
    anywhere, consecutive = (simulate(drifting, Rule(0.0, 4), consecutive=c) for c in (False, True))
    assert anywhere.held > 0.9
    assert consecutive.held < 0.6


def test_a_pool_that_is_no_larger_than_a_capture_simulates_nothing():
    with pytest.raises(ValueError, match="too small"):
        simulate(pool(10), Rule(0.02, 10))
    with pytest.raises(ValueError, match="no capture of the pool has 8"):
        simulate(pool(20, a_capture=5), Rule(0.02, 8), consecutive=True)


def test_a_launch_takes_until_the_next_one_begins():
    s = 1_000_000_000
    table_ = steps([
        ("torch", "warmup", 0, 0, 0, QUIET, 0, [s]),
        ("torch", "plain", 0, 0, 0, QUIET, 10 * s, [s]),
        ("onnxruntime", "plain", 0, 0, 0, QUIET, 14 * s, [s]),
        ("torch", "warmup", 1, 0, 0, QUIET, 20 * s, [s]),
        ("torch", "profiled", 1, 1, 0, QUIET, 22 * s, [s]),
        ("onnxruntime", "plain", 1, 1, 0, QUIET, 25 * s, [s]),
    ])  # fmt: skip
    assert launch_seconds(table_) == {0: 12.0, 1: 4.0 + 7.0}


def test_the_first_rounds_of_a_launch_can_stand_for_all():
    table_ = steps([
        (role, "plain", number, number // 3, 0, QUIET, number * 10_000 + i * 1000, [value, value])
        for number in range(6)
        for i, (role, value) in enumerate([("torch", 100 + number), ("onnxruntime", 70)])
    ])  # fmt: skip
    its = timed(table_)
    assert launch_rows(its, [0, 1]) == [(-31.0, 101.0, 3), (-34.0, 104.0, 3)]
    assert launch_rows(its, [1], rounds=1) == [(-33.0, 103.0, 1)]


def analysis(columns, launches):
    rows = [SimpleNamespace(cause=cause, delta_ns=sum(values)) for cause, values in columns]
    sampling = SimpleNamespace(launches=len(launches), numbers=launches)
    return SimpleNamespace(
        ledger_rows=SimpleNamespace(
            rows=rows, sampling=sampling, replicates=np.array([values for _, values in columns], dtype=float)
        )
    )


def test_causes_of_a_launch_are_the_sums_of_its_rows_without_what_is_left_over():
    its = analysis(
        [("kernel", [1, 2]), ("kernel", [10, 20]), ("cast", [5, 6]), ("profiler_overhead", [9, 9])], (0, 2)
    )
    assert causes_by_launch(its, [0, 1, 2]) == [{"kernel": 11, "cast": 5}, {}, {"kernel": 22, "cast": 6}]


def test_causes_of_the_only_launch_are_those_of_the_report():
    its = analysis([("kernel", [1, 2, 3]), ("cast", [5, 6, 7]), ("unattributed", [9, 9, 9])], (0,))
    assert causes_by_launch(its, [0]) == [{"kernel": 6, "cast": 18}]


def test_a_capture_without_timed_steps_is_refused(tmp_path):
    sample = ROOT / "sample_traces" / "distilbert-base-uncased"
    for file in ("torch/trace.json.gz", "ort/profile.json.gz"):
        (tmp_path / file.replace("/", "-")).write_bytes((sample / file).read_bytes())
    with pytest.raises(ValueError, match="no timed steps"):
        latency_of(tmp_path)
