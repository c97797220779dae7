"""Differences and quotients of figures from two captures, with their intervals."""

import math
from typing import Protocol

from attrib.findings.evidence.significance import is_certain
from attrib.model.estimate import Delta, Ratio

_MOST = 700
"""Logarithm of about the largest number that there is: a stranger's report may hold any."""


class WithInterval(Protocol):
    """A figure with its 95 % interval."""

    @property
    def median(self) -> int:
        """The figure."""
        ...

    @property
    def low(self) -> int:
        """Lower end."""
        ...

    @property
    def high(self) -> int:
        """Upper end."""
        ...


def change_of(before: WithInterval, after: WithInterval) -> Delta:
    """After minus before, of two captures that know nothing of each other.

    Each end is as far from the difference as the root of the sum of the squares of the two distances that move it there:
    the method of variance estimates recovery (Zou and Donner, "Construction of confidence limits about effect measures",
    Statistics in Medicine 27, 2008).
    """
    median = after.median - before.median
    below = math.hypot(after.median - after.low, before.high - before.median)
    above = math.hypot(after.high - after.median, before.median - before.low)
    return Delta(median=median, low=math.floor(median - below), high=math.ceil(median + above))


def quotient(one: Ratio | None, other: Ratio | None) -> Ratio | None:
    """One over the other by the same method on logarithms; None where a value or an end is not positive, or no number is."""
    if one is None or other is None or min(one.low, one.value, other.low, other.value) <= 0:
        return None
    (low, value, high), (other_low, other_value, other_high) = (
        [math.log(part) for part in (its.low, its.value, max(its.high, its.value))] for its in (one, other)
    )
    middle = value - other_value
    below, above = (
        math.hypot(value - low, other_high - other_value),
        math.hypot(high - value, other_value - other_low),
    )
    if max(abs(middle - below), abs(middle + above)) > _MOST:
        return None
    return Ratio(value=math.exp(middle), low=math.exp(middle - below), high=math.exp(middle + above))


def as_ratio(measured: WithInterval) -> Ratio:
    """A figure with its interval as numbers that may be divided."""
    return Ratio(value=measured.median, low=measured.low, high=measured.high)


def excludes_zero(delta: Delta) -> bool:
    """Whether a change keeps its sign over its whole interval."""
    return delta.low > 0 or delta.high < 0


class Judge:
    """Which of many changes may be believed.

    Attributes:
        fair: Nothing forbids to compare.
        launches: Launches behind the intervals of either capture, the fewer.
        least: The smallest change that two captures of the same thing do not show by themselves, see `DIFFERENT_SHARE`.
    """

    def __init__(self, *, fair: bool, launches: int, least: int) -> None:
        self.fair, self.launches, self.least = fair, launches, least

    def certain(self, change: Delta, tests: int, *, small: bool = False) -> bool:
        """Whether a change is no chance among so many that were looked at; `small` ones count where work is another."""
        large = small or abs(change.median) >= self.least
        return self.fair and large and excludes_zero(change) and is_certain(change, tests, self.launches)
