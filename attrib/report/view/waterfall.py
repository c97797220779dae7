"""The way from the PyTorch step to the ONNX Runtime step, one bar a cause."""

import math
from dataclasses import dataclass
from typing import Literal

from attrib.model.document import CAUSES, CauseRow, Document
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
    """Bars and the axis on which they are drawn; `broken` where the axis does not start at 0."""

    bars: tuple[Bar, ...]
    low_ns: int
    high_ns: int
    ticks: tuple[int, ...]

    @property
    def broken(self) -> bool:
        """The axis leaves out the part that no bar reaches down to."""
        return self.low_ns > 0


def ordered_causes(document: Document) -> tuple[CauseRow, ...]:
    """Causes by size of their delta; what the profiler took and what stays unexplained come last."""
    return tuple(
        sorted(document.causes, key=lambda c: (_last(c), -abs(c.delta_ns), c.cause)),
    )


def _last(cause: CauseRow) -> int:
    return 1 + REMAINDERS.index(cause.cause) if cause.cause in REMAINDERS else 0


def unsummed_ns(document: Document) -> int:
    """What the causes miss of the headline delta: 0, or a bug that the reader must see."""
    delta = document.latency.delta_ns
    return delta.median - sum(cause.delta_ns for cause in document.causes) if delta else 0


def waterfall_of(document: Document) -> Waterfall | None:
    """Bars from the PyTorch step over every cause to the ONNX Runtime step; None without a delta."""
    latency, names = document.latency, side_names(document)
    if latency.delta_ns is None or latency.torch_ns is None or latency.onnxruntime_ns is None:
        return None
    torch, ort = latency.torch_ns, latency.onnxruntime_ns
    bars = [_total("torch", names["torch"], torch.median, torch.low, torch.high)]
    for cause in ordered_causes(document):
        bars.append(_step(cause, bars[-1].end_ns))
    if rest := unsummed_ns(document):
        bars.append(_unsummed(rest, bars[-1].end_ns))
    bars.append(_total("onnxruntime", names["onnxruntime"], ort.median, ort.low, ort.high))
    return _on_axis(tuple(bars))


def _total(key: str, label: str, median: int, low: int, high: int) -> Bar:
    return Bar(
        key=key,
        label=label,
        kind="total",
        start_ns=0,
        end_ns=median,
        value_ns=median,
        low_ns=low,
        high_ns=high,
    )


def _step(cause: CauseRow, start: int) -> Bar:
    kind: BarKind = "slower" if cause.delta_ns > 0 else "faster"
    text = CAUSES[cause.cause]
    return Bar(
        key=cause.cause,
        label=text.title,
        kind="remainder" if cause.cause in REMAINDERS else kind,
        start_ns=start,
        end_ns=start + cause.delta_ns,
        value_ns=cause.delta_ns,
        low_ns=cause.low_ns,
        high_ns=cause.high_ns,
        noise=cause.low_ns <= 0 <= cause.high_ns,
        meaning=text.meaning,
    )


def _unsummed(rest: int, start: int) -> Bar:
    return Bar(
        key="unsummed",
        label="Not in any row (a bug in attrib)",
        kind="remainder",
        start_ns=start,
        end_ns=start + rest,
        value_ns=rest,
        low_ns=rest,
        high_ns=rest,
        meaning="The rows should sum to the headline and do not.",
    )


def _on_axis(bars: tuple[Bar, ...]) -> Waterfall:
    ends = [value for bar in bars for value in _reach(bar)]
    low, high = min(ends), max(ends)
    margin = max(high - low, 1) * 0.12
    axis_low = int(low - margin) if low > _ZOOM_ABOVE * high else min(0, low)
    axis_high = max(high, axis_low + 1)
    ticks = axis_ticks(axis_low, axis_high)
    return Waterfall(bars=bars, low_ns=axis_low, high_ns=axis_high, ticks=ticks)


def _reach(bar: Bar) -> tuple[int, ...]:
    if bar.kind == "total":
        return (bar.end_ns, bar.high_ns)
    return (bar.start_ns, bar.end_ns, bar.start_ns + bar.low_ns, bar.start_ns + bar.high_ns)


def axis_ticks(low: int, high: int) -> tuple[int, ...]:
    """Round values on the axis: steps of 1, 2 or 5 times a power of ten."""
    rough = max((high - low) / _TICKS, 1)
    power = 10 ** math.floor(math.log10(rough))
    step = int(next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough))
    first = -(-low // step) * step
    return tuple(range(first, high + 1, step))
