"""Geometry of the chart beside each experiment: predicted above measured saving, on one axis for each group."""

from collections.abc import Iterable
from dataclasses import dataclass

from attrib.model.estimate import Delta
from attrib.model.experiment import ExperimentResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Savings from `low_ns` to `high_ns`; 0 is always on it."""

    low_ns: int
    high_ns: int

    @property
    def zero(self) -> str:
        """Where a saving of 0 lies."""
        return self.place(0)

    def place(self, ns: int) -> str:
        """Where a saving lies, in percent of the width; what is off the axis is held at its edge."""
        share = (ns - self.low_ns) / max(self.high_ns - self.low_ns, 1)
        return f"{100 * min(max(share, 0.0), 1.0):.1f}".rstrip("0").rstrip(".") + "%"

    def outside(self, ns: int) -> bool:
        """Whether a value is off the axis."""
        return not self.low_ns <= ns <= self.high_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """One dot with its interval; no dot where only a bound is known, and `off` where the dot is off the axis."""

    x: str | None
    low: str
    high: str
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartRow:
    """A row of the chart: the predicted saving, where there is one, and the measured one."""

    zero: str
    predicted: Dot | None
    measured: Dot


def common_axis(results: Iterable[ExperimentResult]) -> Axis:
    """Find one axis for several experiments: one that costs far more than any other saves must not squeeze the rest."""
    intervals: list[Delta] = []
    for result in results:
        if result.saving_ns is not None:
            intervals.append(result.saving_ns)
            if result.predicted is not None:
                intervals.append(result.predicted.saving_ns)
    high = max((d.high for d in intervals), default=0)
    low = min((d.low for d in intervals), default=0)
    if high > 0:
        low = max(low, -high // 2)
    return Axis(low_ns=min(low, 0), high_ns=max(high, 0))


def chart_row(result: ExperimentResult, axis: Axis) -> ChartRow | None:
    """Place one experiment on an axis; None where nothing was measured."""
    if result.saving_ns is None:
        return None
    told = result.predicted
    predicted = _dot(told.saving_ns, axis, known=told.kind == "estimate") if told else None
    return ChartRow(zero=axis.zero, predicted=predicted, measured=_dot(result.saving_ns, axis, known=True))


def _dot(saving: Delta, axis: Axis, *, known: bool) -> Dot:
    return Dot(
        x=axis.place(saving.median) if known else None,
        low=axis.place(saving.low),
        high=axis.place(saving.high),
        off=known and axis.outside(saving.median),
    )
