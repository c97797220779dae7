"""Intervals: how a figure is repeated, and how far the repetitions lie apart.

Every figure of a report is a sum of columns: its value in each repetition. What the repetitions are is a `Sampling`:

- `Launches`: one column for each start of the engines' processes. Where memory lies is luck of the processes, which their
  own rounds cannot show, so the launch is the unit. They are few: the interval is Student's t-interval, because a bootstrap
  of fewer than five values covers too little. What a machine does from one minute to the next no launch shows: `DRIFT`.
- `Rounds`: one launch only (captures of older versions, interrupted ones). Steps of one block were measured in the same
  state of the machine (clock, caches, other load), so the block is the unit that is drawn, with replacement (block
  bootstrap, Kunsch 1989); one column a resample. The percentile interval of so few blocks is too narrow by sqrt((n - 1) / n)
  (Hesterberg 2015, "What teachers should know about the bootstrap", section 4.2); it is widened by the inverse.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

RESAMPLES = 1000
AT_ONCE = 125
"""Resamples of one table: an estimator may need many times the memory of the steps."""

DRIFT = 0.08
"""Half width, as a share of a figure, that is added to what the launches of a capture show: the root of the sum of squares.

Launches follow each other within a minute or two, and a machine may differ more from one minute to another. In eighty
captures of two models, half of them beside bursts, on one virtual machine, captures of one thing differed by more than their
launches (docs/benchmarks.md; `tests/benchmarks/coverage.py score --drift SHARE` prints what other choices give). With 8 % at
least 16 of 20 intervals held of every figure that was looked at. No further launch narrows it, and it takes certainty only
from a figure whose interval all but reaches 0 already.
"""

LEVEL = 0.95
SEED = 7
"""Fixed, so that the same trace directory gives the same interval to the last digit."""


@lru_cache(maxsize=256)
def student_quantile(probability: float, freedom: int) -> float:
    """Quantile of Student's t-distribution, by bisection.

    The distribution function is exact for whole degrees of freedom: Abramowitz and Stegun, "Handbook of Mathematical
    Functions" (1964), 26.7.3 and 26.7.4.

    Args:
        probability: Above a half and below one.
        freedom: Degrees of freedom, at least 1.
    """
    low, high = 0.0, 1.0
    while _student_share(high, freedom) < 2 * probability - 1:
        low, high = high, 2 * high
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        is_below = _student_share(middle, freedom) < 2 * probability - 1
        low, high = (middle, high) if is_below else (low, middle)
    return high


def _student_share(t: float, freedom: int) -> float:
    """Probability that a variable of the t-distribution lies between -t and t."""
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    # 26.7.3 (odd): cos + 2/3 cos^3 + ... to cos^(freedom-2); 26.7.4 (even): 1 + 1/2 cos^2 + ... to the same power
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for power in range(odd, freedom - 1, 2):
        total += term
        term *= math.cos(angle) ** 2 * (power + 1) / (power + 2)
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


class Sampling(ABC):
    """What the columns of a table of values stand for, and the interval that follows from them."""

    @property
    @abstractmethod
    def columns(self) -> int:
        """How many columns the values have."""

    @property
    @abstractmethod
    def units(self) -> int:
        """How many values there are whose distance is known: one says nothing about its own noise."""

    @property
    @abstractmethod
    def launches(self) -> int:
        """How many launches the intervals know of."""

    @abstractmethod
    def picks(self) -> Iterator[Int64s]:
        """Numbers of the rounds that make up the columns: arrays `[some columns, rounds]`, in the order of the columns."""

    @abstractmethod
    def counts(self, rounds: Int64s) -> Int64s:
        """How often each of some rounds counts in each column: int64 `[columns, rounds]`."""

    @abstractmethod
    def whole(self, rounds: Int64s) -> Int64s:
        """The parts of which the estimate is the mean, each with 1 where a round belongs to it: int64 `[parts, rounds]`."""

    @abstractmethod
    def over(self, rounds: Sequence[int]) -> "Sampling":
        """The same way to make columns, for other rounds of the same capture."""

    @abstractmethod
    def shown(self, estimates: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Ends of the 95 % interval that the repetitions show around each estimate; `values` is `[estimates, columns]`."""

    def bounds(self, estimates: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Ends of the 95 % interval of another capture; those that the repetitions show, where they know of nothing else."""
        return self.shown(estimates, values)

    def interval(self, estimate: float, values: Floats, *, drift: bool = True) -> tuple[int, int]:
        """95 % interval around an estimate, in whole nanoseconds, rounded outwards and holding the estimate.

        Args:
            estimate: The estimate.
            values: Its value in each column.
            drift: Of another capture; else what the repetitions show, for who knows the drift between captures.
        """
        ends = self.bounds if drift else self.shown
        low, high = ends(np.array([estimate], dtype=np.float64), values[None, :])
        return int(np.floor(min(low[0], estimate))), int(np.ceil(max(high[0], estimate)))

    def intervals(self, estimates: Sequence[int], values: Floats) -> list[tuple[int, int]]:
        """The interval of each estimate; `values` is `[estimates, columns]`."""
        if not len(estimates):
            return []
        center = np.asarray(estimates, dtype=np.int64)
        low, high = self.bounds(center.astype(np.float64), values)
        lows = np.floor(np.minimum(low, center)).astype(np.int64).tolist()
        return list(zip(lows, np.ceil(np.maximum(high, center)).astype(np.int64).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Rounds(Sampling):
    """Rounds of one launch, drawn with replacement; `numbers` are their numbers, in order."""

    numbers: tuple[int, ...]

    @property
    def columns(self) -> int:
        """One for each resample."""
        return RESAMPLES

    @property
    def units(self) -> int:
        """The rounds."""
        return len(self.numbers)

    @property
    def launches(self) -> int:
        """One: other launches may lie elsewhere."""
        return 1

    def picks(self) -> Iterator[Int64s]:
        """The resamples, some at a time `[AT_ONCE, rounds]`."""
        drawn, numbers = draws(len(self.numbers)), np.array(self.numbers, dtype=np.int64)
        for first in range(0, RESAMPLES, AT_ONCE):
            counts = drawn[first : first + AT_ONCE]
            yield np.repeat(np.tile(numbers, len(counts)), counts.ravel()).reshape(len(counts), len(numbers))

    def counts(self, rounds: Int64s) -> Int64s:
        """How often each round was drawn."""
        return draws(len(self.numbers))[:, np.searchsorted(np.array(self.numbers), rounds)]

    def whole(self, rounds: Int64s) -> Int64s:
        """One part: every round."""
        return np.ones((1, len(rounds)), dtype=np.int64)

    def over(self, rounds: Sequence[int]) -> "Rounds":
        """Other rounds."""
        return Rounds(tuple(rounds))

    def shown(self, estimates: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Percentiles of the resamples, widened for the number of rounds."""
        low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
        count = len(self.numbers)
        widening = np.sqrt(count / (count - 1)) if count > 1 else 1.0
        return estimates + (low - estimates) * widening, estimates + (high - estimates) * widening


@dataclass(frozen=True, slots=True)
class Launches(Sampling):
    """Launches of the engines' processes, at least two.

    Attributes:
        numbers: Those that count, in order.
        of_round: The launch of each round; one that is not named is of launch 0.
    """

    numbers: tuple[int, ...]
    of_round: Mapping[int, int] = field(hash=False)

    @property
    def columns(self) -> int:
        """One for each launch."""
        return len(self.numbers)

    @property
    def units(self) -> int:
        """The launches."""
        return len(self.numbers)

    @property
    def launches(self) -> int:
        """All of them."""
        return len(self.numbers)

    def picks(self) -> Iterator[Int64s]:
        """The rounds of one launch after another `[1, rounds]`."""
        rounds: dict[int, list[int]] = {launch: [] for launch in self.numbers}
        for number, launch in sorted(self.of_round.items()):
            rounds.get(launch, []).append(number)
        for its in rounds.values():
            yield np.array([its], dtype=np.int64)

    def counts(self, rounds: Int64s) -> Int64s:
        """1 where the round is of the column's launch."""
        launches = np.array([self.of_round.get(number, 0) for number in rounds.tolist()], dtype=np.int64)
        return np.asarray(launches[None, :] == np.array(self.numbers)[:, None], dtype=np.int64)

    def whole(self, rounds: Int64s) -> Int64s:
        """Each launch."""
        return self.counts(rounds)

    def over(self, rounds: Sequence[int]) -> "Launches":  # noqa: ARG002
        """The same launches, whatever the rounds."""
        return self

    def shown(self, estimates: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Student's t-interval of the mean over launches."""
        half = self._half(values)
        return estimates - half, estimates + half

    def bounds(self, estimates: Floats, values: Floats) -> tuple[Floats, Floats]:
        """The same, wider by what the machine does from minute to minute."""
        half = np.hypot(self._half(values), DRIFT * np.abs(estimates))
        return estimates - half, estimates + half

    def _half(self, values: Floats) -> Floats:
        count = len(self.numbers)
        quantile = student_quantile((1 + LEVEL) / 2, count - 1)
        return np.asarray(quantile * values.std(axis=1, ddof=1) / math.sqrt(count))


def sampling_of(launches: Sequence[int], of_round: Mapping[int, int], rounds: Sequence[int]) -> Sampling:
    """Launches where there are several, else the rounds; no capture has more launches than a bootstrap has resamples.

    Args:
        launches: Those that count, in order.
        of_round: The launch of each round.
        rounds: The rounds that count, in order.
    """
    return Launches(tuple(launches), of_round) if 1 < len(launches) <= RESAMPLES else Rounds(tuple(rounds))


@lru_cache(maxsize=16)
def draws(blocks: int) -> Int64s:
    """How often each block is drawn in each resample: int64 `[RESAMPLES, blocks]`, rows sum to `blocks`."""
    rng = np.random.default_rng(SEED)
    drawn = np.asarray(rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=RESAMPLES), dtype=np.int64)
    drawn.flags.writeable = False  # it is shared
    return drawn


def step_weights(walls: Int64s, blocks: Int64s, sampling: Sampling) -> tuple[Floats, Floats]:
    """Weights of the profiled steps for the estimate `[steps]` and for each column `[steps, columns]`.

    The estimate is the interquartile mean by wall time (of each launch, averaged over launches): outliers move it no more
    than they move a median, but one set of weights serves every part of a step, so that the parts sum to the whole.

    Args:
        walls: Wall time of each step.
        blocks: Block of each step.
        sampling: What the columns are.
    """
    estimate = middle_half(walls, sampling.whole(blocks))
    return np.asarray(estimate.mean(axis=1)), middle_half(walls, sampling.counts(blocks))


def middle_half(walls: Int64s, counts: Int64s) -> Floats:
    """The share of each step in the middle half of the steps of each column, which sum to one: `[steps, columns]`.

    Args:
        walls: Wall time of each step.
        counts: How often each step counts, `[columns, steps]`; a column without any counts all.
    """
    mass = counts.T.astype(np.float64)
    mass[:, mass.sum(axis=0) == 0] = 1.0
    order = np.argsort(walls, kind="stable")
    mass = mass[order]
    reached = np.cumsum(mass, axis=0)
    total = reached[-1]
    inside = np.minimum(reached, 0.75 * total) - np.maximum(reached - mass, 0.25 * total)
    weights = np.empty(mass.shape)
    weights[order] = np.maximum(inside, 0.0) / (0.5 * total)
    return weights
