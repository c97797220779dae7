"""The formatter of durations, and rounding that keeps sums."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attrib.units import (
    Unit,
    format_interval,
    format_ns,
    format_percent,
    format_ratio,
    format_ratios,
    round_to_sum,
    scale_of,
    unit_for,
)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ns"),
        (7, "7 ns"),
        (12_345, "12.3 µs"),
        (59_200_000, "59.2 ms"),
        (99_960_000, "100 ms"),
        (1_234_000_000, "1.23 s"),
        (-3_210_000, "−3.21 ms"),
        (2_000_000, "2 ms"),
    ],
)
def test_duration_has_three_significant_digits(ns, text):
    assert format_ns(ns) == text


def test_sign_is_shown_on_request_but_never_on_zero():
    assert format_ns(5_100, sign=True) == "+5.10 µs"
    assert format_ns(0, sign=True) == "0 ns"


@pytest.mark.parametrize(
    ("ns", "low", "high", "text"),
    [
        (-59_200_000, -61_000_000, -57_400_000, "−59.2 ± 1.8 ms"),
        (200_000, -900_000, 1_300_000, "+0.2 ± 1.1 ms"),
        (-4_400_000, -4_800_000, -4_000_000, "−4.40 ± 0.40 ms"),
        (5, 5, 5, "+5 ± 0 ns"),
        (0, 0, 0, "0 ± 0 ns"),
        (10_000_000, 9_000_000, 14_000_000, "+10.0 ms (+9.0 to +14.0)"),
        (-82_665_000, -90_679_000, -79_487_000, "−82.7 ms (−90.7 to −79.5)"),
        (-46_600_000, -268_900_000, -40_300_000, "−47 ms (−269 to −40)"),
        (1_000_000, 1_500_000, 2_000_000, "+1.00 ms (+1.50 to +2.00)"),
        (-49_010_000, -98_000_000, -20_000, "−49.01 ± 48.99 ms"),
        (49_000_000, 400_000, 120_000_000, "+49.0 ms (+0.4 to +120.0)"),
        (-49_000_000, -98_000_000, 0, "−49 ± 49 ms"),
    ],
)
def test_interval_and_value_share_unit_and_decimals(ns, low, high, text):
    assert format_interval(ns, low, high) == text


def test_interval_in_a_given_unit_keeps_its_own_decimals():
    unit = Unit(1_000_000, "ms", 3)
    assert format_interval(-48_788_000, -49_200_000, -48_370_000, scale=unit) == "−48.79 ± 0.42 ms"
    assert format_interval(143_100, 138_700, 147_500, scale=unit) == "+0.143 ± 0.004 ms"
    assert format_interval(5_000, 5_000, 5_000, scale=unit) == "+0.005 ± 0.000 ms"


def test_interval_of_a_size_has_no_plus():
    assert format_interval(130_400_000, 129_600_000, 131_200_000, sign=False) == "130.40 ± 0.80 ms"
    skewed = format_interval(130_400_000, 129_600_000, 131_000_000, sign=False)
    assert skewed == "130.40 ms (129.60 to 131.00)"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(1.83, "1.83×"), (1.05, "1.05×"), (1.004, "1.004×"), (2.0, "2.00×"), (12.43, "12.4×"), (120.4, "120×")],
)
def test_ratio_keeps_the_digits_that_tell_it_from_one(ratio, text):
    assert format_ratio(ratio) == text


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_plus_minus_stands_only_where_both_ends_are_that_far(ns, below, above):
    text = format_interval(ns, ns - below, ns + above)
    shown = [float(part.replace("−", "-").replace(",", "")) for part in re.findall(r"[−+]?[\d.,]+", text)]
    last = 10.0 ** -len(re.findall(r"[\d,]+(?:\.(\d+))?", text)[0])
    size = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[re.search(r"[mnµ]?s", text).group(0)]
    if "±" in text:
        assert abs(shown[1] - below / size) <= last * 1.01
        assert abs(shown[1] - above / size) <= last * 1.01
    else:
        assert shown[1] == pytest.approx((ns - below) / size, abs=last * 0.51)
        assert shown[2] == pytest.approx((ns + above) / size, abs=last * 0.51)


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.integers(0, 10**9))
def test_an_interval_without_zero_is_never_shown_as_holding_it(ns, below, above):
    low, high = ns - below, ns + above
    text = format_interval(ns, low, high)
    shown = [float(part.replace("−", "-").replace(",", "")) for part in re.findall(r"[−+]?[\d.,]+", text)]
    ends = (shown[0] - shown[1], shown[0] + shown[1]) if "±" in text else (shown[1], shown[2])
    size = {"ns": 1, "µs": 1e3, "ms": 1e6, "s": 1e9}[re.search(r"[mnµ]?s", text).group(0)]
    if min(abs(low), abs(high)) > size / 1000:  # what three decimals tell from nothing
        assert (ends[0] > 0) == (low > 0)
        assert (ends[1] < 0) == (high < 0)


@pytest.mark.parametrize(
    ("ratio", "texts"),
    [
        ((1.372, 1.301, 1.437), ("1.37×", "1.30", "1.44")),
        ((1.37, 1.12, 1.93), ("1.4×", "1.1", "1.9")),
        ((1.004, 1.0021, 1.006), ("1.004×", "1.002", "1.006")),
        ((1.04, 1.004, 1.08), ("1.040×", "1.004", "1.080")),
        ((13.9, 13.5, 14.4), ("13.9×", "13.5", "14.4")),
    ],
)
def test_ratio_and_its_ends_have_the_same_decimals_and_never_seem_to_hold_one(ratio, texts):
    assert format_ratios(*ratio) == texts


def test_percent_is_spelled_with_a_space():
    assert format_percent(0.1234) == "12.3 %"
    assert format_percent(1) == "100 %"


def test_unit_takes_its_decimals_from_the_noise():
    unit = unit_for(130_400_000, noise=1_800_000)
    assert unit == Unit(1_000_000, "ms", 1)
    assert (unit.text(130_400_000), unit.text(-71_240_000, sign=True)) == ("130.4 ms", "−71.2 ms")


def test_nanoseconds_have_no_decimals():
    assert unit_for(7, noise=0.5).text(7) == "7 ns"


@given(st.integers(-(10**15), 10**15))
def test_scale_makes_the_magnitude_at_least_one(ns):
    size, _ = scale_of(ns)
    assert abs(ns) >= size or size == 1


@given(st.integers(-(10**15), 10**15), st.integers(0, 10**13))
def test_interval_half_width_is_never_rounded_to_nothing(ns, half):
    text = format_interval(ns, ns - half, ns + half)
    shown = float(text.split(" ± ")[1].split()[0].replace(",", ""))
    size = scale_of(max(abs(ns), half))[0]
    assert shown == 0 if half * 1000 * 2 < size else shown > 0


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_rounding_reaches_the_total_and_moves_no_value_by_one(values):
    total = round(sum(values))
    if not -len(values) < total - sum(v // 1 for v in values) <= len(values):
        return
    rounded = round_to_sum(values, total)
    assert sum(rounded) == total
    assert all(abs(a - b) <= 1 for a, b in zip(rounded, values, strict=True))


def test_rounding_refuses_a_total_that_it_cannot_reach():
    with pytest.raises(ValueError, match="cannot bridge"):
        round_to_sum([1.0, 2.0], 9)
