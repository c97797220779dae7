"""One step of each side on a common axis: what each thread and each device queue ran, colored by cause."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Literal

import msgspec

from attrib.model.document import CAUSES, Cause, Document, LedgerRow
from attrib.model.manifest import ROLES, Role
from attrib.model.timeline import LaneKind, StepTimeline, TimelineLane
from attrib.report.view.axis import axis_ticks
from attrib.report.view.verdict import side_names

COLUMNS = 400
"""Columns of the drawing without script; each shows what took most of its time."""

HOST_HEIGHT, DEVICE_HEIGHT, LABEL_HEIGHT, GAP = 34, 20, 18, 56
RIBBONS = 10
"""Matched regions that are linked in the drawing without script: the longest ones."""

_DENSE = 0.5
"""A region that fills at least this share of its extent is linked as a whole; of any other, its longest segment."""

Paint = Cause | Literal["several", ""]
"""The cause of a segment; `several` for merged ones of more than one row, empty for nothing."""


class Style(msgspec.Struct, frozen=True):
    """How a cause is painted: a color of the page, its value on paper, and stripes for the second cause of a color."""

    color: str
    fill: str
    hatched: bool = False


# Blue and orange are not among them: on this page they say that something saves or costs time.
_VIOLET, _GREEN, _OLIVE, _ROSE, _TEAL = (
    ("violet", "#6b3fc4"),
    ("ok", "#17772f"),
    ("warn", "#7a5200"),
    ("rose", "#ad1f6b"),
    ("teal", "#0b6b7a"),
)
_RED, _INK, _LIGHT, _GRAY = ("bad", "#b42318"), ("ink", "#1b1f24"), ("line", "#d5dbe1"), ("total", "#57606a")
STYLES: Mapping[Paint, Style] = {
    "kernel": Style(*_VIOLET),
    "fused": Style(*_GREEN),
    "decomposed": Style(*_OLIVE),
    "layout": Style(*_ROSE),
    "fallback": Style(*_RED),
    "cache": Style(*_TEAL),
    "extra_work": Style(*_INK),
    "framework": Style(*_LIGHT),
    "several": Style(*_GRAY),
    "quantize": Style(*_GREEN, hatched=True),
    "shape_arithmetic": Style(*_OLIVE, hatched=True),
    "cast": Style(*_ROSE, hatched=True),
    "memcpy": Style(*_RED, hatched=True),
    "page_faults": Style(*_VIOLET, hatched=True),
    "missing_work": Style(*_INK, hatched=True),
    "device_idle": Style(*_LIGHT, hatched=True),
    "unattributed": Style(*_GRAY, hatched=True),
    "profiler_overhead": Style(*_GRAY, hatched=True),
}
SEVERAL = "Several small ones"


class Segment(msgspec.Struct, frozen=True):
    """One segment, placed: from and to in nanoseconds, how it is painted, and its region."""

    start_ns: int
    end_ns: int
    paint: Paint
    region: str


class LaneView(msgspec.Struct, frozen=True, kw_only=True):
    """One lane: its label, its segments, and its bars, one path a cause, in columns and pixels."""

    role: Role
    kind: LaneKind
    label: str
    y: int
    height: int
    segments: tuple[Segment, ...]
    bands: tuple[tuple[Style, str], ...]

    @property
    def bottom(self) -> int:
        """Where the lane ends."""
        return self.y + self.height


class Legend(msgspec.Struct, frozen=True):
    """An entry of the legend: a paint, and what it stands for."""

    title: str
    style: Style


class TimelineView(msgspec.Struct, frozen=True, kw_only=True):
    """The drawing and what goes with it; `walls` are name and wall of each step that is shown."""

    lanes: tuple[LaneView, ...]
    ribbons: tuple[str, ...]
    ticks: tuple[tuple[str, int], ...]
    axis_y: int
    legend: tuple[Legend, ...]
    walls: tuple[tuple[str, int], ...]
    merged: bool
    lanes_more: int

    @property
    def hatches(self) -> tuple[Style, ...]:
        """The striped paints that occur."""
        return tuple(entry.style for entry in self.legend if entry.style.hatched)


def timeline_of(document: Document) -> TimelineView | None:
    """The timelines of a document as a drawing; None where no step was kept segment by segment."""
    shown = {role: document.timeline[role] for role in ROLES if role in document.timeline}
    if not any(step.lanes for step in shown.values()):
        return None
    names = side_names(document)
    span = max(*(step.wall_ns for step in shown.values()), 1)
    lanes = tuple(place_lanes(document, shown, span))
    total: dict[Paint, int] = {}
    for lane in lanes:
        for segment in lane.segments:
            total[segment.paint] = total.get(segment.paint, 0) + segment.end_ns - segment.start_ns
    return TimelineView(
        lanes=lanes,
        ribbons=tuple(draw_ribbons(lanes, span)),
        ticks=tuple((f"{100 * tick / span:.2f}%", tick) for tick in axis_ticks(0, span)),
        axis_y=lanes[-1].bottom + 4,
        legend=tuple(
            Legend(CAUSES[paint].title if paint in CAUSES else SEVERAL, STYLES[paint])
            for paint in sorted(total, key=lambda p: (-total[p], p))
        ),
        walls=tuple((names[role], step.wall_ns) for role, step in shown.items()),
        merged=any(lane.counts for step in shown.values() for lane in step.lanes),
        lanes_more=sum(step.lanes_more for step in shown.values()),
    )


def place_lanes(document: Document, shown: Mapping[Role, StepTimeline], span: int) -> Iterator[LaneView]:
    """Place the lanes from top to bottom, on an axis of `span` nanoseconds: of two sides the devices face each other."""
    names = side_names(document)
    y = LABEL_HEIGHT
    for number, (role, step) in enumerate(shown.items()):
        for lane in sorted(step.lanes, key=lambda lane: (lane.kind == "host") == bool(number)):
            height = HOST_HEIGHT if lane.kind == "host" else DEVICE_HEIGHT
            segments = tuple(segments_of(lane, document.ledger))
            yield LaneView(
                role=role,
                kind=lane.kind,
                label=f"{names[role]} · {lane.name}",
                y=y,
                height=height,
                segments=segments,
                bands=tuple(draw_bands(segments, span, y, height)),
            )
            y += height + LABEL_HEIGHT
        y += GAP


def segments_of(lane: TimelineLane, ledger: Sequence[LedgerRow]) -> Iterator[Segment]:
    """The segments of a lane, placed."""
    at = 0
    gaps = lane.gaps_ns or (0,) * len(lane.durations_ns)
    for gap, length, place, item in zip(gaps, lane.durations_ns, lane.rows, lane.items, strict=True):
        row = ledger[place] if 0 <= place < len(ledger) else None
        paint: Paint = row.cause if row else "framework" if item < 0 else "several"
        yield Segment(at + gap, at + gap + length, paint, row.region if row else "")
        at += gap + length


def draw_bands(segments: Sequence[Segment], span: int, y: int, height: int) -> Iterator[tuple[Style, str]]:
    """The bars of a lane, one path a paint: each column shows what took most of it, or nothing."""
    taken: list[dict[Paint, float]] = [{} for _ in range(COLUMNS)]
    for segment in segments:
        left, right = COLUMNS * segment.start_ns / span, COLUMNS * segment.end_ns / span
        for column in range(int(left), min(int(right) + 1, COLUMNS)):
            share = min(right, column + 1) - max(left, column)
            taken[column][segment.paint] = taken[column].get(segment.paint, 0.0) + share
    columns: list[Paint] = [
        max(shares, key=shares.__getitem__) if sum(shares.values()) >= _DENSE else "" for shares in taken
    ]
    paths: dict[Paint, list[str]] = {}
    at = 0
    for paint, run in groupby(columns):
        width = sum(1 for _ in run)
        if paint:
            paths.setdefault(paint, []).append(f"M{at} {y}h{width}v{height}h-{width}z")
        at += width
    for paint, bars in paths.items():
        yield STYLES[paint], "".join(bars)


def draw_ribbons(lanes: Sequence[LaneView], span: int) -> Iterator[str]:
    """Links between the two sides, from the last lane of one to the first of the other, for the longest regions."""
    upper = next((lane for lane in reversed(lanes) if lane.role == ROLES[0]), None)
    lower = next((lane for lane in lanes if lane.role == ROLES[1]), None)
    if upper is None or lower is None:
        return
    ours, theirs = region_extents(upper), region_extents(lower)
    both = sorted(
        ours.keys() & theirs.keys(), key=lambda r: (-sum(e - s for s, e in (ours[r], theirs[r])), r)
    )
    for region in both[:RIBBONS]:
        (a, b), (c, d) = (
            tuple(round(COLUMNS * at / span, 1) for at in extent) for extent in (ours[region], theirs[region])
        )
        top, bottom = upper.bottom, lower.y
        middle = (top + bottom) // 2
        yield (
            f"M{a:g} {top}C{a:g} {middle} {c:g} {middle} {c:g} {bottom}"
            f"H{d:g}C{d:g} {middle} {b:g} {middle} {b:g} {top}z"
        )


def region_extents(lane: LaneView) -> dict[str, tuple[int, int]]:
    """From where to where each matched region reaches in a lane; of a scattered one, its longest segment."""
    segments: dict[str, list[Segment]] = {}
    for segment in lane.segments:
        if segment.region and segment.paint != "framework":
            segments.setdefault(segment.region, []).append(segment)
    extents = {}
    for region, its in segments.items():
        start, end = its[0].start_ns, max(segment.end_ns for segment in its)
        if sum(segment.end_ns - segment.start_ns for segment in its) < _DENSE * (end - start):
            longest = max(its, key=lambda segment: segment.end_ns - segment.start_ns)
            start, end = longest.start_ns, longest.end_ns
        extents[region] = (start, end)
    return extents
