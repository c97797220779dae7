"""The law of a cache's cost, and that lengths which were not fitted are predicted by it."""

import pytest
from cache_growth import ROLES, law, table


def test_a_line_is_found_whatever_its_points_weigh():
    assert law([50, 200, 500], [30.0, 60.0, 120.0]) == pytest.approx((20.0, 0.2))


@pytest.mark.parametrize(("lengths", "spent"), [([50, 200], [1.0, 2.0]), ([1, 2, 3], [0.0, 1.0, 2.0])])
def test_too_few_points_give_none(lengths, spent):
    with pytest.raises(ValueError, match="a law needs 3 lengths"):
        law(lengths, spent)


def test_lengths_that_are_checked_do_not_make_the_law():
    spent = {50: 30e3, 200: 60e3, 500: 120e3, 350: 180e3}
    measured = {
        str(length): dict.fromkeys(ROLES, ns) | {f"{role} step": 1e6 for role in ROLES}
        for length, ns in spent.items()
    }
    told = table(measured, [350])
    assert "| 350 | 0.180 ms | 18.0% | 0.090 ms, -50% |" in told
    assert "- ONNX Runtime: 20 µs, and 200 ns for each token" in told
