"""Geometry of the static charts: where every mark lies, in percent of the width or in the units of its drawing."""

from collections.abc import Iterable

import msgspec

from attrib.report.view.strip import Cloud, Mark, Shade, Strip
from attrib.report.view.waterfall import Bar, Waterfall

STRIP_HEIGHT = 100
"""Pixels of the strip of steps."""

_STRIP_WIDTH = 1000
_PIXEL = 0.6
"""Percent of the module tree's bars, which are 170 pixels wide."""
_THINNEST = 0.4


class BarMark(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the waterfall: its bar, and `x` and `width` in percent."""

    bar: Bar
    x: str
    width: str


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """The waterfall with every bar in its place, and where 0 is."""

    marks: tuple[BarMark, ...]
    zero: str


class CloudPath(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one side as two paths of dots: those that count, and those left out."""

    cloud: Cloud
    counted: str
    left_out: str


class StripDrawing(msgspec.Struct, frozen=True, kw_only=True):
    """The strip, in a drawing that stretches to the width: `shades` are x, width and title; `ticks` y and text."""

    box: str
    clouds: tuple[CloudPath, ...]
    shades: tuple[tuple[int, int, str], ...]
    starts: tuple[int, ...]
    ticks: tuple[tuple[int, str], ...]


def drawing_of(waterfall: Waterfall) -> Drawing:
    """Place the bars of a waterfall."""
    marks = []
    for bar in waterfall.bars:
        left, right = sorted((_place(waterfall, bar.start_ns), _place(waterfall, bar.end_ns)))
        width = max(right - left, _THINNEST)
        x = min(left, 100 - width)
        marks.append(BarMark(bar=bar, x=format_position(x), width=format_position(width)))
    return Drawing(marks=tuple(marks), zero=format_position(_place(waterfall, 0)))


def strip_drawing(strip: Strip) -> StripDrawing:
    """Place the steps: one path for each side, whose dots keep their shape however wide the drawing is."""

    def across(shade: Shade) -> tuple[int, int, str]:
        x = round(shade.start * _STRIP_WIDTH)
        return x, max(round(shade.end * _STRIP_WIDTH) - x, 2), shade.title

    return StripDrawing(
        box=f"0 0 {_STRIP_WIDTH} {STRIP_HEIGHT}",
        clouds=tuple(
            CloudPath(cloud=cloud, counted=_dots(cloud.counted), left_out=_dots(cloud.left_out))
            for cloud in strip.clouds
        ),
        shades=tuple(map(across, strip.shades)),
        starts=tuple(round(at * _STRIP_WIDTH) for at in strip.starts),
        ticks=tuple((round((1 - y) * STRIP_HEIGHT), text) for y, text in strip.ticks),
    )


def _dots(marks: Iterable[Mark]) -> str:
    """Lines without length, of which a round or square cap is all that is seen."""
    return "".join(f"M{round(mark.x * _STRIP_WIDTH)} {(1 - mark.y) * STRIP_HEIGHT:.1f}h0" for mark in marks)


def _place(waterfall: Waterfall, ns: int) -> float:
    """Where a time lies on the axis, in percent."""
    return 100 * (ns - waterfall.low_ns) / (waterfall.high_ns - waterfall.low_ns)


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
