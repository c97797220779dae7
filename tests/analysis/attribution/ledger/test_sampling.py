"""Student's quantiles against printed tables, and what the columns of a sampling are."""

import numpy as np
import pytest

from attrib.analysis.attribution.ledger.sampling import DRIFT, Launches, Rounds, student_quantile


@pytest.mark.parametrize(
    ("probability", "freedom", "printed"),
    [
        (0.975, 1, 12.706), (0.975, 2, 4.303), (0.975, 3, 3.182), (0.975, 4, 2.776), (0.975, 5, 2.571),
        (0.975, 9, 2.262), (0.975, 10, 2.228), (0.975, 29, 2.045), (0.975, 30, 2.042), (0.975, 100, 1.984),
        (0.995, 4, 4.604), (0.999, 2, 22.327), (0.999, 7, 4.785), (0.9, 3, 1.638),
    ],
)  # fmt: skip
def test_quantiles_are_those_of_printed_tables(probability, freedom, printed):
    """NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: critical values of Student's t distribution."""
    assert student_quantile(probability, freedom) == pytest.approx(printed, abs=6e-4)


def test_many_launches_come_near_the_normal_distribution():
    assert student_quantile(0.975, 2000) == pytest.approx(1.96, abs=2e-3)


def test_rounds_are_drawn_as_often_as_they_count():
    sampling = Rounds((3, 5, 9))
    picks = np.concatenate(list(sampling.picks()))
    counts = sampling.counts(np.array([3, 5, 9]))
    assert picks.shape == (sampling.columns, 3)
    for number, column in zip((3, 5, 9), counts.T, strict=True):
        assert np.array_equal((picks == number).sum(axis=1), column)


def test_the_columns_of_launches_are_their_rounds():
    sampling = Launches((0, 2), {0: 0, 1: 0, 2: 1, 3: 2})
    assert [picks.tolist() for picks in sampling.picks()] == [[[0, 1]], [[3]]]
    assert sampling.counts(np.array([0, 2, 3, 1])).tolist() == [[1, 0, 0, 1], [0, 0, 1, 0]]
    assert (sampling.columns, sampling.launches) == (2, 2)


def test_the_interval_of_another_capture_is_wider_than_what_launches_show_by_a_share_of_the_figure():
    sampling = Launches((0, 1, 2), {})
    values, estimates = np.array([[99.0, 100.0, 101.0]]), np.array([100.0])
    shown, told = sampling.shown(estimates, values), sampling.bounds(estimates, values)
    half = float(shown[1][0] - shown[0][0]) / 2
    assert half == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    assert float(told[1][0] - told[0][0]) / 2 == pytest.approx((half**2 + (DRIFT * 100) ** 2) ** 0.5)


def test_a_difference_of_nothing_gets_nothing_of_it():
    sampling = Launches((0, 1, 2), {})
    values, estimates = np.array([[-1.0, 0.0, 1.0]]), np.array([0.0])
    assert sampling.bounds(estimates, values) == sampling.shown(estimates, values)


def test_resampled_rounds_know_of_nothing_else():
    sampling = Rounds((0, 1, 2, 3))
    values = np.random.default_rng(0).normal(50, 1, (1, sampling.columns))
    assert sampling.bounds(np.array([50.0]), values)[0] == sampling.shown(np.array([50.0]), values)[0]
