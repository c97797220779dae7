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
