"""Geometry of the chart beside each experiment: what was predicted above what was measured, on one axis a group."""

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
        """Where nothing is saved."""
        return self.place(0)

    def place(self, ns: int) -> str:
        """Percent of the width; what lies outside is held at the edge."""
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
class Dots:
    """A row of the chart: the predicted saving, where there is one, and the measured one."""

    zero: str
    predicted: Dot | None
    measured: Dot


def axis_of(results: Iterable[ExperimentResult]) -> Axis:
    """One axis for several: a change that costs far more than any other saves must not press the others together."""
    intervals = [d for r in results if (d := r.saving_ns) is not None]
    intervals += [
        r.predicted.saving_ns for r in results if r.predicted is not None and r.saving_ns is not None
    ]
    high = max((d.high for d in intervals), default=0)
    low = min((d.low for d in intervals), default=0)
    if high > 0:
        low = max(low, -high // 2)
    return Axis(low_ns=min(low, 0), high_ns=max(high, 0))


def dots_of(result: ExperimentResult, axis: Axis) -> Dots | None:
    """Place one experiment; None where nothing was measured."""
    if result.saving_ns is None:
        return None
    prediction = result.predicted
    return Dots(
        zero=axis.zero,
        predicted=_dot(prediction.saving_ns, axis, known=prediction.kind == "estimate")
        if prediction
        else None,
        measured=_dot(result.saving_ns, axis, known=True),
    )


def _dot(saving: Delta, axis: Axis, *, known: bool) -> Dot:
    return Dot(
        x=axis.place(saving.median) if known else None,
        low=axis.place(saving.low),
        high=axis.place(saving.high),
        off=known and axis.outside(saving.median),
    )
