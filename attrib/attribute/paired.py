"""Two sides whose plain blocks were measured side by side: their medians and the difference, each with its interval."""

from collections.abc import Mapping, Sequence

import numpy as np

from attrib.attribute.bootstrap import Floats, Int64s, interval, median_replicates
from attrib.model.estimate import Delta, Estimate

Blocks = Mapping[int, Int64s]
"""Wall times of plain steps by block number; blocks of two sides that share a number were measured in one round."""


def numbered(blocks: Sequence[Sequence[int]]) -> Blocks:
    """Blocks in the order of their rounds, by number; those without a step are left out."""
    return {number: np.asarray(block, dtype=np.int64) for number, block in enumerate(blocks) if len(block)}


def paired(
    baseline: Sequence[Sequence[int]], variant: Sequence[Sequence[int]]
) -> tuple[Estimate, Estimate, Delta]:
    """Medians of both sides and the second minus the first, with the bootstrap of the headline.

    Args:
        baseline: Wall times of the plain steps in nanoseconds, a sequence for each round.
        variant: The same of the other side, in the same rounds.

    Raises:
        ValueError: There is no round in which both sides ran.
    """
    sides = [numbered(baseline), numbered(variant)]
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
