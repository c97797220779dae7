"""Which location of a side's steps survives blocks that are disturbed without evidence: bias and coverage on recordings.

A third of the blocks of every launch and side is replaced by noisy ones. Their steps are the launch's own median times
factors: of recorded disturbed blocks (their steps over the median of the undisturbed ones of their launch), or, where none
was recorded, factors that are drawn: a block slower by 5 % up to 3 times, its steps a tenth around that.
"""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.analysis.attribution.ledger.headline import ESTIMATORS, Blocks, Location, headline
from attrib.model.estimate import Delta
from attrib.model.latency import LatencyTable
from attrib.model.manifest import ROLES, Role

Floats = npt.NDArray[np.float64]

REPLACED = 1 / 3
REPEATS = 5
"""How often the blocks to replace are drawn anew for every capture."""

DRAWN_FACTORS, DRAWN_SPREAD, DRAWN_STEPS = (1.05, 3.0), 0.1, 20
_DRAWN_BLOCKS = 200

HEADER = """\
| steps of | location | held | half width | with a third noisy: bias, median | bias, worst | held | half width |
|---|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True)
class Timed:
    """The plain steps of one capture that count, by side and round, and the launch of each round."""

    plain: Mapping[Role, Blocks]
    launches: Mapping[int, int]

    def rounds(self, role: Role, launch: int) -> list[int]:
        """Rounds of one launch in which a side ran."""
        return [number for number in self.plain[role] if self.launches.get(number, 0) == launch]

    def middle(self, role: Role, launch: int) -> float:
        """Median of all of a side's steps in one launch, nanoseconds."""
        return float(np.median(np.concatenate([self.plain[role][n] for n in self.rounds(role, launch)])))


def timed(table: LatencyTable) -> Timed:
    """The plain steps of a table that count."""
    return Timed({role: table.blocks(role, "plain") for role in ROLES}, table.launches())


def disturbed_factors(table: LatencyTable) -> list[Floats]:
    """Steps of each disturbed plain block over the median of its side's undisturbed ones in the same launch."""
    blocks = table.every_block("plain")
    found = []
    for block in blocks:
        if block.disturbed:
            quiet = [
                wall
                for other in blocks
                if (other.role, other.launch) == (block.role, block.launch) and not other.disturbed
                for wall in other.walls_ns
            ]
            if quiet:
                found.append(np.array(block.walls_ns) / statistics.median(quiet))
    return found


def drawn_factors(rng: np.random.Generator) -> list[Floats]:
    """Factors for where no disturbed block was recorded."""
    low, high = np.log(DRAWN_FACTORS)
    slower = np.exp(rng.uniform(low, high, _DRAWN_BLOCKS))
    return [np.maximum(1.0, rng.normal(factor, DRAWN_SPREAD * factor, DRAWN_STEPS)) for factor in slower]


def with_noise(its: Timed, factors: Sequence[Floats], rng: np.random.Generator) -> Timed:
    """The same capture with a third of the blocks of every launch and side replaced; at least one."""
    noisy: dict[Role, Blocks] = {}
    for role in its.plain:
        replaced = dict(its.plain[role])
        for launch in sorted({its.launches.get(number, 0) for number in replaced}):
            numbers, middle = its.rounds(role, launch), its.middle(role, launch)
            for number in rng.choice(numbers, max(1, round(REPLACED * len(numbers))), replace=False).tolist():
                pattern = rng.choice(factors[rng.integers(len(factors))], len(replaced[number]))
                replaced[number] = np.rint(middle * pattern).astype(np.int64)
        noisy[role] = replaced
    return Timed(noisy, its.launches)


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One location on the captures of one group.

    Attributes:
        location: Its name.
        held: Share of the captures whose interval holds the median of all captures' estimates by this location.
        half_width: Median half width of those intervals, as a share of the slower step.
        bias: Differences of noisy captures less that of the same capture without noise, as shares of the slower step.
        noisy_held: Share of the noisy captures whose interval holds the median of the captures without noise.
        noisy_half_width: Median half width of theirs.
    """

    location: str
    held: float
    half_width: float
    bias: tuple[float, ...]
    noisy_held: float
    noisy_half_width: float


def compare(captures: Sequence[Timed], factors: Sequence[Floats], *, seed: int = 0) -> list[Comparison]:
    """Every location on the same captures and the same noise."""
    rng = np.random.default_rng(seed)
    noisy = [(i, with_noise(its, factors, rng)) for i, its in enumerate(captures) for _ in range(REPEATS)]
    return [_compared(name, captures, noisy) for name in ESTIMATORS]


def _compared(name: Location, captures: Sequence[Timed], noisy: Sequence[tuple[int, Timed]]) -> Comparison:
    clean = [_difference(its, name) for its in captures]
    truth = statistics.median(delta.median for delta, _ in clean)
    found = [(i, _difference(its, name)[0], clean[i][1]) for i, its in noisy]
    return Comparison(
        location=name,
        held=_share(delta.low <= truth <= delta.high for delta, _ in clean),
        half_width=statistics.median((delta.high - delta.low) / 2 / step for delta, step in clean),
        bias=tuple((delta.median - clean[i][0].median) / step for i, delta, step in found),
        noisy_held=_share(delta.low <= truth <= delta.high for _, delta, _ in found),
        noisy_half_width=statistics.median((delta.high - delta.low) / 2 / step for _, delta, step in found),
    )


def _difference(its: Timed, name: Location) -> tuple[Delta, int]:
    """The difference by one location, and the slower step."""
    latency = headline(its.plain, its.launches, estimator=name).latency
    torch, ort, delta = latency.torch_ns, latency.onnxruntime_ns, latency.delta_ns
    if torch is None or ort is None or delta is None:
        raise ValueError("a capture lacks the plain steps of a side")
    return delta, max(torch.median, ort.median)


def _share(held: Iterable[bool]) -> float:
    return statistics.fmean(map(float, held))


def table(found: Mapping[str, Sequence[Comparison]]) -> str:
    """One row a group and location."""
    return "\n".join([HEADER, *(_row(group, its) for group, all_its in found.items() for its in all_its)])


def _row(group: str, its: Comparison) -> str:
    worst = max(its.bias, key=abs)
    shown = [
        group,
        its.location,
        f"{its.held:.0%}",
        f"{its.half_width:.1%}",
        f"{statistics.median(its.bias):+.1%}",
        f"{worst:+.1%}",
        f"{its.noisy_held:.0%}",
        f"{its.noisy_half_width:.1%}",
    ]
    return f"| {' | '.join(shown)} |"
