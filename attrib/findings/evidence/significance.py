"""Whether an interval excludes nothing, when it is one of several that were looked at."""

from statistics import NormalDist

from attrib.model.estimate import Delta

_Z95 = NormalDist().inv_cdf(0.975)


def is_certain(delta: Delta, tests: int) -> bool:
    """Whether a difference keeps its sign when its 95 % interval is widened for several tests (Bonferroni).

    Of twenty harmless rows one falls outside its own interval: a rule that picks from several must ask for more.

    Args:
        delta: The difference with its 95 % interval.
        tests: How many differences were looked at.
    """
    widening = NormalDist().inv_cdf(1 - 0.025 / max(tests, 1)) / _Z95
    near = delta.low if delta.median > 0 else delta.high
    return abs(delta.median) > widening * abs(delta.median - near)
