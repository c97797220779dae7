"""What recording cost, taken out of the profiled steps where it lands, so that they can be compared with plain ones.

The calibration gives the cost of each record on trivial operators. In a model a record costs up to a few times as much: it
is longer, and finds caches and memory in another state. How many times, the model itself tells: its profiled steps take
longer than the plain ones of the same launch, and what is left of a profiled step must be as long as these.

1. The factor of a launch is the one at which its middle profiled step, less the cost of its records times the factor, is as
   long as its plain step. It lies between 0 and `MOST`: what the records cannot explain is left in the ledger's remainder.
2. Nothing is taken below 0: no segment pays for more than it lasts. What the executor keeps for a node is held between half
   and all of what a trivial node takes without the profiler: the calibration cannot tell better, and a record costs more.
3. A factor is believed as far as it can be told. In a step of 150 ms whose records take 1 ms the machine's drift decides
   what a fit gives. So it is drawn towards 1, the calibration, with the weight `SPREAD`^2 / (`SPREAD`^2 + error^2). The
   error is that of the walls, at least `DRIFT` of them, over the calibrated cost.
4. Each step then has a factor of its own, drawn towards that of its launch in the same way: where records are most
   of a step, they also make most of the difference between steps.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from attrib.analysis.attribution.host.ort_partition import EXECUTOR, SESSION
from attrib.analysis.attribution.host.torch_partition import DISPATCH
from attrib.analysis.attribution.ledger.headline import Headline, location
from attrib.analysis.attribution.ledger.sampling import Floats, Int64s, middle_half
from attrib.analysis.attribution.ledger.segments import Segments
from attrib.model.manifest import Overhead, Role
from attrib.model.work import Partition

MOST = 4.0
"""Times the calibrated cost that a record may cost in a model: a choice. Already chains of trivial nodes differ by their
length and by whether their records go into fresh memory."""

SPREAD = 1.0
"""Standard deviation of the factor before anything is measured: the calibration may be off by all of itself."""

DRIFT = 0.03
"""Share of a step by which blocks of one process are taken to differ, where a few blocks show less: a choice."""

_HALVINGS = 30
_TO_SIGMA = 1.349
"""Interquartile range of a normal distribution over its standard deviation."""


class Records(NamedTuple):
    """What the records of one step cost in each segment.

    Attributes:
        cost_ns: As calibrated, nanoseconds `[segments]`.
        least_ns: What a segment takes without records, at least.
        most_ns: What it takes without them, at most; infinity where that is not known.
    """

    cost_ns: Floats
    least_ns: Floats
    most_ns: Floats

    def left(self, samples: Floats, factor: Floats) -> Floats:
        """What remains of each segment in each step.

        Args:
            samples: Profiled times, nanoseconds `[segments, steps]`.
            factor: Times the calibrated cost that recording cost `[steps]`.
        """
        least = np.minimum(samples, self.least_ns[:, None])
        kept = np.maximum(samples - self.cost_ns[:, None] * factor, least)
        return np.asarray(np.minimum(kept, self.most_ns[:, None]))

    def fit(self, samples: Floats, step_ns: float) -> Floats:
        """The factor at which each step is as long as a plain one, or the nearest to it, `[steps]`."""
        low, high = np.zeros(samples.shape[1]), np.full(samples.shape[1], MOST)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            too_long = self.left(samples, middle).sum(axis=0) > step_ns
            low, high = np.where(too_long, middle, low), np.where(too_long, high, middle)
        return np.asarray((low + high) / 2)


def records_of(partition: Partition, split: Segments, overhead: Overhead) -> Records:
    """The calibrated cost of a step's records, by segment."""
    inside, outside, scopes = (
        counts[split.owner] * split.pays for counts in (partition.inside, partition.outside, partition.scopes)
    )
    cost = inside * overhead.inside_ns + outside * overhead.outside_ns + scopes * overhead.scope_ns
    works = len(partition.work)
    nodes = (
        int(partition.outside[works + partition.parts.index(EXECUTOR)]) if EXECUTOR in partition.parts else 0
    )
    for part, ns in ((DISPATCH, overhead.step_ns), (SESSION, nodes * overhead.session_ns)):
        if part in partition.parts:
            cost = cost + ns * (split.owner == works + partition.parts.index(part))
    if overhead.between_ns is None:
        return Records(cost, np.zeros(len(cost)), np.full(len(cost), np.inf))
    # The executor is the first part. A node that holds a subgraph needs more between its nodes; other parts hold none.
    executor = split.owner == works
    most = outside * overhead.between_ns
    return Records(cost, np.where(executor, most / 2, 0.0), np.where(executor & (most > 0), most, np.inf))


def plain_steps(headline: Headline, role: Role, blocks: Int64s) -> Mapping[int, float]:
    """The plain step of each launch in which a side has profiled blocks and was timed, nanoseconds."""
    by_launch: dict[int, dict[int, Int64s]] = {}
    for number, walls in headline.plain.get(role, {}).items():
        by_launch.setdefault(headline.of_round.get(number, 0), {})[number] = walls
    wanted = headline.launches(np.unique(blocks).tolist())
    return {launch: location(its) for launch, its in by_launch.items() if launch in wanted}


def without_recording(
    partition: Partition,
    split: Segments,
    overhead: Overhead | None,
    headline: Headline,
    role: Role,
    absent: Mapping[int, float],
) -> Floats:
    """The time of each segment in each profiled step, the cost of recording removed: nanoseconds `[segments, steps]`.

    Where a side was not timed in a launch, the calibrated cost is what is removed.

    Args:
        partition: Profiled steps.
        split: Their segments.
        overhead: The calibrated cost.
        headline: The plain steps.
        role: The side.
        absent: What plain steps spend that no segment of a profiled one holds, by launch (page faults), nanoseconds.
    """
    if overhead is None:
        return split.samples
    records = records_of(partition, split, overhead)
    factor = np.ones(partition.steps)
    launch = np.array([headline.of_round.get(number, 0) for number in partition.blocks.tolist()])
    for number, step_ns in plain_steps(headline, role, partition.blocks).items():
        own = launch == number
        if own.any():
            factor[own] = _factors(
                records,
                split.samples[:, own],
                partition.walls_ns[own],
                partition.blocks[own],
                step_ns - absent.get(number, 0.0),
            )
    return records.left(split.samples, factor)


def _factors(records: Records, samples: Floats, walls: Int64s, blocks: Int64s, step_ns: float) -> Floats:
    """The factor of each step of one launch."""
    middle = samples @ middle_half(walls, np.ones((1, len(walls)), dtype=np.int64))
    removed = float((middle - records.left(middle, np.ones(1))).sum())
    if removed <= 0:
        return np.ones(len(walls))
    centers = np.array([np.median(walls[blocks == block]) for block in np.unique(blocks)])
    drift = DRIFT * float(middle.sum())
    # Two locations are compared, each of so many blocks.
    error = max(_sigma(centers) * np.sqrt(2 / len(centers)), drift)
    launch = _toward(records.fit(middle, step_ns), np.ones(1), error / removed)
    error = max(_sigma(walls), drift)
    return _toward(records.fit(samples, step_ns), np.full(len(walls), launch[0]), error / removed)


def _sigma(values: Floats | Int64s) -> float:
    """Standard deviation, by the interquartile range: outliers do not count."""
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low) / _TO_SIGMA


def _toward(found: Floats, expected: Floats, error: float) -> Floats:
    """A measured factor with that standard error, drawn towards the expected one."""
    weight = SPREAD**2 / (SPREAD**2 + error**2)
    return np.asarray(expected + weight * (found - expected))
