"""Measured durations with their intervals, in whole nanoseconds."""

import msgspec


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The plain step of one side with its 95 % interval, of `n` steps.

    `median` is the mean over launches of the median of its steps in each.
    """

    median: int
    low: int
    high: int
    n: int


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """A difference or a sum with its 95 % interval; of two engines it is ONNX Runtime minus PyTorch."""

    median: int
    low: int
    high: int

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """One step over another that was measured beside it, with its 95 % interval.

    Of two engines it is PyTorch's over ONNX Runtime's, of a change the step without it over that with it: above 1 where the
    second is faster.
    """

    value: float
    low: float
    high: float
