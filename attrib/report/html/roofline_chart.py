"""Geometry of the roofline chart: `x` in percent of the width, `y` in pixels of height; both axes are logarithmic."""

import math
from collections.abc import Iterable, Iterator

import msgspec

from attrib.model.manifest import ROLES, Role
from attrib.model.roofline import Peaks
from attrib.report.html.svg import format_position
from attrib.report.view.roofline import Kind, RooflineView, format_rate

TOP, HEIGHT, AXIS = 22, 260, 34
_DECADES = 4
"""Rates further below the roof are held at the lower edge."""
_ROOM = 0.35
"""Decades that are left free beside and above what is drawn."""
_NEAR_X, _NEAR_Y = 1.6, 16
"""Dots nearer than this, in percent and pixels, share a label."""


class Roof(msgspec.Struct, frozen=True, kw_only=True):
    """A line that nothing is above: flat for arithmetic, rising for bandwidth; with its label."""

    text: str
    flat: bool
    cache: bool
    x1: str
    y1: int
    x2: str
    y2: int
    label_x: str
    label_y: int


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of operators: the place of each side, which is linked to the other's."""

    kind: Kind
    x: str
    ys: dict[Role, int]


class RooflineDrawing(msgspec.Struct, frozen=True, kw_only=True):
    """The roofline chart with every mark in its place."""

    height: int
    axis_y: int
    roofs: tuple[Roof, ...]
    points: tuple[Point, ...]
    labels: tuple[tuple[str, int, str], ...]
    x_ticks: tuple[tuple[str, str], ...]
    y_ticks: tuple[tuple[int, str], ...]


class LogAxes(msgspec.Struct, frozen=True, kw_only=True):
    """Logarithmic axes: their ranges as powers of ten."""

    left: float
    right: float
    low: float
    high: float

    def x(self, intensity: float) -> float:
        """Where an intensity (operations per byte) lies, in percent of the width."""
        share = (math.log10(intensity) - self.left) / (self.right - self.left)
        return 100 * min(max(share, 0.0), 1.0)

    def y(self, rate: float) -> int:
        """Where a rate (operations per second) lies, in pixels from the top."""
        share = (math.log10(rate) - self.low) / (self.high - self.low)
        return round(TOP + HEIGHT * (1 - min(max(share, 0.0), 1.0)))


def roofline_drawing(view: RooflineView) -> RooflineDrawing | None:
    """Place roofs and dots; None where no kind of operators computes anything."""
    kinds = [kind for kind in view.kinds if kind.ops and kind.bytes and any(map(kind.rate, ROLES))]
    if not kinds or not all(peaks.streams and peaks.products for peaks in view.peaks.values()):
        return None
    axes = find_axes(kinds, view.peaks.values())
    points = tuple(
        Point(
            kind=kind,
            x=format_position(axes.x(kind.intensity)),
            ys={role: axes.y(rate) for role in ROLES if (rate := kind.rate(role))},
        )
        for kind in kinds
    )
    return RooflineDrawing(
        height=TOP + HEIGHT + AXIS,
        axis_y=TOP + HEIGHT,
        roofs=tuple(place_roofs(view.peaks, axes)),
        points=points,
        labels=tuple(place_labels(points)),
        x_ticks=tuple(
            (format_position(axes.x(10.0**power)), f"{10.0**power:g}")
            for power in range(math.ceil(axes.left), math.floor(axes.right) + 1)
        ),
        y_ticks=tuple(
            (axes.y(10.0**power), format_rate(10.0**power, "FLOP/s"))
            for power in range(math.ceil(axes.low + _ROOM / 2), math.floor(axes.high) + 1)
        ),
    )


def find_axes(kinds: Iterable[Kind], peaks: Iterable[Peaks]) -> LogAxes:
    """Find the ranges in which the dots and the corners of the roofs lie."""
    kinds, limits = tuple(kinds), tuple(peaks)
    intensities = [kind.intensity for kind in kinds]
    rates = [rate for kind in kinds for role in ROLES if (rate := kind.rate(role))]
    roof = max(rate.per_s for limit in limits for rate in limit.products.values())
    slope = min(limit.streams[-1].rate.per_s for limit in limits)
    high = math.log10(max(roof, *rates)) + _ROOM
    return LogAxes(
        left=math.log10(min(intensities)) - 2 * _ROOM,
        right=math.log10(max(*intensities, roof / slope)) + _ROOM,
        low=max(math.log10(min(rates)) - _ROOM, high - _DECADES),
        high=high,
    )


def place_labels(points: Iterable[Point]) -> Iterator[tuple[str, int, str]]:
    """Numbers below the dots, where no roof is; those that would cover each other become one."""
    groups: list[tuple[float, int, list[int]]] = []
    for point in points:
        x, y = float(point.x.removesuffix("%")), max(point.ys.values())
        for other_x, other_y, numbers in groups:
            if abs(x - other_x) < _NEAR_X and abs(y - other_y) < _NEAR_Y:
                numbers.append(point.kind.number)
                break
        else:
            groups.append((x, y, [point.kind.number]))
    for x, y, numbers in groups:
        yield format_position(x), y + 17, ", ".join(map(str, numbers))


def place_roofs(peaks: dict[Role, Peaks], axes: LogAxes) -> Iterator[Roof]:
    """Each roof once: either side has its own only where they compute differently."""
    products = {
        (dtype, rate.math): rate.per_s for limit in peaks.values() for dtype, rate in limit.products.items()
    }
    top = max(products.values())
    limit = next(iter(peaks.values()))
    cache = max((s.rate.per_s for s in limit.streams[:-1]), default=0.0)
    memory = limit.streams[-1].rate.per_s
    for name, rate, is_cache in (("cache", cache, True), ("memory", memory, False)):
        if rate:
            yield _slope(f"{name} {format_rate(rate, 'B/s')}", rate, top, axes, cache=is_cache)
    for (dtype, math_), rate in sorted(products.items()):
        start, y = axes.x(rate / max(cache, memory)), axes.y(rate)
        text = f"{dtype}{f' ({math_})' if math_ else ''} {format_rate(rate, 'FLOP/s')}"
        yield Roof(
            text=text, flat=True, cache=False, x1=format_position(start), y1=y, x2="100%", y2=y, label_x="100%",
            label_y=y - 6,
        )  # fmt: skip


def _slope(text: str, rate: float, top: float, axes: LogAxes, *, cache: bool) -> Roof:
    """From where it enters the drawing to where it meets the highest roof."""
    start = max(10.0**axes.left, 10.0**axes.low / rate)
    end = min(top / rate, 10.0**axes.right)
    middle = start * (end / start) ** 0.6  # few dots lie there
    return Roof(
        text=text,
        flat=False,
        cache=cache,
        x1=format_position(axes.x(start)),
        y1=axes.y(start * rate),
        x2=format_position(axes.x(end)),
        y2=axes.y(end * rate),
        label_x=format_position(axes.x(middle)),
        label_y=axes.y(middle * rate),
    )
