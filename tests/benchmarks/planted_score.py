"""What attrib says of a plant, beside what the plant costs. The definitions are in the docstring of `planted.py`."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import msgspec
from plants.edit import PREFIX
from plants.graphs import void_reason
from plants.plant import Plant

from attrib.api import Analysis
from attrib.comparison.conditions import are_apart, states_of
from attrib.comparison.figures import change_of
from attrib.model.document import Finding, LedgerRow
from attrib.model.estimate import Delta, Estimate
from attrib.model.manifest import OPTIMIZED, Role

NOTICEABLE = 0.005
"""Share of the step that a cost must exceed to be asked for: attrib's own margin for what no interval can know."""

TELLING = 0.2
"""Share of the step that innocent rows must have to tell how fast the machine was."""

KNOWN = 0.25
"""Half-width of an interval, of the true or of the attributed cost, as a share of the true cost, up to which an error of
40 % can be told."""

OVERHEAD = "profiler_overhead"


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What a plant costs: plain, interleaved steps with and without it.

    Attributes:
        cost_ns: Planted minus unplanted.
        plain_ns: Every step by block, `baseline` and `variant`.
        launches: The launch of each block.
        parts: How often it was measured, minutes apart.
        caches: States of the machine that its launches met, where known.
    """

    baseline_ns: Estimate
    variant_ns: Estimate
    cost_ns: Delta
    plain_ns: dict[str, tuple[tuple[int, ...], ...]] = {}
    launches: tuple[int, ...] = ()
    parts: int = 1
    caches: tuple[str, ...] = ()

    @property
    def certain(self) -> bool:
        """Whether there is a cost above the noise; a plant that saves time has none."""
        cost = self.cost_ns
        known = cost.high - cost.low <= 2 * KNOWN * cost.median
        return known and cost.low > 0 and cost.median > NOTICEABLE * self.variant_ns.median


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Growth of one cause in one part of the model, nanoseconds on the planted side; right where the plant may cause it."""

    place: str
    cause: str
    right: bool
    growth_ns: Delta


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """The right finding: its figure beyond that of the unplanted report, and its places."""

    finding: str
    figure_ns: int
    raw_rank: int
    rank: int


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """One plant.

    Attributes:
        void: Why nothing was planted; empty where something was.
        step_ns: Plain step of the planted side.
        attributed_ns: Growth of the right rows.
        named: The right finding; None where no right finding failed.
        innocents: Growth blamed on other rows beyond its interval, as a share of the step.
        worst: The other rows that grew most beyond their intervals.
        overhead: Growth of the row `profiler overhead`, which blames nobody, as a share of the step.
        drift: How much slower the same work ran in the planted capture.
        rivals: Ids of the findings before the right one.
        errors: Of every capture of the plant, in order; this is the one in the middle.
        launches: Of the planted capture.
        alike: Whether the truth and the planted capture met a common state of the machine, where both know theirs.
    """

    plant: str
    truth: Truth
    void: str
    step_ns: int
    attributed_ns: Delta
    named: Named | None
    innocents: float
    worst: tuple[Cell, ...]
    overhead: float
    drift: float
    rivals: tuple[str, ...] = ()
    errors: tuple[float, ...] = ()
    launches: int = 0
    alike: bool = True

    @property
    def settled(self) -> bool:
        """Whether the attributed cost is known well enough to be right or wrong."""
        found = self.attributed_ns
        true = self.truth.cost_ns.median / self.truth.variant_ns.median * self.step_ns
        return self.alike and found.high - found.low <= 2 * KNOWN * true

    @property
    def counts(self) -> bool:
        """Whether the plant is there and its cost above the noise."""
        return not self.void and self.truth.certain

    @property
    def figure_error(self) -> float | None:
        """The right finding's figure minus the true cost, as a share of it; None without such a finding."""
        return None if self.named is None else self._relative(self.named.figure_ns)

    @property
    def error(self) -> float:
        """Attributed minus true cost, each as a share of the planted step that it was measured in."""
        return self._relative(self.attributed_ns.median)

    def _relative(self, found_ns: int) -> float:
        true = self.truth.cost_ns.median / self.truth.variant_ns.median
        return found_ns / self.step_ns / true - 1 if true else 0.0


@dataclass(frozen=True, slots=True)
class Pair:
    """The planted and the unplanted report of one plant, and how to compare them."""

    plant: Plant
    planted: Analysis
    unplanted: Analysis

    @property
    def drift(self) -> float:
        """The machine's drift between the captures: by the innocent rows of the planted engine, else by the other one."""
        after, before = (
            _time(a, self.plant.side, self._innocent(a)).median for a in (self.planted, self.unplanted)
        )
        if min(after, before) > TELLING * _median(self.unplanted, self.plant.side):
            return after / before
        other: Role = "torch" if self.plant.side == "onnxruntime" else "onnxruntime"
        if self.plant.factory and self.plant.side == "onnxruntime":
            return 1.0  # planted in the inputs: both engines have it
        return _median(self.planted, other) / _median(self.unplanted, other)

    @property
    def unlike(self) -> bool:
        """Whether no launch of one capture met the machine in a state of the other's, where both know theirs."""
        return are_apart(states_of(self.planted.document), states_of(self.unplanted.document))

    def _innocent(self, analysis: Analysis) -> list[LedgerRow]:
        return [
            row for row in analysis.document.ledger if row.cause != OVERHEAD and not is_right(self.plant, row)
        ]

    def growth(self, chosen: Callable[[LedgerRow], bool]) -> Delta:
        """Time of the chosen rows on the planted side, beyond that of the same rows in the unplanted report."""
        after = _time(self.planted, self.plant.side, filter(chosen, self.planted.document.ledger))
        before = _time(self.unplanted, self.plant.side, filter(chosen, self.unplanted.document.ledger))
        median, low, high = (round(self.drift * part) for part in (before.median, before.low, before.high))
        return change_of(Delta(median=median, low=low, high=high), after)


def score(pair: Pair, truth: Truth) -> Score:
    """Compare what attrib says with what the plant costs."""
    plant, step = pair.plant, _median(pair.planted, pair.plant.side)
    cells = [cell for cell in cells_of(pair) if not cell.right]
    named, rivals = _named(pair)
    return Score(
        plant=plant.name,
        truth=truth,
        void=_void(pair),
        step_ns=step,
        attributed_ns=pair.growth(lambda row: is_right(plant, row)),
        named=named,
        innocents=sum(_beyond(cell.growth_ns) for cell in cells) / step,
        worst=tuple(sorted(cells, key=lambda cell: -_beyond(cell.growth_ns))[:3]),
        overhead=pair.growth(lambda row: row.cause == OVERHEAD).median / step,
        drift=pair.drift,
        rivals=rivals,
        launches=pair.planted.ledger_rows.sampling.launches,
        alike=not are_apart(states_of(pair.planted.document), truth.caches),
    )


def is_right(plant: Plant, row: LedgerRow) -> bool:
    """Whether the plant's time may be in this row."""
    inside = any(
        not module or row.module == module or row.module.startswith(f"{module}.") for module in plant.where
    )
    return inside and row.cause in plant.causes


def strays(pair: Pair) -> tuple[str, ...]:
    """Planted nodes that the planted report counts in other rows than the right ones, each with its row."""
    wrong = [row for row in pair.planted.document.ledger if not is_right(pair.plant, row)]
    return tuple(f"{node} in {row.id}" for row in wrong for node in row.onnx_nodes if PREFIX in node)


def place_of(row: LedgerRow) -> str:
    """The part of the model that a row is in: a layer's attention or feed-forward half, or a part of its own."""
    parts = row.module.split(".")
    return ".".join(parts[:4]) if parts[0] == "encoder" else parts[0] or row.region


def cells_of(pair: Pair) -> list[Cell]:
    """Growth by place and cause, right rows apart from others; the row `profiler overhead` is left out."""
    keys = {
        (place_of(row), row.cause, is_right(pair.plant, row))
        for analysis in (pair.planted, pair.unplanted)
        for row in analysis.document.ledger
        if row.cause != OVERHEAD
    }
    return [
        Cell(
            place=place,
            cause=cause,
            right=right,
            growth_ns=pair.growth(partial(_is_in, pair.plant, (place, cause, right))),
        )
        for place, cause, right in sorted(keys)
    ]


def _is_in(plant: Plant, key: tuple[str, str, bool], row: LedgerRow) -> bool:
    return (place_of(row), row.cause, is_right(plant, row)) == key


def _void(pair: Pair) -> str:
    graphs = [analysis.directory.root / OPTIMIZED for analysis in (pair.planted, pair.unplanted)]
    return void_reason(pair.plant, *graphs) if all(graph.is_file() for graph in graphs) else ""


def _beyond(growth: Delta) -> int:
    """How far an interval is from 0."""
    return max(growth.low, -growth.high, 0)


def _time(analysis: Analysis, side: Role, rows: Iterable[LedgerRow]) -> Delta:
    chosen = list(rows)
    overhead = [row for row in chosen if row.cause == OVERHEAD]
    if overhead:  # no single segment, so that only the row's own figure is known
        value = sum(row.torch_ns if side == "torch" else row.onnxruntime_ns for row in overhead)
        return Delta(median=value, low=value, high=value)
    work = [w for row in chosen for w in (row.torch_calls if side == "torch" else row.onnx_nodes)]
    parts = [row.region for row in chosen if row.cause == "framework"]
    # The drift between the captures is taken out by the innocent rows.
    return analysis.ledger_rows.work(side, [*work, *parts], drift=False)


def _median(analysis: Analysis, role: Role) -> int:
    latency = analysis.document.latency
    estimate = latency.torch_ns if role == "torch" else latency.onnxruntime_ns
    if estimate is None:
        raise ValueError(f"{role} was not measured")
    return estimate.median


def _named(pair: Pair) -> tuple[Named | None, tuple[str, ...]]:
    """The first right finding and the ids of those whose figures grew more than its own."""
    failed = _with_figure(pair.planted, pair.plant)
    before = {finding.id: _figure(finding) for finding in _with_figure(pair.unplanted, pair.plant)}
    growth = {f.id: _figure(f) - round(before.get(f.id, 0) * pair.drift) for f in failed}
    grew = [f.id for f in failed if f.id in pair.plant.findings and (f.id not in before or growth[f.id] > 0)]
    right = max(grew, key=lambda name: growth[name], default=None)
    blaming = {f.id for f in failed if _blames(f) in (pair.plant.side, None)}
    grown = tuple(
        sorted((name for name in blaming if growth[name] > 0), key=lambda name: (-growth[name], name))
    )
    if right is None:
        return None, grown
    rivals = tuple(name for name in grown if growth[name] > growth[right] and name not in pair.plant.findings)
    raw_rank = [finding.id for finding in failed].index(right) + 1
    named = Named(finding=right, figure_ns=growth[right], raw_rank=raw_rank, rank=len(rivals) + 1)
    return named, rivals


def _blames(finding: Finding) -> Role | None:
    """The engine whose time a finding explains; None where it has no figure."""
    sign = finding.saving_ns or finding.explains_ns
    return "onnxruntime" if sign > 0 else "torch" if sign < 0 else None


def _with_figure(analysis: Analysis, plant: Plant) -> list[Finding]:
    """Failed findings about speed in the report's order; the right ones count with or without a figure."""
    failed = [finding for finding in analysis.document.findings if finding.state == "failed"]
    return [finding for finding in failed if _figure(finding) or finding.id in plant.findings]


def _figure(finding: Finding) -> int:
    return finding.saving_ns or abs(finding.explains_ns)
