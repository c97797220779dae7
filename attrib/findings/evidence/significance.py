"""Whether an interval excludes nothing, when it is one of several that were looked at."""

from statistics import NormalDist

from attrib.analysis.attribution.ledger.sampling import student_quantile
from attrib.model.estimate import Delta

__all__ = ["is_certain", "widened"]


def is_certain(delta: Delta, tests: int, launches: int = 1) -> bool:
    """Whether a difference keeps its sign when its 95 % interval is widened for several tests.

    Args:
        delta: The difference with its 95 % interval.
        tests: How many differences were looked at.
        launches: Launches behind the interval.
    """
    wide = widened(delta, tests, launches)
    return wide.low > 0 if delta.median > 0 else wide.high < 0


def widened(delta: Delta, tests: int, launches: int = 1) -> Delta:
    """A difference with the interval that holds 95 % of the time for all of several tests together (Bonferroni).

    Of twenty harmless rows one falls outside its own interval: a rule that picks from several must ask for more.

    Args:
        delta: The difference with its 95 % interval.
        tests: How many differences were looked at.
        launches: Launches behind the interval. The tails of Student's distribution are heavy: what is rare by the normal
            one happens often among the intervals of a few launches.
    """
    if tests <= 1:
        return delta
    level = 1 - 0.025 / tests
    if launches > 1:
        widening = student_quantile(level, launches - 1) / student_quantile(0.975, launches - 1)
    else:
        widening = NormalDist().inv_cdf(level) / NormalDist().inv_cdf(0.975)
    low, high = (round(delta.median + widening * (end - delta.median)) for end in (delta.low, delta.high))
    return Delta(median=delta.median, low=low, high=high)
