"""Predictions meet measurements in the time of the run that measures."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from attrib.model.estimate import Delta
from attrib.model.experiment import ExperimentResult, Prediction
from attrib.verify.prediction_error import (
    Disagreement,
    explain_disagreement,
    explain_unsettled,
    intervals_agree,
    scale_prediction,
)

MS = 1_000_000


def predicted(low, median, high, kind="estimate"):
    return Prediction(kind=kind, saving_ns=Delta(median=median, low=low, high=high), basis="Some nodes.")


def miss(saving, *, before=(), after=(), same=False, captured=100 * MS, baseline=100 * MS, notes=()):
    return Disagreement(
        predicted=predicted(2 * MS, 3 * MS, 4 * MS),
        saving=saving,
        captured_ns=captured,
        baseline_ns=baseline,
        same=same,
        before=Counter(before),
        after=Counter(after),
        notes=notes,
    )


def test_a_machine_that_became_slower_stretches_the_prediction_and_its_sentence_says_so():
    stretched = scale_prediction(predicted(2 * MS, 3 * MS, 4 * MS), 100 * MS, 150 * MS)
    assert stretched.saving_ns == Delta(median=4_500_000, low=3 * MS, high=6 * MS)
    assert stretched.basis == "Some nodes. It is 3 % of a step, and is given for the step of this run."


def test_a_machine_of_the_same_speed_leaves_the_sentence_alone():
    assert scale_prediction(predicted(2 * MS, 3 * MS, 4 * MS), 100 * MS, 101 * MS).basis == "Some nodes."


@given(
    st.integers(-(10**9), 10**9),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(10**6, 10**9),
    st.integers(10**6, 10**9),
)
def test_a_scaled_interval_still_holds_its_median(low, below, above, captured, baseline):
    found = scale_prediction(predicted(low, low + below, low + below + above), captured, baseline).saving_ns
    assert found.low <= found.median <= found.high


def test_what_is_not_settled_says_why_and_what_may_settle_it():
    wide = ExperimentResult(
        id="x",
        title="x",
        side="onnxruntime",
        state="measured",
        predicted=predicted(2 * MS, 3 * MS, 4 * MS),
        saving_ns=Delta(median=0, low=-5 * MS, high=7 * MS),
    )
    said = explain_unsettled(wide, ("something was odd",))
    assert said.startswith(
        "the interval reaches 6 ms to either side, more than half of what is predicted; something was odd;"
    )
    assert said.endswith("(--again --max-time SECONDS) or a quieter machine may settle it")
    assert "more than 2 % of the step" in explain_unsettled(replace(wide, predicted=None), ())
    busy = explain_unsettled(replace(wide, busy=True), ("the machine was busy",))
    assert busy.startswith("the machine was busy; more time")


def test_intervals_agree_where_they_meet():
    assert intervals_agree(predicted(2, 3, 4), Delta(median=5, low=4, high=6))
    assert not intervals_agree(predicted(2, 3, 4), Delta(median=6, low=5, high=7))
    assert intervals_agree(predicted(2, 3, 4, kind="at_most"), Delta(median=0, low=-1, high=1))
    assert not intervals_agree(predicted(2, 3, 4, kind="at_most"), Delta(median=-2, low=-3, high=-1))
    assert intervals_agree(predicted(2, 3, 4, kind="at_least"), Delta(median=9, low=8, high=10))
    assert not intervals_agree(predicted(2, 3, 4, kind="at_least"), Delta(median=1, low=0, high=1))


def test_a_change_that_changed_nothing_is_the_reason():
    assert "changes nothing" in explain_disagreement(miss(Delta(median=0, low=-1, high=1), same=True))


def test_what_came_in_place_of_what_went_is_named():
    reason = explain_disagreement(
        miss(Delta(median=-2 * MS, low=-3 * MS, high=-MS), before=["Fused"], after=["Add", "Add", "Norm"])
    )
    assert "removed: 1 Fused" in reason
    assert "2 Add" in reason


def test_a_reason_that_nothing_tells_is_said_to_be_open():
    reason = explain_disagreement(miss(Delta(median=0, low=-MS, high=MS), before=["Add"], after=["Mul"]))
    assert reason
    nothing = explain_disagreement(miss(Delta(median=MS, low=MS // 2, high=MS * 3 // 2)))
    assert "off by" in nothing
