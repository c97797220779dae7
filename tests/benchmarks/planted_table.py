"""The benchmark's tables, in Markdown."""

import statistics
from collections.abc import Sequence

import msgspec
from planted_score import Cell, Named, Score
from plants.plant import Plant

from attrib.model.estimate import Delta

HEADER = (
    "| planted | where | side | true cost, ms | of the step | attributed, ms | launches | error"
    " | right finding | its figure, ms | rank (raw) | innocents |\n|---|---|---|---|---|---|---|---|---|---|---|---|"
)
AA_HEADER = "| engine | captures | headline off by | failed findings with a saving |\n|---|---|---|---|"


class Overall(msgspec.Struct, frozen=True, kw_only=True):
    """All plants whose cost is above the noise.

    Attributes:
        settled: How many of them have an attributed cost that is known well enough; errors are of these only.
        top_1: Share of all of them whose right finding is ranked first.
        top_3: The same for the first three places.
        median_error: Median of the absolute relative errors of the attributed cost.
        worst_error: The largest of them.
        median_capture_error, worst_capture_error: The same over every single capture.
        median_figure_error: Median of those of the right finding's figure, where there is one.
        median_innocents: Median share of the step blamed on the innocent.
        worst_innocents: The largest of them.
    """

    plants: int
    settled: int
    top_1: float
    top_3: float
    median_error: float
    worst_error: float
    median_capture_error: float
    worst_capture_error: float
    median_figure_error: float
    median_innocents: float
    worst_innocents: float


def overall(scores: Sequence[Score]) -> Overall | None:
    """The figures over all plants above the noise; None where there are none."""
    counted = [score for score in scores if score.counts]
    if not counted:
        return None
    ranks = [score.named.rank if score.named else None for score in counted]
    settled = [score for score in counted if score.settled]
    errors = [abs(score.error) for score in settled]
    captures = [abs(error) for score in settled for error in score.errors or (score.error,)]
    figures = [abs(error) for s in settled if (error := s.figure_error) is not None]
    innocents = [score.innocents for score in counted]
    return Overall(
        plants=len(counted),
        settled=len(settled),
        top_1=sum(rank == 1 for rank in ranks) / len(ranks),
        top_3=sum(rank is not None and rank <= 3 for rank in ranks) / len(ranks),
        median_error=statistics.median(errors) if settled else 1.0,
        worst_error=max(errors, default=1.0),
        median_capture_error=statistics.median(captures) if settled else 1.0,
        worst_capture_error=max(captures, default=1.0),
        median_figure_error=statistics.median(figures) if figures else 1.0,
        median_innocents=statistics.median(innocents),
        worst_innocents=max(innocents),
    )


def table(rows: Sequence[tuple[Plant, Score]]) -> str:
    """One line a plant, then the figures over all."""
    lines = [HEADER, *(_line(plant, score) for plant, score in rows)]
    found = overall([score for _, score in rows])
    return "\n".join([*lines, "", *(_summary(found) if found else ["no plant is above the noise"])])


def _line(plant: Plant, score: Score) -> str:
    cost = score.truth.cost_ns
    shown = [
        plant.kind,
        plant.place,
        "PyTorch" if plant.side == "torch" else "ORT",
        _interval(cost),
        f"{cost.median / score.truth.variant_ns.median:+.1%}",
        _interval(score.attributed_ns),
        str(score.launches),
        _error(score),
        score.named.finding if score.named else "none",
        _ms(score.named.figure_ns) if score.named else "",
        f"{score.named.rank} ({score.named.raw_rank})" if score.named else "",
        f"{score.innocents:.1%}",
    ]
    return f"| {' | '.join(shown)} |"


def _error(score: Score) -> str:
    if score.counts:
        return f"{score.error:+.0%}" if score.settled else "not settled"
    if score.void:
        return "void"
    return "a gain" if score.truth.cost_ns.high < 0 else "in the noise"


def _summary(found: Overall) -> list[str]:
    return [
        f"{found.plants} plants above the noise, of {found.settled} the attributed cost is settled",
        f"right finding first: {found.top_1:.0%}; in the first three: {found.top_3:.0%}",
        f"error of the attributed cost: median {found.median_error:.0%}, worst {found.worst_error:.0%}",
        f"the same in single captures: median {found.median_capture_error:.0%}, worst {found.worst_capture_error:.0%}",
        f"error of the right finding's figure: median {found.median_figure_error:.0%}",
        f"blamed on the innocent: median {found.median_innocents:.1%} of the step, worst {found.worst_innocents:.1%}",
    ]


def details(plant: Plant, score: Score, cells: Sequence[Cell], strays: Sequence[str]) -> str:
    """Why a plant scores as it does: what is counted elsewhere, and the growth of every cell, the right ones marked."""
    lines = [
        f"{plant.name}: {plant.kind}, {plant.place}" + (f" (void: {score.void})" if score.void else ""),
        f"true cost {_interval(score.truth.cost_ns)} ms; attributed {_interval(score.attributed_ns)} ms",
        f"profiler overhead {score.overhead:+.1%} of the step; drift {score.drift - 1:+.1%}",
        _named(score.named) + f"; before it: {', '.join(score.rivals) or 'none'}",
    ]
    lines += [f"  planted, but counted elsewhere: {stray}" for stray in strays]
    for cell in sorted(cells, key=lambda cell: -abs(cell.growth_ns.median)):
        mark = "right" if cell.right else "     "
        lines.append(f"  {mark} {_interval(cell.growth_ns):>26}  {cell.cause:18} {cell.place}")
    return "\n".join(lines)


def _named(named: Named | None) -> str:
    if named is None:
        return "no right finding"
    return f"{named.finding} {_ms(named.figure_ns)} ms, rank {named.rank} (raw {named.raw_rank})"


def aa_table(rows: Sequence[tuple[str, Sequence[float], Sequence[str]]]) -> str:
    """A/A captures by engine: shares by which the headline is off, and what was found."""
    lines = [
        f"| {engine} | {len(shares)} | median {statistics.median(map(abs, shares)):.1%},"
        f" most {max(map(abs, shares)):.1%} | {', '.join(found) or 'none'} |"
        for engine, shares, found in rows
    ]
    return "\n".join([AA_HEADER, *lines])


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.2f}"


def _interval(delta: Delta) -> str:
    return f"{_ms(delta.median)} [{_ms(delta.low)}, {_ms(delta.high)}]"
