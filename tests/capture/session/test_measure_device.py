"""Warm-up on a device, whose first step loads kernels and searches for algorithms: with a clock of its own."""

import pytest

from attrib.capture.session import measure
from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import BlockRunner, warm_up
from attrib.capture.workers.messages import Steps

SECOND = 1_000_000_000


class FakeWorker:
    """Steps of the given seconds, then of the last one; the clock advances by what they take."""

    def __init__(self, clock, *seconds):
        self.clock, self.seconds = clock, list(seconds)

    def ask(self, command, _kind):
        walls = [
            self.seconds.pop(0) if len(self.seconds) > 1 else self.seconds[0]
            for _ in range(command.iterations + command.lead_in)
        ]
        self.clock[0] += sum(walls)
        return Steps(
            start_ns=(0,) * len(walls),
            wall_ns=tuple(round(w * SECOND) for w in walls),
            lead_in=command.lead_in,
        )


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(measure.time, "monotonic", lambda: now[0])
    return now


def test_search_for_algorithms_in_the_first_step_does_not_end_the_warm_up(clock):
    runner = BlockRunner("onnxruntime", FakeWorker(clock, 30.0, 0.02, 0.02, 0.01))
    warm_up(runner, Latencies(), None)
    assert runner.warmed_up
    assert runner.step_ns == pytest.approx(0.01 * SECOND)


def test_steps_that_stay_slow_still_end_it(clock):
    runner = BlockRunner("onnxruntime", FakeWorker(clock, 3.0, 2.0))
    warm_up(runner, Latencies(), None)
    assert not runner.warmed_up
    assert runner.warmup == 3
