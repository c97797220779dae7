"""Intervals by resampling blocks.

Steps of one block were measured in the same state of the machine (clock, caches, other load), so the block is the unit
that is drawn, with replacement (block bootstrap, Kunsch 1989). The percentile interval of so few blocks is too narrow by
sqrt((n - 1) / n) (Hesterberg 2015, "What teachers should know about the bootstrap", section 4.2); it is widened by the
inverse.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

RESAMPLES = 1000
LEVEL = 0.95
SEED = 7
"""Fixed, so that the same trace directory gives the same interval to the last digit."""


def draws(blocks: int) -> Int64s:
    """How often each block is drawn in each resample: int64 `[RESAMPLES, blocks]`, rows sum to `blocks`."""
    rng = np.random.default_rng(SEED)
    return np.asarray(rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=RESAMPLES), dtype=np.int64)


def interval(estimate: float, replicates: Floats, blocks: int) -> tuple[int, int]:
    """95 % interval around an estimate, in whole nanoseconds, rounded outwards and holding the estimate."""
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    widening = np.sqrt(blocks / (blocks - 1)) if blocks > 1 else 1.0
    low, high = estimate + (low - estimate) * widening, estimate + (high - estimate) * widening
    return int(np.floor(min(low, estimate))), int(np.ceil(max(high, estimate)))


def intervals(estimates: Sequence[int], replicates: Floats, blocks: int) -> list[tuple[int, int]]:
    """The interval of each estimate; `replicates` is `[estimates, resamples]`."""
    if not len(estimates):
        return []
    low, high = np.quantile(replicates, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    widening = np.sqrt(blocks / (blocks - 1)) if blocks > 1 else 1.0
    center = np.asarray(estimates, dtype=np.int64)
    low, high = center + (low - center) * widening, center + (high - center) * widening
    lows = np.floor(np.minimum(low, center)).astype(np.int64).tolist()
    return list(zip(lows, np.ceil(np.maximum(high, center)).astype(np.int64).tolist(), strict=True))


def median_replicates(sides: Sequence[Mapping[int, Int64s]]) -> list[Floats]:
    """Medians of resampled plain steps, one array `[RESAMPLES]` a side.

    Args:
        sides: Wall times by block number. A block number that every side has is one interleaved round and is drawn for
            all sides at once, so that a drift of the machine cancels out.
    """
    rounds = sorted(set.intersection(*(set(side) for side in sides)))
    chosen = np.repeat(np.tile(np.arange(len(rounds)), RESAMPLES), draws(len(rounds)).ravel())
    picks = chosen.reshape(RESAMPLES, len(rounds))
    found = []
    for side in sides:
        # Blocks as rows, short ones filled with NaN.
        longest = max(len(side[number]) for number in rounds)
        table = np.full((len(rounds), longest), np.nan)
        for row, number in enumerate(rounds):
            table[row, : len(side[number])] = side[number]
        found.append(np.asarray(np.nanmedian(table[picks].reshape(RESAMPLES, -1), axis=1)))
    return found


def step_weights(
    walls: Int64s, blocks: Int64s, numbers: Sequence[int], drawn: Int64s
) -> tuple[Floats, Floats]:
    """Weights of the profiled steps for the estimate `[steps]` and for each resample `[steps, RESAMPLES]`.

    The estimate is the interquartile mean by wall time: outliers move it no more than they move a median, but
    one set of weights serves every part of a step, so that the parts sum to the whole.

    Args:
        walls: Wall time of each step.
        blocks: Block of each step.
        numbers: All block numbers, in the order of the columns of `drawn`.
        drawn: Result of `draws`.
    """
    column = np.searchsorted(np.asarray(numbers), blocks)
    counts = drawn[:, column].T.astype(np.float64)
    counts[:, counts.sum(axis=0) == 0] = 1.0
    order = np.argsort(walls, kind="stable")
    weights = np.empty((len(walls), counts.shape[1] + 1))
    # The share of each step in the middle half of each column's mass; columns sum to one.
    mass = np.column_stack([np.ones(len(walls)), counts])[order]
    reached = np.cumsum(mass, axis=0)
    total = reached[-1]
    inside = np.minimum(reached, 0.75 * total) - np.maximum(reached - mass, 0.25 * total)
    weights[order] = np.maximum(inside, 0.0) / (0.5 * total)
    return weights[:, 0], weights[:, 1:]
