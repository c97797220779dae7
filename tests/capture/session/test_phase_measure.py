"""How long a capture goes on measuring."""

import time
from types import SimpleNamespace

import pytest

from attrib.capture.session.latencies import Attempt, Latencies
from attrib.capture.session.phase_measure import _Pace
from attrib.capture.workers.messages import Steps
from attrib.model.manifest import ROLES, Protocol

PROTOCOL = Protocol(
    rounds=12,
    iterations=5,
    profiled_rounds=12,
    profiled_iterations=2,
    seed=0,
    launches=6,
    fewest_launches=3,
    rounds_per_launch=2,
    tolerance=0.02,
)
SHARED, APART = (100, 100, 100, 50), (100, 100, 100, 100)


def pace_after(references, max_time=None):
    """That of a capture which began 10 s ago and has had these launches."""
    latencies = Latencies()
    context = SimpleNamespace(
        latencies=latencies,
        runners={role: SimpleNamespace(step_ns=500_000_000) for role in ROLES},
        options=SimpleNamespace(max_time=max_time),
        began=time.monotonic() - 10,
    )
    pace = _Pace(context, PROTOCOL, time.monotonic())
    for launch, reference in enumerate(references):
        for role in ROLES:
            steps = Steps(start_ns=(0, 1), wall_ns=(5, 5), lead_in=0)
            latencies.add(role, "plain", 2 * launch, steps, Attempt(launch=launch, reference=reference))
        pace.note_launch()
    return pace


def allowed_s(pace):
    return pace.deadline - pace._begin


def test_time_doubles_where_the_machine_changed_between_launches():
    same, changed = (pace_after(its) for its in ([SHARED, SHARED], [SHARED, APART]))
    assert allowed_s(changed) + 10 == pytest.approx(2 * (allowed_s(same) + 10), rel=0.01)


def test_time_of_the_user_stays():
    assert allowed_s(pace_after([SHARED, APART], max_time=7.0)) == 7.0


def test_fewest_launches_are_measured_in_any_case():
    pace = pace_after([SHARED, APART], max_time=0.0)
    assert pace.has_time(2)
    assert not pace.has_time(3)
