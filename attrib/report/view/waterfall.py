"""The waterfall chart: from the PyTorch step to the ONNX Runtime step, one bar for each cause."""

import math
from dataclasses import dataclass
from typing import Literal

from attrib.model.document import CAUSES, CauseRow, Document
from attrib.model.estimate import Estimate
from attrib.report.view.verdict import REMAINDERS, side_names

BarKind = Literal["total", "slower", "faster", "remainder"]

_ZOOM_ABOVE = 0.6
"""Share of the longest step below which no bar reaches: where it is larger, the axis leaves most of it out."""
_TICKS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar, from `start_ns` to `end_ns` on the axis of step time; totals start at the axis.

    `low_ns` and `high_ns` bound the value (a delta, or a total) at 95 %; `noise` says that they hold 0.
    """

    key: str
    label: str
    kind: BarKind
    start_ns: int
    end_ns: int
    value_ns: int
    low_ns: int
    high_ns: int
    noise: bool = False
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waterfall:
    """Bars, and the axis on which they are drawn."""

    bars: tuple[Bar, ...]
    low_ns: int
    high_ns: int
    ticks: tuple[int, ...]

    @property
    def starts_above_zero(self) -> bool:
        """Whether the axis leaves out the part that no bar reaches down to."""
        return self.low_ns > 0


def order_causes(document: Document) -> tuple[CauseRow, ...]:
    """Causes by size of their delta; what the profiler took and what stays unexplained come last."""
    last = {cause: place for place, cause in enumerate(REMAINDERS, start=1)}
    return tuple(
        sorted(document.causes, key=lambda c: (last.get(c.cause, 0), -abs(c.delta_ns), c.cause)),
    )


def waterfall_of(document: Document) -> Waterfall | None:
    """Bars from the PyTorch step over every cause to the ONNX Runtime step; None without a delta."""
    latency, names = document.latency, side_names(document)
    if latency.delta_ns is None or latency.torch_ns is None or latency.onnxruntime_ns is None:
        return None
    bars = [_total("torch", names["torch"], latency.torch_ns)]
    for cause in order_causes(document):
        start = bars[-1].end_ns
        kind: BarKind = "slower" if cause.delta_ns > 0 else "faster"
        bar = Bar(
            key=cause.cause,
            label=CAUSES[cause.cause].title,
            kind="remainder" if cause.cause in REMAINDERS else kind,
            start_ns=start,
            end_ns=start + cause.delta_ns,
            value_ns=cause.delta_ns,
            low_ns=cause.low_ns,
            high_ns=cause.high_ns,
            noise=cause.low_ns <= 0 <= cause.high_ns,
            meaning=CAUSES[cause.cause].meaning,
        )
        bars.append(bar)
    # What the causes miss of the headline: 0, or a bug that the reader must see.
    rest = latency.delta_ns.median - sum(cause.delta_ns for cause in document.causes)
    if rest:
        bar = Bar(
            key="unsummed",
            label="Not in any row (a bug in attrib)",
            kind="remainder",
            start_ns=bars[-1].end_ns,
            end_ns=bars[-1].end_ns + rest,
            value_ns=rest,
            low_ns=rest,
            high_ns=rest,
            meaning="The rows should sum to the headline and do not.",
        )
        bars.append(bar)
    bars.append(_total("onnxruntime", names["onnxruntime"], latency.onnxruntime_ns))
    return place_on_axis(tuple(bars))


def _total(key: str, label: str, step: Estimate) -> Bar:
    return Bar(
        key=key,
        label=label,
        kind="total",
        start_ns=0,
        end_ns=step.median,
        value_ns=step.median,
        low_ns=step.low,
        high_ns=step.high,
    )


def place_on_axis(bars: tuple[Bar, ...]) -> Waterfall:
    """Find the axis on which all bars and their intervals lie; it leaves out what no bar reaches down to."""
    ends: list[int] = []
    for bar in bars:
        if bar.kind == "total":
            ends += (bar.end_ns, bar.high_ns)
        else:
            ends += (bar.start_ns, bar.end_ns, bar.start_ns + bar.low_ns, bar.start_ns + bar.high_ns)
    low, high = min(ends), max(ends)
    margin = max(high - low, 1) * 0.12
    axis_low = int(low - margin) if low > _ZOOM_ABOVE * high else min(0, low)
    axis_high = max(high, axis_low + 1)
    return Waterfall(bars=bars, low_ns=axis_low, high_ns=axis_high, ticks=axis_ticks(axis_low, axis_high))


def axis_ticks(low: int, high: int) -> tuple[int, ...]:
    """Round values on the axis: steps of 1, 2 or 5 times a power of ten."""
    rough = max((high - low) / _TICKS, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))
    first = -(-low // step) * step
    return tuple(range(first, high + 1, step))
