"""Geometry of the static charts: where every mark lies, in percent of the width and in pixels of height."""

from dataclasses import dataclass

from attrib.report.view.waterfall import Bar, Waterfall

ROW_HEIGHT = 38
TOP = 4
AXIS_HEIGHT = 26
_BAR_OFFSET = 20
_PIXEL = 0.6
"""Percent of the module tree's bars, which are 170 pixels wide."""
_THINNEST = 0.4
_THINNEST_WHISKER = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """One row of the waterfall: `x`, `width` and the whisker in percent, `y` of text and bar in pixels.

    A whisker that would only hide its bar is left out: `whisker` is false.
    """

    bar: Bar
    text_y: int
    bar_y: int
    x: str
    width: str
    low_x: str
    high_x: str
    end_x: str
    whisker: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """The waterfall, placed."""

    height: int
    marks: tuple[Mark, ...]
    ticks: tuple[tuple[str, int], ...]
    axis_y: int


def drawing_of(waterfall: Waterfall) -> Drawing:
    """Place the bars of a waterfall."""
    axis_y = TOP + ROW_HEIGHT * len(waterfall.bars)
    return Drawing(
        height=axis_y + AXIS_HEIGHT,
        marks=tuple(_mark(waterfall, bar, number) for number, bar in enumerate(waterfall.bars)),
        ticks=tuple((_percent(_place(waterfall, tick)), tick) for tick in waterfall.ticks),
        axis_y=axis_y,
    )


def _mark(waterfall: Waterfall, bar: Bar, number: int) -> Mark:
    start = waterfall.low_ns if bar.kind == "total" else bar.start_ns
    left, right = sorted((_place(waterfall, start), _place(waterfall, bar.end_ns)))
    base = 0 if bar.kind == "total" else bar.start_ns
    low, high = _place(waterfall, base + bar.low_ns), _place(waterfall, base + bar.high_ns)
    top = TOP + ROW_HEIGHT * number
    return Mark(
        bar=bar,
        text_y=top + 13,
        bar_y=top + _BAR_OFFSET,
        x=_percent(min(left, 100 - _THINNEST)),
        width=_percent(max(right - left, _THINNEST)),
        low_x=_percent(low),
        high_x=_percent(high),
        end_x=_percent(_place(waterfall, bar.end_ns)),
        whisker=high - low >= _THINNEST_WHISKER,
    )


def _place(waterfall: Waterfall, ns: int) -> float:
    share = (ns - waterfall.low_ns) / (waterfall.high_ns - waterfall.low_ns)
    return 100 * min(max(share, 0.0), 1.0)


def _percent(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


def centered_bar(value: int, largest: int) -> tuple[str, str] | None:
    """`x` and `width` in percent of a bar that grows left (negative) or right from the middle; None if under a pixel."""
    share = round(50 * min(abs(value) / largest, 1.0), 1) if largest else 0.0
    return (_percent(50 - share if value < 0 else 50), _percent(share)) if share >= _PIXEL else None
