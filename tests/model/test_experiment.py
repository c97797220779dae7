"""When a measured saving says something about its prediction."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from attrib.model.estimate import Delta, Estimate
from attrib.model.experiment import ExperimentResult, Prediction, is_settled, judged_by_width

MS = 1_000_000
STEP = Estimate(median=100 * MS, low=99 * MS, high=101 * MS, n=60)


def result(low, high, prediction=None, kind="estimate", **facts):
    saving = Delta(median=round((low + high) / 2 * MS), low=round(low * MS), high=round(high * MS))
    predicted = None
    if prediction is not None:
        told = dict(zip(("low", "median", "high"), (round(end * MS) for end in prediction), strict=True))
        predicted = Prediction(kind=kind, saving_ns=Delta(**told), basis="Some nodes.")
    return ExperimentResult(
        id="x", title="x", side="onnxruntime", state="measured", baseline_ns=STEP, variant_ns=STEP,
        saving_ns=saving, predicted=predicted, **facts,
    )  # fmt: skip


def test_interval_wider_than_the_effect_settles_nothing():
    assert not is_settled(result(-7.2, 5.8, (1, 2, 3)))
    assert not is_settled(result(-7.2, 5.8, (0, 2, 3), "at_most"))
    assert not is_settled(result(-7.2, 5.8, (1, 2, 3), "at_least"))
    assert not is_settled(result(-7.2, 5.8))


def test_narrow_interval_settles_it_wherever_it_lies():
    assert is_settled(result(-1.9, 2.0, (1, 2, 3)))
    assert is_settled(result(8, 17, (9, 10, 11))), "half of the saving to either side"
    assert not is_settled(result(4, 15, (9, 10, 11)))
    assert is_settled(result(-1.9, 1.9))


def test_wide_interval_that_could_not_be_otherwise_settles_it():
    assert is_settled(result(20, 60, (1, 2, 3))), "all of it misses"
    assert is_settled(result(3, 13, (0, 14, 15), "at_most")), "all of it agrees"
    assert is_settled(result(10, 50, (1, 2, 3), "at_least"))
    assert is_settled(result(10, 50)), "it saves time for certain"


@given(
    st.floats(-50, 50),
    st.floats(0, 30),
    st.floats(-20, 20),
    st.sampled_from(("estimate", "at_most", "at_least")),
)
def test_what_touches_its_prediction_is_judged_by_width_alone(place, half, center, kind):
    """Moved along, an interval that reaches over an end of the prediction is settled or not as before."""
    found = result(place - half, place + half, (center, center, center), kind)
    low, high = found.predicted.bounds
    saving = found.saving_ns
    if saving.low < low <= saving.high or saving.low <= high < saving.high:
        assert is_settled(found) == (saving.half_width <= max(abs(round(center * MS)) / 2, 2 * MS))
    else:
        assert is_settled(found)


def test_result_of_an_older_version_is_judged_by_its_width():
    old = result(-7.2, 5.8, (1, 2, 3), agrees=True)
    assert (judged_by_width(old).settled, judged_by_width(old).agrees) == (False, None)
    narrow = result(1, 3, (1, 2, 3), agrees=True)
    assert judged_by_width(narrow) == narrow
    new = replace(old, launches=(0, 0), settled=True)
    assert judged_by_width(new) == new


def test_separate_experiments_are_compared_by_shares():
    assert result(4, 6).saved_share == 0.05
    assert replace(result(4, 6), baseline_ns=None).saved_share is None
