"""Every timed plain step in order of time: the eye judges the measurement before it believes the figures."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

import msgspec

from attrib.model.disturbance import REASONS
from attrib.model.document import Document, PlainBlock
from attrib.model.manifest import ROLES, Role
from attrib.report.view.axis import axis_ticks, log_ticks
from attrib.report.view.verdict import side_names
from attrib.units import unit_for
from attrib.wording import counted

MOST_MARKS = 1500
"""Steps that are drawn: of every block the fastest and the slowest, and some between."""

_TENFOLD = 10
"""Slowest over fastest step from which a linear axis would flatten the rest."""

_HEADROOM = 1.06


class Mark(msgspec.Struct, frozen=True):
    """One step: where it is in time (0 to 1) and on the axis (0 at its lower end, 1 at its upper)."""

    x: float
    y: float


class Shade(msgspec.Struct, frozen=True):
    """A disturbed block: from where to where in time (0 to 1), and why."""

    start: float
    end: float
    title: str


class Cloud(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of one side: those that count, and those that do not."""

    role: Role
    name: str
    counted: tuple[Mark, ...]
    left_out: tuple[Mark, ...]


class Strip(msgspec.Struct, frozen=True, kw_only=True):
    """The strip: two clouds of marks, shaded blocks, where the engines were started anew, and ticks with their text."""

    clouds: tuple[Cloud, ...]
    shades: tuple[Shade, ...]
    starts: tuple[float, ...]
    ticks: tuple[tuple[float, str], ...]
    caption: str


def strip_of(document: Document) -> Strip | None:
    """Place every plain step, or at most `MOST_MARKS` of them; None where none was recorded."""
    blocks = [block for block in document.plain_blocks or _older_blocks(document) if block.walls_ns]
    walls = [ns for block in blocks for ns in block.walls_ns]
    if not walls:
        return None
    logarithmic = max(walls) >= _TENFOLD * max(min(walls), 1)
    place, ticks = _logarithmic(min(walls), max(walls)) if logarithmic else _linear(max(walls))
    # A round is a slot in time: its two blocks lie in it side by side, and a repeated round has a slot of its own.
    slots = [list(group) for _, group in groupby(blocks, key=lambda b: (b.launch, b.number, b.attempt))]
    slots = slots[:: -(-len(blocks) // MOST_MARKS)]
    quota = MOST_MARKS // sum(map(len, slots)) if len(walls) > MOST_MARKS else 0
    marks: dict[tuple[Role, bool], list[Mark]] = {}
    shades = []
    for number, slot in enumerate(slots):
        for part, block in enumerate(slot):
            start, end = ((number + (part + side) / len(slot)) / len(slots) for side in (0, 1))
            shown = _picked(block.walls_ns, quota) if quota else block.walls_ns
            marks.setdefault((block.role, block.counted), []).extend(
                Mark(start + (end - start) * (0.5 + at) / len(shown), place(ns))
                for at, ns in enumerate(shown)
            )
            if block.disturbed:
                shades.append(Shade(start, end, _why(document, block)))
    drawn = [slots[0][0].launch, *(slot[0].launch for slot in slots)]
    names = side_names(document)
    return Strip(
        clouds=tuple(
            Cloud(
                role=role,
                name=names[role],
                counted=tuple(marks.get((role, True), ())),
                left_out=tuple(marks.get((role, False), ())),
            )
            for role in ROLES
            if (role, True) in marks or (role, False) in marks
        ),
        shades=tuple(shades),
        starts=tuple(at / len(slots) for at, (a, b) in enumerate(pairwise(drawn)) if a != b),
        ticks=ticks,
        caption=_caption(blocks, drawn=sum(map(len, marks.values())), logarithmic=logarithmic),
    )


def _older_blocks(document: Document) -> list[PlainBlock]:
    """The blocks of a report that holds only steps that count, round by round."""
    rounds = max((len(blocks) for blocks in document.plain_ns.values()), default=0)
    return [
        PlainBlock(role=role, number=number, walls_ns=document.plain_ns[role][number])
        for number in range(rounds)
        for role in ROLES
        if number < len(document.plain_ns.get(role, ()))
    ]


def _picked(walls: Sequence[int], quota: int) -> list[int]:
    """At most `quota` steps of a block in order of time, the slowest and the fastest among them."""
    if len(walls) <= quota:
        return list(walls)
    slowest = walls.index(max(walls))
    kept = {slowest} if quota == 1 else {slowest, walls.index(min(walls))}
    spread = (len(walls) * n // quota for n in range(quota))
    for place in spread:
        if len(kept) < quota:
            kept.add(place)
    return [walls[place] for place in sorted(kept)]


def _linear(high: int) -> tuple[Callable[[int], float], tuple[tuple[float, str], ...]]:
    """An axis from 0, so that heights can be compared."""
    top = max(high * _HEADROOM, 1)
    return (lambda ns: max(ns, 0) / top), _labeled(
        axis_ticks(0, max(round(top), 1)), lambda ns: ns / top, high
    )


def _logarithmic(low: int, high: int) -> tuple[Callable[[int], float], tuple[tuple[float, str], ...]]:
    """An axis on which equal factors are equally far: a few slow steps do not flatten the rest."""
    bottom, top = math.log(max(low, 1) / _HEADROOM), math.log(max(high, 1) * _HEADROOM)

    def place(ns: int) -> float:
        return (math.log(max(ns, 1)) - bottom) / (top - bottom)

    return place, _labeled(log_ticks(max(low, 1), high), place, 0)


def _labeled(
    ticks: Sequence[int], place: Callable[[int], float], largest: int
) -> tuple[tuple[float, str], ...]:
    """Ticks with their text: one unit on a linear axis, where the largest is known, else the unit of each."""

    def text(ns: int) -> str:
        unit = unit_for(largest or ns)
        return f"{ns / unit.size:g} {unit.symbol}" if ns else "0"

    return tuple((place(tick), text(tick)) for tick in ticks)


def _why(document: Document, block: PlainBlock) -> str:
    reasons = ", ".join(REASONS.get(key, key) for key in block.disturbed)
    again = f", attempt {block.attempt + 1}" if block.attempt else ""
    left_out = "" if block.counted else " Left out."
    return f"Round {block.number + 1}{again}, {side_names(document)[block.role]}: {reasons}.{left_out}"


def _caption(blocks: Sequence[PlainBlock], *, drawn: int, logarithmic: bool) -> str:
    """What the strip shows, and only of what is on it."""
    steps = sum(len(block.walls_ns) for block in blocks)
    rounds = len({(block.launch, block.number) for block in blocks})
    disturbed = [block for block in blocks if block.disturbed]
    left_out = [block for block in blocks if not block.counted]
    parts = [f"Every timed step of {counted(rounds, 'round')}, in order of time."]
    if drawn != steps:
        few = "in order of time: of each block drawn the slowest, the fastest and some between."
        parts = [f"{drawn:,} of the {steps:,} timed steps of {counted(rounds, 'round')}, {few}"]
    if disturbed:
        parts.append(f"Shaded: disturbed ({len(disturbed):,} of {counted(len(blocks), 'block')}).")
    if left_out:
        parts.append("Hollow: left out, with the other side of the same attempt.")
    elif disturbed:
        parts.append("They count: too few were quiet.")
    if len({block.launch for block in blocks}) > 1:
        parts.append("Thin lines: the engines were started anew.")
    if logarithmic:
        parts.append("Logarithmic axis.")
    return " ".join(parts)
