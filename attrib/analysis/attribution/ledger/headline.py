"""The headline: plain steps of both sides, their medians, and the interval of the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from attrib.analysis.attribution.ledger.bootstrap import Floats, Int64s, interval, median_replicates
from attrib.model.document import Latency
from attrib.model.estimate import Delta, Estimate
from attrib.model.manifest import Role

Blocks = Mapping[int, Int64s]
"""Wall times of plain steps by block number; blocks of two sides that share a number were measured in one round."""


def number_blocks(blocks: Sequence[Sequence[int]]) -> Blocks:
    """Blocks in the order of their rounds, by number; those without a step are left out."""
    return {number: np.asarray(block, dtype=np.int64) for number, block in enumerate(blocks) if len(block)}


def paired_difference(
    baseline: Sequence[Sequence[int]], variant: Sequence[Sequence[int]]
) -> tuple[Estimate, Estimate, Delta]:
    """The medians of two sides, and the second minus the first, each with its interval.

    Args:
        baseline: Wall times of the plain steps in nanoseconds, a sequence for each round.
        variant: The same of the other side, in the same rounds.

    Raises:
        ValueError: There is no round in which both sides ran.
    """
    sides = [number_blocks(baseline), number_blocks(variant)]
    rounds = len(set(sides[0]) & set(sides[1]))
    if not rounds:
        raise ValueError("no round holds steps of both sides")
    replicates = median_replicates(sides)
    first, second = (estimate(*side, rounds) for side in zip(sides, replicates, strict=True))
    return first, second, difference((first, replicates[0]), (second, replicates[1]), rounds)


def estimate(blocks: Blocks, replicates: Floats, rounds: int) -> Estimate:
    """Median of all plain steps of one side; `replicates` are those of `median_replicates`."""
    walls = np.concatenate(list(blocks.values()))
    median = round(float(np.median(walls)))
    low, high = interval(median, replicates, rounds)
    return Estimate(median=median, low=low, high=high, n=len(walls))


def difference(first: tuple[Estimate, Floats], second: tuple[Estimate, Floats], rounds: int) -> Delta:
    """Second minus first, each given with its replicates."""
    median = second[0].median - first[0].median
    low, high = interval(median, second[1] - first[1], rounds)
    return Delta(median=median, low=low, high=high)


@dataclass(frozen=True, slots=True, eq=False)
class Headline:
    """The latency and, for the ledger, the replicates of either side's median (None where a side was not timed)."""

    latency: Latency
    replicates: Mapping[Role, Floats]
    rounds: int

    @property
    def medians(self) -> dict[Role, int]:
        """Median plain step of each side that was timed, nanoseconds."""
        sides: dict[Role, int] = {}
        if self.latency.torch_ns:
            sides["torch"] = self.latency.torch_ns.median
        if self.latency.onnxruntime_ns:
            sides["onnxruntime"] = self.latency.onnxruntime_ns.median
        return sides


def headline(plain: Mapping[Role, Blocks]) -> Headline:
    """Medians of the plain steps and the difference between them.

    Args:
        plain: Plain wall times by role and block number; a side that was not timed is absent or empty.
    """
    timed: dict[Role, Blocks] = {role: blocks for role, blocks in plain.items() if blocks}
    if not timed:
        return Headline(Latency(torch_ns=None, onnxruntime_ns=None, delta_ns=None, significant=False), {}, 0)
    rounds = len(set.intersection(*(set(blocks) for blocks in timed.values())))
    if not rounds:
        rounds, timed = len(next(iter(timed.values()))), dict(list(timed.items())[:1])
    replicates = dict(zip(timed, median_replicates(list(timed.values())), strict=True))
    estimates = {role: estimate(blocks, replicates[role], rounds) for role, blocks in timed.items()}
    torch, ort = estimates.get("torch"), estimates.get("onnxruntime")
    delta = (
        difference((torch, replicates["torch"]), (ort, replicates["onnxruntime"]), rounds)
        if torch and ort
        else None
    )
    return Headline(
        Latency(
            torch_ns=torch,
            onnxruntime_ns=ort,
            delta_ns=delta,
            significant=delta is not None and not delta.low <= 0 <= delta.high,
        ),
        replicates,
        rounds,
    )
