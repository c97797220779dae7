"""The headline: one location of the plain steps of each side and launch, their difference and ratio, with intervals."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from attrib.analysis.attribution.ledger.sampling import Floats, Int64s, Sampling, sampling_of
from attrib.model.document import Latency
from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.model.manifest import Role

Blocks = Mapping[int, Int64s]
"""Wall times of plain steps by block number; blocks of two sides that share a number were measured in one round."""


# Estimators of location. Each takes tables `[..., blocks, steps]` whose short blocks are filled with NaN, and gives `[...]`.


def median_of_steps(tables: Floats) -> Floats:
    """Median of all steps."""
    return np.asarray(np.nanmedian(tables.reshape(*tables.shape[:-2], -1), axis=-1))


def median_of_blocks(tables: Floats) -> Floats:
    """Median of the medians of blocks."""
    return np.asarray(np.median(np.nanmedian(tables, axis=-1), axis=-1))


def hodges_lehmann(tables: Floats) -> Floats:
    """Median of the means of all pairs of block medians, each with itself too (Hodges and Lehmann 1963)."""
    blocks = np.nanmedian(tables, axis=-1)
    first, second = np.triu_indices(blocks.shape[-1])
    return np.asarray(np.median((blocks[..., first] + blocks[..., second]) / 2, axis=-1))


def lower_quartile(tables: Floats) -> Floats:
    """Lower quartile of the medians of blocks: what disturbs a block never makes it faster."""
    return np.asarray(np.quantile(np.nanmedian(tables, axis=-1), 0.25, axis=-1))


Location = Literal["median", "median-of-blocks", "hodges-lehmann", "lower-quartile"]

ESTIMATORS: dict[Location, Callable[[Floats], Floats]] = {
    "median": median_of_steps,
    "median-of-blocks": median_of_blocks,
    "hodges-lehmann": hodges_lehmann,
    "lower-quartile": lower_quartile,
}

LOCATION: Location = "median"
"""The one that is used."""


def location(blocks: Blocks, estimator: Location = LOCATION) -> float:
    """Where the steps of one side lie, nanoseconds."""
    return float(ESTIMATORS[estimator](_padded(blocks, sorted(blocks))))


def locations(blocks: Blocks, sampling: Sampling, estimator: Location = LOCATION) -> Floats:
    """The same in each column of a sampling `[columns]`; rounds that the side lacks are left out."""
    numbers = sorted(blocks)
    table, found = _padded(blocks, numbers), []
    for picks in sampling.picks():
        known = picks[:, np.isin(picks[0], numbers)]
        found.append(ESTIMATORS[estimator](table[np.searchsorted(numbers, known)]))
    return np.concatenate(found)


def _padded(blocks: Blocks, numbers: Sequence[int]) -> Floats:
    """Blocks as rows, short ones filled with NaN."""
    table = np.full((len(numbers), max(len(blocks[number]) for number in numbers)), np.nan)
    for row, number in enumerate(numbers):
        table[row, : len(blocks[number])] = blocks[number]
    return table


def number_blocks(blocks: Sequence[Sequence[int]]) -> Blocks:
    """Blocks in the order of their rounds, by number; those without a step are left out."""
    return {number: np.asarray(block, dtype=np.int64) for number, block in enumerate(blocks) if len(block)}


def paired_latency(
    first: Sequence[Sequence[int]],
    second: Sequence[Sequence[int]],
    launches: Sequence[int] = (),
    *,
    estimator: Location = LOCATION,
) -> Latency:
    """The headline of two sides that are no two engines: the first is in PyTorch's place, the second in ONNX Runtime's.

    Args:
        first: Wall times of the plain steps in nanoseconds, a sequence for each round.
        second: The same of the other side, in the same rounds.
        launches: The launch of each round; nothing where all are of one.
        estimator: Which location of the steps.
    """
    plain: dict[Role, Blocks] = {"torch": number_blocks(first), "onnxruntime": number_blocks(second)}
    return headline(plain, dict(enumerate(launches)), estimator=estimator).latency


def paired_difference(
    baseline: Sequence[Sequence[int]],
    variant: Sequence[Sequence[int]],
    launches: Sequence[int] = (),
    *,
    estimator: Location = LOCATION,
) -> tuple[Estimate, Estimate, Delta]:
    """The step of either side, and the second minus the first, each with its interval.

    Args:
        baseline: Wall times of the plain steps in nanoseconds, a sequence for each round.
        variant: The same of the other side, in the same rounds.
        launches: The launch of each round; nothing where all are of one.
        estimator: Which location of the steps.

    Raises:
        ValueError: There is no round in which both sides ran.
    """
    found = paired_latency(baseline, variant, launches, estimator=estimator)
    if not (found.torch_ns and found.onnxruntime_ns and found.delta_ns):
        raise ValueError("no round holds steps of both sides")
    return found.torch_ns, found.onnxruntime_ns, found.delta_ns


class Headline(msgspec.Struct, frozen=True, eq=False):
    """The latency and, for the ledger, what is behind its intervals.

    Attributes:
        latency: The figures.
        sampling: What the columns of the replicates are; None where no side was timed.
        replicates: The location of the plain steps of each side that was timed, in each column.
        plain: Its plain steps.
        of_round: The launch of each round of the capture, profiled ones too.
        estimator: Which location.
    """

    latency: Latency
    sampling: Sampling | None = None
    replicates: Mapping[Role, Floats] = msgspec.field(default_factory=dict)
    plain: Mapping[Role, Blocks] = msgspec.field(default_factory=dict)
    of_round: Mapping[int, int] = msgspec.field(default_factory=dict)
    estimator: Location = LOCATION

    @property
    def medians(self) -> dict[Role, int]:
        """Plain step of each side that was timed, nanoseconds."""
        sides: dict[Role, int] = {}
        if self.latency.torch_ns:
            sides["torch"] = self.latency.torch_ns.median
        if self.latency.onnxruntime_ns:
            sides["onnxruntime"] = self.latency.onnxruntime_ns.median
        return sides

    @property
    def half_width_ns(self) -> float | None:
        """Half the interval of the difference as far as more rounds and launches narrow it; None without a difference."""
        delta = self.latency.delta_ns
        if delta is None or self.sampling is None:
            return None
        values = self.replicates["onnxruntime"] - self.replicates["torch"]
        low, high = self.sampling.shown(np.array([float(delta.median)]), values[None, :])
        return float(high[0] - low[0]) / 2

    def launches(self, rounds: Sequence[int]) -> set[int]:
        """The launches of some rounds."""
        return {self.of_round.get(number, 0) for number in rounds}

    def replicates_in(self, sampling: Sampling) -> Mapping[Role, Floats]:
        """The replicates in the columns of another sampling: of fewer launches, or of rounds in place of launches."""
        if not self.plain:
            return {}
        wanted = sampling.over(_shared_rounds(self.plain))
        if wanted == self.sampling:
            return self.replicates
        return {role: locations(its, wanted, self.estimator) for role, its in self.plain.items()}


def headline(
    plain: Mapping[Role, Blocks],
    launches: Mapping[int, int] | None = None,
    *,
    estimator: Location = LOCATION,
) -> Headline:
    """The plain step of both sides, the difference and the ratio.

    A side's step is the mean over the launches that all timed sides share, of the location of its steps in each.

    Args:
        plain: Plain wall times by role and block number; a side that was not timed is absent or empty.
        launches: The launch of each round, over all phases; one that is not named is of launch 0.
        estimator: Which location of the steps.
    """
    of_round = {number: 0 for blocks in plain.values() for number in blocks} | dict(launches or {})
    timed: dict[Role, Blocks] = {role: blocks for role, blocks in plain.items() if blocks}
    if not timed:
        nothing = Latency(torch_ns=None, onnxruntime_ns=None, delta_ns=None, significant=False)
        return Headline(nothing, of_round=of_round)
    if not _shared_rounds(timed):
        timed = dict(list(timed.items())[:1])
    shared = {of_round[number] for number in _shared_rounds(timed)}
    timed = {
        role: {number: walls for number, walls in its.items() if of_round[number] in shared}
        for role, its in timed.items()
    }
    sampling = sampling_of(sorted(shared), of_round, _shared_rounds(timed))
    replicates = {role: locations(its, sampling, estimator) for role, its in timed.items()}
    return Headline(
        _latency(timed, sampling, replicates, estimator), sampling, replicates, timed, of_round, estimator
    )


def _shared_rounds(timed: Mapping[Role, Blocks]) -> list[int]:
    return sorted(set.intersection(*(set(blocks) for blocks in timed.values())))


def _latency(
    timed: Mapping[Role, Blocks], sampling: Sampling, replicates: Mapping[Role, Floats], estimator: Location
) -> Latency:
    """The figures of the sides that were timed."""
    found: dict[Role, Estimate] = {}
    for role, blocks in timed.items():
        numbers = np.array(sorted(blocks), dtype=np.int64)
        parts = [numbers[part == 1].tolist() for part in sampling.whole(numbers)]
        each = [location({number: blocks[number] for number in part}, estimator) for part in parts]
        center = round(sum(each) / len(each))
        low, high = sampling.interval(center, replicates[role])
        low = max(low, 0)  # no step takes less than nothing, however far apart the launches lie
        found[role] = Estimate(median=center, low=low, high=high, n=sum(map(len, blocks.values())))
    torch, ort = found.get("torch"), found.get("onnxruntime")
    delta = ratio = None
    if torch and ort:
        median = ort.median - torch.median
        low, high = sampling.interval(median, replicates["onnxruntime"] - replicates["torch"])
        delta = Delta(median=median, low=low, high=high)
        ratio = _ratio(torch, ort, sampling, replicates)
    return Latency(
        torch_ns=torch,
        onnxruntime_ns=ort,
        delta_ns=delta,
        significant=delta is not None
        and sampling.units > 1
        and not delta.low <= 0 <= delta.high
        and (ratio is None or not ratio.low <= 1 <= ratio.high),
        ratio=ratio,
        launches=sampling.launches,
    )


_RATIO_DIGITS = 6
"""Decimals of a ratio: those that do not depend on the machine on which logarithms are taken."""


def _ratio(
    torch: Estimate, ort: Estimate, sampling: Sampling, replicates: Mapping[Role, Floats]
) -> Ratio | None:
    """First side over second, its interval taken of logarithms; None where a step took no time at all."""
    sides = replicates["torch"], replicates["onnxruntime"]
    if min(torch.median, ort.median, *(float(side.min()) for side in sides)) <= 0:
        return None
    center = np.log([torch.median / ort.median])
    low, high = sampling.bounds(center, np.log(sides[0] / sides[1])[None, :])
    value, least, most = (
        round(float(np.exp(its[0])), _RATIO_DIGITS)
        for its in (center, np.minimum(low, center), np.maximum(high, center))
    )
    return Ratio(value=value, low=least, high=most)
