"""Limits: broken only where figure and statistics agree, and never decided by what was not measured."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.comparison import Limits, StepLimit, compare, gates, parse_limit
from attrib.comparison.gate import _state
from attrib.errors import UsageError
from attrib.model.document import Judgement
from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.model.experiment import ExperimentResult
from tests.report.factory import document

MS = 1_000_000


def step(ms, half):
    return Estimate(median=round(ms * MS), low=round((ms - half) * MS), high=round((ms + half) * MS), n=60)


def measured(ort, half=0.5, **changes):
    """A capture whose ONNX Runtime step is known to so many milliseconds."""
    doc = document()
    latency = msgspec.structs.replace(
        doc.latency,
        onnxruntime_ns=step(ort, half),
        ratio=Ratio(value=120 / ort, low=120 / (ort + half), high=120 / (ort - half)),
    )
    return msgspec.structs.replace(doc, latency=latency, **changes)


def only(found):
    (gate,) = found
    return gate


FIVE = Limits(max_delta=StepLimit(share=0.05))


class TestBaseline:
    @pytest.mark.parametrize(
        ("after", "half", "state"),
        [
            (100.0, 0.5, "passed"),
            (104.0, 0.5, "passed"),
            (110.0, 0.5, "failed"),
            (80.0, 0.5, "passed"),
            (101.0, 12.0, "inconclusive"),  # a regression of the limit would not have been seen
            (108.0, 12.0, "inconclusive"),  # beyond the limit, and perhaps no change at all
            (80.0, 12.0, "passed"),
        ],
    )
    def test_it_fails_only_where_figure_and_statistics_agree(self, after, half, state):
        doc = measured(after, half)
        gate = only(gates(doc, FIVE, compare(measured(100.0), doc)))
        assert gate.state == state
        assert bool(gate.how) == (state == "inconclusive")
        assert "limit +5 %" in gate.text

    def test_a_busy_machine_decides_nothing(self):
        doc = measured(101.0, judgement=Judgement(busy=True))
        gate = only(gates(doc, FIVE, compare(measured(100.0), doc)))
        assert (gate.state, "busy" in gate.text) == ("inconclusive", True)
        assert "--tolerance" in gate.how

    def test_what_was_not_measured_is_neither_passed_nor_broken(self):
        doc = measured(100.0)
        lost = msgspec.structs.replace(
            doc, latency=msgspec.structs.replace(doc.latency, onnxruntime_ns=None, delta_ns=None)
        )
        assert only(gates(lost, FIVE, compare(doc, lost))).state == "inconclusive"
        assert only(gates(lost, FIVE)).state == "inconclusive"
        assert only(gates(lost, Limits(max_ratio=2.0))).state == "inconclusive"


def experiment(change_ms, half=0.5, **changes):
    """What was measured in turns with a step of 100 ms, and changed it by so many milliseconds."""
    saving = Delta(
        median=round(-change_ms * MS),
        low=round((-change_ms - half) * MS),
        high=round((half - change_ms) * MS),
    )
    return ExperimentResult(
        id="against-x", title="x in place of y", side="onnxruntime", state="measured",
        **{"baseline_ns": step(100.0, 12.0), "saving_ns": saving} | changes,
    )  # fmt: skip


class TestInTurns:
    @pytest.mark.parametrize(
        ("change", "half", "state"),
        [
            (0.0, 0.5, "passed"),
            (10.0, 0.9, "failed"),  # though either step alone is known to 12 %
            (-10.0, 0.9, "passed"),
            (1.0, 6.0, "inconclusive"),
            (6.0, 7.0, "inconclusive"),
        ],
    )
    def test_what_was_measured_beside_the_capture_is_held_against_the_limit(self, change, half, state):
        gate = only(gates(measured(100.0), FIVE, experiment=experiment(change, half)))
        assert gate.state == state
        assert "x in place of y" in gate.text
        assert f"({'+' if change > 0 else ''}{change:g} %)".replace("-", "−") in gate.text
        assert ("attrib verify" in gate.how) == (state == "inconclusive")

    def test_other_programs_decide_nothing(self):
        gate = only(gates(measured(100.0), FIVE, experiment=experiment(10.0, busy=True)))
        assert (gate.state, "other programs" in gate.text) == ("inconclusive", True)

    def test_what_was_not_measured_says_why(self):
        lost = {"baseline_ns": None, "saving_ns": None, "state": "timed_out", "reason": "no answer"}
        gate = only(gates(measured(100.0), FIVE, experiment=msgspec.structs.replace(experiment(0.0), **lost)))
        assert (gate.state, gate.text) == ("inconclusive", "x in place of y: timed out (no answer)")


class TestAlone:
    @pytest.mark.parametrize(("most", "state"), [(0.9, "passed"), (0.7, "failed"), (0.835, "inconclusive")])
    def test_the_ratio_is_onnx_runtime_over_pytorch(self, most, state):
        gate = only(gates(measured(100.0, 1.0), Limits(max_ratio=most)))
        assert gate.state == state
        assert "0.83" in gate.text

    def test_without_a_baseline_the_other_engine_is_the_measure(self):
        assert only(gates(document(), FIVE)).state == "passed"

    def test_levels_of_rules(self):
        levels = {"layout-churn": "fail", "decomposed-attention": "warn", "operator-fusion": "ignore",
                  "cpu-fallback": "fail", "host-copies": "fail"}  # fmt: skip
        states = {gate.name: gate.state for gate in gates(document(), Limits(rules=levels))}
        assert states == {"layout-churn": "failed", "decomposed-attention": "warned", "cpu-fallback": "passed",
                          "host-copies": "inconclusive"}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "limit"),
    [("5%", StepLimit(share=0.05)), ("0.5 %", StepLimit(share=0.005)), ("2ms", StepLimit(ns=2 * MS)),
     ("500us", StepLimit(ns=500_000)),
     ("1.5 µs", StepLimit(ns=1500))],
)  # fmt: skip
def test_limits_are_read_as_they_are_written(text, limit):
    assert parse_limit(text) == limit


@pytest.mark.parametrize("text", ["", "5", "-5%", "5 percent", "ms", "1e9%", "nan%", "9" * 400 + "%"])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(UsageError, match="is no limit"):
        parse_limit(text)


@given(
    median=st.integers(-(10**9), 10**9), below=st.integers(0, 10**9), above=st.integers(0, 10**9),
    limit=st.integers(0, 10**8),
)  # fmt: skip
def test_no_interval_that_may_be_nothing_breaks_a_limit(median, below, above, limit):
    change = Delta(median=median, low=median - below, high=median + above)
    state = _state(change, limit)
    assert state != "failed" or (change.low > 0 and median > limit)
    assert state != "passed" or median <= limit
