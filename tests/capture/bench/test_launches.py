"""How long two sides are measured: by width and by time, never by where the figures lie."""

from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.analysis.attribution.ledger.headline import paired_difference
from attrib.capture.bench import launches as module
from attrib.capture.bench.launches import Effort, measure
from attrib.capture.session.measure import BlockRunner
from attrib.capture.system.disturbance import ReferenceTimes
from attrib.capture.workers.messages import Run, Steps
from attrib.capture.workers.process import WorkerError

MS = 1_000_000
QUIET, UNSTEADY = 0.0, 0.2


@pytest.fixture(autouse=True, scope="module")
def _no_reference():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("attrib.capture.system.disturbance.Reference.__init__", lambda _: None)
        patch.setattr("attrib.capture.system.disturbance.Reference.measure", lambda _: ReferenceTimes(1, 1))
        yield


class Machine:
    """A clock that moves while sides start and run.

    `luck` is the share by which the second side is slower, by launch; a number is that of every second one. `fixed` is what
    fixed work takes beside the engines, by launch.
    """

    def __init__(self, step_ms=100.0, start_s=4.0, *, luck=QUIET, saved=0.0, fails_at=None, fixed=()):
        self.now, self.step_ms, self.start_s = 0.0, step_ms, start_s
        self.luck = luck if isinstance(luck, list) else [luck, 0.0] * 3
        self.saved, self.fails_at, self.fixed = saved, fails_at, fixed
        self.launches = 0
        self.order = []
        self.runners = [
            BlockRunner(role, SimpleNamespace(ask=lambda command, _, role=role: self.run(role, command)))
            for role in ("torch", "onnxruntime")
        ]

    def monotonic(self):
        return self.now

    def launch(self):
        self.launches += 1
        self.now += self.start_s

    def run(self, role, command: Run):
        count = command.iterations + command.lead_in
        factor = 1.0
        if role == "onnxruntime":
            factor = (1 - self.saved) * (1 + self.luck[self.launches - 1])
        self.now += count * self.step_ms * factor / 1000
        if command.lead_in:
            self.order.append((self.launches, role))
            if self.launches == self.fails_at:
                raise WorkerError("died")
        walls = tuple(round(self.step_ms * factor * MS) + i for i in range(count))
        return Steps(
            start_ns=tuple(len(self.order) * 1000 + i for i in range(count)),
            wall_ns=walls,
            lead_in=command.lead_in,
        )

    def fixed_work(self):
        """What fixed work takes in the launch that runs, as `self.fixed` says."""
        return ReferenceTimes(**self.fixed[self.launches - 1])

    def measure(self, **effort):
        with pytest.MonkeyPatch.context() as patch:
            if self.fixed:
                patch.setattr(
                    "attrib.capture.system.disturbance.Reference.measure", lambda _: self.fixed_work()
                )
            patch.setattr(module, "time", SimpleNamespace(monotonic=self.monotonic))
            return measure(self.runners, self.launch, Effort(warmup=3, iterations=5, **effort))


def test_narrow_interval_ends_it_after_the_fewest_launches():
    machine = Machine()
    found = machine.measure()
    assert (machine.launches, found.rounds, found.ended) == (3, 6, "narrow")
    first, second, launches = found.paired()
    assert launches == (0, 0, 1, 1, 2, 2)
    assert [len(side) for side in (first, second)] == [6, 6]


def test_wide_one_goes_on_to_the_most_rounds_where_the_time_allows():
    machine = Machine(start_s=0.5, luck=UNSTEADY)
    found = machine.measure()
    assert (machine.launches, found.rounds, found.ended) == (6, 12, "rounds")


def test_no_launch_begins_that_would_end_after_the_time():
    """One launch with twelve rounds takes 5 s and 12 * 1.3 s here, and half as much again is the limit."""
    machine = Machine(luck=UNSTEADY)
    found = machine.measure()
    assert found.ended == "time"
    assert machine.launches == 4
    assert machine.now <= 1.5 * (5 + 12 * 1.3)


SHARED = {"product_ns": 100, "copy_ns": 100, "own_ns": 100, "shared_ns": 50}
APART = SHARED | {"shared_ns": 100}
SLOW_COPIES = SHARED | {"copy_ns": 130}


@pytest.mark.parametrize(
    ("fixed", "launches"),
    [
        ([SHARED] * 6, 4),
        ([APART] * 6, 4),
        ([SHARED, APART] * 3, 6),
        ([SHARED] * 2 + [APART] * 4, 6),
        ([SHARED] * 2 + [SLOW_COPIES] * 4, 6),
        ([SHARED] * 4 + [APART] * 2, 4),
    ],
    ids=["shared", "apart", "turns", "late", "copies", "not known yet"],
)
def test_machine_that_changed_between_launches_gets_twice_the_time(fixed, launches):
    machine = Machine(luck=UNSTEADY, fixed=fixed)
    found = machine.measure()
    assert (machine.launches, found.ended) == (launches, "rounds" if launches == 6 else "time")
    assert machine.now <= 3 * (5 + 12 * 1.3)


def test_machine_that_changed_is_no_reason_to_go_on_where_the_interval_is_narrow():
    found = Machine(fixed=[SHARED, APART] * 3).measure()
    assert (found.launches, found.ended) == (3, "narrow")


def test_time_of_the_user_holds_on_a_machine_that_changed():
    assert Machine(luck=UNSTEADY, fixed=[SHARED, APART] * 3).measure(max_time=1.0).launches == 3


@pytest.mark.parametrize(
    ("step_ms", "start_s"),
    [(0.2, 1.2), (25, 2.0), (150, 4.0), (1500, 20.0)],
    ids=["tiny", "small", "base", "large"],
)
def test_default_takes_half_as_long_again_as_before_or_the_fewest_launches(step_ms, start_s):
    machine = Machine(step_ms, start_s, luck=UNSTEADY)
    found = machine.measure()
    step_s = step_ms / 1000
    before = start_s + 6 * step_s + 12 * 12 * step_s
    fewest = 3 * (start_s + 6 * step_s + 2 * 12 * step_s)
    assert machine.now <= max(1.5 * before, fewest) * (1 + UNSTEADY)
    assert found.launches >= 3


def test_time_of_the_user_takes_the_place_of_the_default():
    assert Machine(luck=UNSTEADY).measure(max_time=1.0).launches == 3, "the fewest are measured in any case"
    assert Machine(luck=UNSTEADY).measure(max_time=1000.0).launches == 6


def test_number_of_launches_of_the_user_is_kept():
    found = Machine().measure(launches=4)
    assert Counter(found.paired()[2]) == {0: 3, 1: 3, 2: 3, 3: 3}
    one = Machine().measure(launches=1)
    assert (one.launches, one.rounds, one.ended) == (1, 6, "narrow")


@given(st.floats(-0.5, 0.5), st.floats(0.0, 0.001))
def test_where_the_figures_lie_ends_nothing(saved, tolerance):
    """The same noise as a share of the slower step stops at the same round, whatever is saved."""
    machine = Machine(saved=saved)
    assert machine.measure(tolerance=0.01).rounds == 6
    never = Machine(saved=saved, luck=UNSTEADY, start_s=0.1)
    assert never.measure(tolerance=tolerance, max_time=1e6).rounds == 12


def test_interval_still_holds_the_truth_where_its_width_ended_the_measurement():
    """Launches that differ by 1 %: by chance some intervals are narrow early, and those must not be wrong more often."""
    chance = np.random.default_rng(3)
    held, launches = [], Counter()
    for _ in range(400):
        machine = Machine(step_ms=1, start_s=0.001, luck=chance.normal(0, 0.01, size=6).tolist())
        found = machine.measure(max_time=1e6)
        _, _, saving = paired_difference(*found.paired())
        held.append(saving.low <= 0 <= saving.high)
        launches[found.launches] += 1
    assert set(launches) == {3, 4, 5, 6}
    assert np.mean(held) >= 0.92


def test_slow_steps_have_fewer_rounds():
    found = Machine(step_ms=5000).measure(tolerance=0.0)
    assert found.protocol.rounds == 6
    assert found.launches == 3


@given(st.integers(1, 5), st.integers(1, 4), st.integers(0, 9))
def test_either_order_comes_equally_often_in_each_launch(launches, pairs, seed):
    machine = Machine(step_ms=1, start_s=0.1)
    machine.measure(launches=launches, rounds=2 * pairs * launches, seed=seed, tolerance=0.0)
    first = Counter(machine.order[::2])
    for number in range(1, launches + 1):
        assert first[number, "torch"] == first[number, "onnxruntime"] == pairs


def test_side_that_fails_is_marked_and_ends_it():
    machine = Machine(fails_at=2)
    with pytest.raises(WorkerError, match="died"):
        machine.measure()
    assert machine.launches == 2
    assert any(runner.error is not None for runner in machine.runners)
