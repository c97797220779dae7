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
class BarMark:
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
    """The waterfall with every mark in its place."""

    height: int
    marks: tuple[BarMark, ...]
    ticks: tuple[tuple[str, int], ...]
    axis_y: int


def drawing_of(waterfall: Waterfall) -> Drawing:
    """Place the bars of a waterfall."""
    marks = []
    for number, bar in enumerate(waterfall.bars):
        # A total starts at the axis, which may leave out the part below all bars; its interval is around its end.
        start, base = (waterfall.low_ns, 0) if bar.kind == "total" else (bar.start_ns, bar.start_ns)
        left, right = sorted((_place(waterfall, start), _place(waterfall, bar.end_ns)))
        low, high = _place(waterfall, base + bar.low_ns), _place(waterfall, base + bar.high_ns)
        top = TOP + ROW_HEIGHT * number
        mark = BarMark(
            bar=bar,
            text_y=top + 13,
            bar_y=top + _BAR_OFFSET,
            x=format_position(min(left, 100 - _THINNEST)),
            width=format_position(max(right - left, _THINNEST)),
            low_x=format_position(low),
            high_x=format_position(high),
            end_x=format_position(_place(waterfall, bar.end_ns)),
            whisker=high - low >= _THINNEST_WHISKER,
        )
        marks.append(mark)
    axis_y = TOP + ROW_HEIGHT * len(waterfall.bars)
    return Drawing(
        height=axis_y + AXIS_HEIGHT,
        marks=tuple(marks),
        ticks=tuple((format_position(_place(waterfall, tick)), tick) for tick in waterfall.ticks),
        axis_y=axis_y,
    )


def _place(waterfall: Waterfall, ns: int) -> float:
    """Where a time lies on the axis, in percent; what is off it is held at the edge."""
    share = (ns - waterfall.low_ns) / (waterfall.high_ns - waterfall.low_ns)
    return 100 * min(max(share, 0.0), 1.0)


def format_position(value: float) -> str:
    """A place or a length in percent, as SVG reads it, e.g. `12.5%`."""
    return f"{value:.2f}".rstrip("0").rstrip(".") + "%"


def centered_bar(value: int, largest: int) -> tuple[str, str] | None:
    """`x` and `width` in percent of a bar that grows left (negative) or right from the middle; None if under a pixel."""
    share = round(50 * min(abs(value) / largest, 1.0), 1) if largest else 0.0
    return (
        (format_position(50 - share if value < 0 else 50), format_position(share))
        if share >= _PIXEL
        else None
    )
