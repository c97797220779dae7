"""Tables of the times to the verdict and of engines against themselves: what is counted, and what is asked."""

import against_itself
import pytest
import seconds
from captures import Figures, Share


def figures(took=60.0, **more):
    return Figures(
        seconds=took, ratio=1.0, step_ns=200_000_000, delta_ns=(1_000_000, -1_000_000, 3_000_000), **more
    )


def test_either_version_captures_first_as_often():
    assert seconds.order(0) == seconds.order(2) == ("before", "after")
    assert seconds.order(1) == ("after", "before")


@pytest.mark.parametrize(("after", "met"), [((60.0, 95.0, 60.0), True), ((92.0, 95.0, 60.0), False)])
def test_the_time_is_judged_by_the_median_of_the_runs(after, met):
    runs = {"before": [figures(60.0)] * 3, "after": [figures(took) for took in after]}
    assert seconds.met(runs) is met


def test_a_run_that_was_interrupted_is_compared_as_far_as_it_goes():
    runs = {"before": [figures(60.0), figures(60.0)], "after": [figures(30.0)]}
    assert seconds.ratios(runs) == [0.5]


def test_the_half_width_is_a_share_of_the_slower_step():
    runs = {"before": [figures()], "after": [figures(launches=4, rounds=9, ended="narrow")]}
    row = seconds.table(runs).splitlines()[3]
    assert "| 4 | 9 | narrow | +1.00 (-1.00 to +3.00) | 1.0% |" in row


def test_three_significant_captures_of_twenty_pass_and_four_do_not():
    def taken(wrong):
        return {"torch": [figures(significant=i < wrong) for i in range(10)], "onnxruntime": [figures()] * 10}

    assert against_itself.met(taken(3))
    assert not against_itself.met(taken(4))
    assert "not significant: 16 of 20" in against_itself.table(taken(4))


def test_one_finding_with_a_saving_is_one_too_many():
    taken = {"torch": [figures()], "onnxruntime": [figures(saving=("layout-churn",))]}
    assert not against_itself.met(taken)
    assert "- findings with a saving: layout-churn" in against_itself.table(taken)


def test_the_floor_is_the_largest_cause_that_its_interval_excludes_zero_of():
    shares = (
        Share(cause="kernel", delta_ns=9_000_000, low_ns=-1, high_ns=18_000_000),
        Share(cause="cast", delta_ns=-2_000_000, low_ns=-3_000_000, high_ns=-1_000_000),
    )
    row = against_itself.table({"torch": [figures(causes=shares)]}).splitlines()[2]
    assert "| kernel +4.50% | 1.00% | none |" in row
