"""Geometry of the chart beside each experiment: predicted above measured saving, on one axis for each group."""

from collections.abc import Iterable

import msgspec

from attrib.model.estimate import Delta
from attrib.model.experiment import ExperimentResult


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """Savings from `low` to `high`, as shares of the step; 0 is always on it.

    Each experiment was measured in a run of its own, so that they can stand on one axis by shares only.
    """

    low: float
    high: float

    @property
    def zero(self) -> str:
        """Where a saving of 0 lies."""
        return self.place(0)

    def place(self, saved: float) -> str:
        """Where a saving lies, in percent of the width; what is off the axis is held at its edge."""
        share = (saved - self.low) / ((self.high - self.low) or 1.0)
        return f"{100 * min(max(share, 0.0), 1.0):.1f}".rstrip("0").rstrip(".") + "%"

    def outside(self, saved: float) -> bool:
        """Whether a value is off the axis."""
        return not self.low <= saved <= self.high


class Dot(msgspec.Struct, frozen=True, kw_only=True):
    """One dot with its interval; no dot where only a bound is known, and `off` where the dot is off the axis."""

    x: str | None
    low: str
    high: str
    off: bool = False


class ChartRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the chart: the predicted saving, where there is one, and the measured one."""

    zero: str
    predicted: Dot | None
    measured: Dot


def common_axis(results: Iterable[ExperimentResult]) -> Axis:
    """Find one axis for several experiments: one that costs far more than any other saves must not squeeze the rest."""
    ends: list[float] = []
    for result in results:
        if result.saving_ns is not None and (step := _step_ns(result)):
            savings = [result.saving_ns, *([result.predicted.saving_ns] if result.predicted else [])]
            ends += [end / step for saving in savings for end in (saving.low, saving.high)]
    high = max(0.0, *ends, 0.0)
    low = min(0.0, *ends, 0.0)
    return Axis(low=max(low, -high / 2) if high > 0 else low, high=high)


def chart_row(result: ExperimentResult, axis: Axis) -> ChartRow | None:
    """Place one experiment on an axis; None where nothing was measured."""
    step = _step_ns(result)
    if result.saving_ns is None or not step:
        return None
    told = result.predicted
    predicted = _dot(told.saving_ns, step, axis, known=told.kind == "estimate") if told else None
    measured = _dot(result.saving_ns, step, axis, known=True)
    return ChartRow(zero=axis.zero, predicted=predicted, measured=measured)


def _step_ns(result: ExperimentResult) -> int:
    """The step without the change, in the experiment's own run; 0 where it is not known."""
    return result.baseline_ns.median if result.baseline_ns else 0


def _dot(saving: Delta, step: int, axis: Axis, *, known: bool) -> Dot:
    low, median, high = saving.low / step, saving.median / step, saving.high / step
    return Dot(
        x=axis.place(median) if known else None,
        low=axis.place(low),
        high=axis.place(high),
        off=known and axis.outside(median),
    )
