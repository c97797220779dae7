"""How long two sides are measured: by width, by time, never by where the figures lie."""

from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.capture.bench import launches as module
from attrib.capture.bench.launches import Effort, measure
from attrib.capture.session.measure import BlockRunner
from attrib.capture.workers.messages import Run, Steps
from attrib.capture.workers.process import WorkerError

MS = 1_000_000
START_S = 4.0


class Machine:
    """A clock that moves while a side starts or runs; steps of a launch take what its processes' luck adds."""

    def __init__(self, step_ms=100, start_s=START_S, fails_at=None):
        self.now = 0.0
        self.step_ms, self.start_s, self.fails_at = step_ms, start_s, fails_at
        self.launched = []
        self.order = []
        self.asked = []

    def monotonic(self):
        return self.now

    def launch(self, anew):
        self.now += self.start_s
        self.launched.append(anew)
        number = len(self.launched)
        return [
            BlockRunner(role, SimpleNamespace(ask=lambda command, _, role=role: self.run(role, number, command)))
            for role in ("torch", "onnxruntime")
        ]

    def run(self, role, number, command: Run):
        count = command.iterations + command.lead_in
        self.now += count * self.step_ms / 1000
        if command.lead_in:
            self.order.append((number, role))
            if number == self.fails_at:
                raise WorkerError("died")
        wall = round(self.step_ms * MS) + number
        return Steps(start_ns=tuple(range(count)), wall_ns=(wall,) * count, lead_in=command.lead_in)

    def enough(self, *answers):
        """A criterion that gives these answers in turn, and keeps what it was asked."""
        given = iter(answers)

        def ask(paired):
            self.asked.append(paired)
            return next(given)

        return ask


@pytest.fixture
def run(monkeypatch):
    def made(machine, **effort):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=machine.monotonic))
        return measure(machine.launch, Effort(warmup=3, iterations=5, **effort))

    return made


def test_the_least_is_measured_before_anybody_asks_whether_it_is_enough(run):
    machine = Machine()
    found = run(machine, enough=machine.enough(True))
    assert machine.launched == [False, True, True]
    assert [len(asked.baseline_ns) for asked in machine.asked] == [6]
    assert found.paired.launches == (0, 0, 1, 1, 2, 2)
    assert [set(block) for block in found.paired.variant_ns[::2]] == [{100 * MS + n} for n in (1, 2, 3)]
    assert not found.ran_out


def test_launches_go_on_until_it_is_enough(run):
    machine = Machine(start_s=0.5)
    found = run(machine, enough=machine.enough(False, False, True))
    assert [len(asked.launches) for asked in machine.asked] == [6, 8, 10]
    assert (len(machine.launched), found.ran_out) == (5, False)


def test_they_end_when_the_time_is_used_up(run):
    """One launch with twelve rounds takes 4.6 + 12 * 1.2 s here, and half as much again is the limit."""
    machine = Machine()
    found = run(machine, enough=lambda _: False)
    assert found.ran_out
    assert machine.now <= 1.5 * (START_S + 0.6 + 12 * 1.2)
    assert len(machine.launched) == 4


def test_a_default_measurement_takes_half_as_long_again_as_twelve_rounds_of_one_launch_at_most(run):
    for step_ms, start_s in ((0.2, 1.2), (25, 2.0), (150, 4.0), (1500, 20.0)):
        machine = Machine(step_ms, start_s)
        run(machine, enough=lambda _: False)
        usual = start_s + 6 * step_ms / 1000 + 12 * 2 * 6 * step_ms / 1000
        assert machine.now <= max(1.5 * usual, 3 * (start_s + 3 * 6 * step_ms / 1000 * 2)), (step_ms, start_s)


def test_one_launch_goes_on_in_the_same_processes(run):
    machine = Machine()
    found = run(machine, launches=1, enough=machine.enough(False, True))
    assert machine.launched == [False]
    assert [len(asked.baseline_ns) for asked in machine.asked] == [6, 8]
    assert set(found.paired.launches) == {0}


def test_where_the_users_time_does_not_allow_three_launches_there_is_one(run):
    machine = Machine()
    found = run(machine, max_time=14.0, enough=lambda _: False)
    assert machine.launched == [False]
    assert found.ran_out
    assert machine.now <= 14.0


def test_the_users_time_allows_more_than_the_usual(run):
    machine = Machine()
    run(machine, max_time=100.0, enough=lambda _: False)
    assert 100.0 - 2 * (START_S + 3) <= machine.now <= 100.0


def test_more_rounds_are_spread_over_the_launches(run):
    found = run(Machine(), rounds=20, launches=4)
    assert Counter(found.paired.launches) == {0: 6, 1: 6, 2: 6, 3: 6}


@given(st.integers(1, 6), st.integers(2, 30), st.integers(0, 9))
def test_either_order_comes_equally_often_in_each_launch(launches, rounds, seed):
    machine = Machine(step_ms=1, start_s=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(monotonic=machine.monotonic))
        measure(machine.launch, Effort(launches=launches, rounds=rounds, warmup=3, iterations=5, seed=seed))
    first = Counter(machine.order[::2])
    for number in range(1, launches + 1):
        assert first[number, "torch"] == first[number, "onnxruntime"] > 0


def test_side_that_fails_is_marked(run):
    machine = Machine(fails_at=2)
    kept = []

    def launch(anew):
        kept.append(Machine.launch(machine, anew))
        return kept[-1]

    with pytest.raises(WorkerError, match="died"):
        measure(launch, Effort(warmup=3, iterations=5))
    assert sum(runner.error is not None for runner in kept[1]) == 1
    assert all(runner.error is None for runner in kept[0])
