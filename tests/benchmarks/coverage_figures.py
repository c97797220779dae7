"""What captures of one thing say, and in how many of them the interval holds the median of those like it.

A machine may change from one minute to the next (`attrib.analysis.attribution.judgement.APART`), and a capture names its
state. A capture of one state is compared with the median of the captures of that state, one that met both with the
median of all: it says that it met both, and its launches differ by that.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
from captures import MANIFEST, REMAINDERS

from attrib.analysis.attribution.ledger.headline import headline
from attrib.analysis.pipeline import analyze
from attrib.model.document import Document
from attrib.model.latency import LatencyTable
from attrib.model.manifest import ROLES
from attrib.traces.directory.trace_directory import TraceDirectory, open_directory

DIFFERENCE, RATIO = "difference", "ratio"
LARGEST = 5
"""How many causes are asked for, beside the difference."""

MUST_POOLED, MUST_CELL = 0.9, 0.8
"""Share of intervals that must hold it: of all together, and of the captures of one cell (16 of 20)."""

HEADER = """\
| captures of | quantity | median of those alike | held, this method | held, one launch | half width, median | one launch |
|---|---|---|---|---|---|---|"""


class Interval(msgspec.Struct, frozen=True):
    """One figure of one report with its 95 % interval: nanoseconds, or a ratio."""

    estimate: float
    low: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies in it."""
        return self.low <= value <= self.high


class Reading(dict[str, Interval]):
    """The figures of one capture by quantity, and the states of the machine that it met."""

    state: str = ""


ABSENT = Interval(0.0, 0.0, 0.0)
"""A cause that a report does not have: it says that there is nothing of it."""


def reading(document: Document) -> Reading:
    """The difference, the ratio and the causes of one report.

    Raises:
        ValueError: It has no difference.
    """
    latency, found = document.latency, Reading()
    met_states = {launch.caches for launch in document.state.launches} if document.state else set()
    found.state = met_states.pop() if len(met_states) == 1 else "both" if met_states else ""
    if latency.delta_ns is None:
        raise ValueError("the report has no difference")
    found[DIFFERENCE] = Interval(latency.delta_ns.median, latency.delta_ns.low, latency.delta_ns.high)
    if latency.ratio:
        found[RATIO] = Interval(latency.ratio.value, latency.ratio.low, latency.ratio.high)
    for row in document.causes:
        if row.cause not in REMAINDERS:
            found[row.cause] = Interval(row.delta_ns, row.low_ns, row.high_ns)
    return found


class AsOneLaunch(TraceDirectory):
    """A trace directory as it was read before there were launches and evidence."""

    __slots__ = ()

    def latency(self) -> LatencyTable | None:
        """Every timed step, of one launch and undisturbed."""
        table = super().latency()
        return None if table is None else as_one_launch(table)


def as_one_launch(table: LatencyTable) -> LatencyTable:
    """The same steps with no evidence, all of one launch, in which the first attempt at each block counts.

    Of several attempts without evidence a table takes the last one, so they are numbered backwards.
    """
    attempts = table.column("attempt")
    last = attempts.max() if len(attempts) else 0
    return LatencyTable(
        engine=table.engine,
        phase=table.phase,
        block=table.block,
        iteration=table.iteration,
        start_ns=table.start_ns,
        wall_ns=table.wall_ns,
        more={"attempt": last - attempts},
    )


def read_both(folder: Path) -> tuple[Reading, Reading]:
    """What a capture says by this method, and by the one before: rounds of one launch, resampled; medians of all steps."""
    directory = open_directory(folder)
    before = AsOneLaunch(root=directory.root, manifest=directory.manifest, missing=directory.missing)
    table = before.latency()
    if table is None:
        raise ValueError(f"{folder.name} holds no timed steps")
    plain = headline({role: table.blocks(role, "plain") for role in ROLES}, {}, estimator="median").latency
    document = msgspec.structs.replace(analyze(before).document, latency=plain)
    return reading(analyze(directory).document), reading(document)


def captures_in(folder: Path) -> dict[str, list[Path]]:
    """The whole captures of a folder, by group: configuration and condition."""
    found: dict[str, list[Path]] = {}
    for file in sorted(folder.glob(f"*/*/{MANIFEST}")):
        if not file.parent.name.endswith(".partial"):
            found.setdefault(file.parent.parent.name, []).append(file.parent)
    return found


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One quantity of one group.

    Attributes:
        group: Configuration and condition.
        quantity: The difference, the ratio or a cause.
        captures: How many there are.
        states: How many captures met each state of the machine.
        truths: The median of the estimates of the captures that are compared, by state.
        held: In how many captures the interval holds it.
        before: The same by the method before, which knows no states, and whose estimates have a median of their own.
        half_widths: Median half width of the intervals of either.
        pooled: It counts toward the pooled share. The ratio does not: it says the same as the difference.
    """

    group: str
    quantity: str
    captures: int
    states: dict[str, int]
    truths: dict[str, float]
    held: int
    before: int
    half_widths: tuple[float, float]
    pooled: bool

    @property
    def fails(self) -> bool:
        """Whether too few captures hold it."""
        return self.held < MUST_CELL * self.captures


def cells(group: str, ours: Sequence[Reading], before: Sequence[Reading]) -> list[Cell]:
    """The difference, the ratio and the largest causes of one group; largest by the median over its captures."""
    named = {name for its in ours for name in its} - {DIFFERENCE, RATIO}
    causes = sorted(named, key=lambda name: (-abs(_median(ours, name)), name))[:LARGEST]
    known = [name for name in (DIFFERENCE, RATIO) if any(name in its for its in ours)]
    states = dict(sorted(Counter(its.state for its in ours).items()))
    return [
        Cell(
            group=group,
            quantity=name,
            captures=len(ours),
            states=states,
            truths={state: _median(_like(ours, state), name) for state in states},
            held=_held(ours, name),
            before=_held(before, name),
            half_widths=(_half_width(ours, name), _half_width(before, name)),
            pooled=name != RATIO,
        )
        for name in (*known, *causes)
    ]


def _like(readings: Sequence[Reading], state: str) -> list[Reading]:
    """The captures with whose median one of this state is compared."""
    return [its for its in readings if its.state == state] if state in ("shared", "apart") else list(readings)


def _of(readings: Sequence[Reading], name: str) -> list[Interval]:
    return [its.get(name, ABSENT) for its in readings]


def _median(readings: Sequence[Reading], name: str) -> float:
    return statistics.median(found.estimate for found in _of(readings, name))


def _held(readings: Sequence[Reading], name: str) -> int:
    truths = {state: _median(_like(readings, state), name) for state in {its.state for its in readings}}
    return sum(its.get(name, ABSENT).holds(truths[its.state]) for its in readings)


def _half_width(readings: Sequence[Reading], name: str) -> float:
    return statistics.median((found.high - found.low) / 2 for found in _of(readings, name))


def pooled_share(found: Sequence[Cell], *, before: bool = False) -> float:
    """In which share of captures and quantities the interval holds the median of all."""
    counted = [cell for cell in found if cell.pooled]
    held = sum(cell.before if before else cell.held for cell in counted)
    return held / sum(cell.captures for cell in counted)


def table(found: Sequence[Cell]) -> str:
    """One row a cell, then the pooled shares and the cells that hold too little."""
    share, earlier = pooled_share(found), pooled_share(found, before=True)
    reached = f"at least {MUST_POOLED:.0%}: {'yes' if share >= MUST_POOLED else 'NO'}"
    failing = [f"{c.group} {c.quantity} ({c.held} of {c.captures})" for c in found if c.fails and c.pooled]
    lines = [
        f"- pooled over difference and causes: {share:.1%} ({reached}); as one launch: {earlier:.1%}",
        f"- below {MUST_CELL:.0%} of the captures: {', '.join(failing) or 'none'}",
    ]
    return "\n".join([HEADER, *map(_row, found), "", *lines])


def met(found: Sequence[Cell]) -> bool:
    """Whether all that is asked holds."""
    return pooled_share(found) >= MUST_POOLED and not any(cell.fails for cell in found if cell.pooled)


def _row(cell: Cell) -> str:
    show = (
        (lambda value: f"{value:.3f}") if cell.quantity == RATIO else (lambda value: f"{value / 1e6:.2f} ms")
    )
    shown = [
        cell.group,
        cell.quantity,
        ", ".join(
            f"{show(value)}{f' ({cell.states[state]} {state})' if state else ''}"
            for state, value in cell.truths.items()
        ),
        f"{cell.held} of {cell.captures}",
        f"{cell.before} of {cell.captures}",
        *map(show, cell.half_widths),
    ]
    return f"| {' | '.join(shown)} |"
