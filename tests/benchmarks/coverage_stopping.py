"""The stopping rule on recorded launches: captures that stop by the width of their interval, drawn many times from a pool.

A simulated capture takes launches from the pool, no launch twice, and stops after one as soon as it has the fewest launches
and rounds and the half width of the difference's t-interval is at most the tolerance times the slower step; at the latest
after the most launches. A tolerance of 0 never stops early: the same number of launches, always. What is asked is in how
many of them the interval holds the mean of the pool: if looking at the width bent the result, it would be fewer than 95 %.

A pool is finite: `k` of `P` launches lie nearer to its mean than to that of all launches that there could be, by the factor
sqrt(1 - k / P) (Cochran, "Sampling Techniques", 1977, section 2.6), by which the interval is narrowed before it is asked.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from coverage_estimators import Timed
from coverage_figures import DIFFERENCE, LARGEST

from attrib.analysis.attribution.ledger.headline import location
from attrib.analysis.attribution.ledger.sampling import student_quantile
from attrib.capture.session.measure import FEWEST_LAUNCHES, FEWEST_ROUNDS
from attrib.model.latency import LatencyTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

TIMES = 1000
LEVEL = 0.95
LAUNCHES, TOLERANCES = tuple(range(2, 9)), (0.0, 0.01, 0.02, 0.05)

HEADER = """\
| launches, at most | tolerance | holds the pool's mean | its causes | launches used | seconds used | half width, median |
|---|---|---|---|---|---|---|"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Launches of many captures of one thing; row `i` of each array is launch `i`.

    Attributes:
        names: The difference first, then causes.
        values: Each quantity in each launch, nanoseconds `[launches, quantities]`.
        steps: The slower step, nanoseconds.
        rounds: How many plain rounds count.
        seconds: What the launch took, the start of its processes included.
        capture: Number of the capture that it is of, in order of time.
    """

    names: tuple[str, ...]
    values: Floats
    steps: Floats
    rounds: Ints
    seconds: Floats
    capture: Ints

    def __len__(self) -> int:
        return len(self.values)


class Rule(NamedTuple):
    """When a simulated capture stops; the tolerance is a share of the slower step. By default the fewest are a capture's."""

    tolerance: float
    most: int
    fewest: int = FEWEST_LAUNCHES
    rounds: int = FEWEST_ROUNDS


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """Many captures under one rule.

    Attributes:
        rule: The rule.
        held: Share of them whose interval of the difference holds the mean of the pool.
        causes: The same, over the causes of the pool; None where it has none.
        launches: Mean number of launches.
        seconds: Mean time of those.
        half_width: Median half width of the difference, as a share of the slower step.
    """

    rule: Rule
    held: float
    causes: float | None
    launches: float
    seconds: float
    half_width: float


def launch_seconds(table: LatencyTable) -> dict[int, float]:
    """Seconds of each launch, from its first round to that of the next one, so that starting processes counts.

    The last one has no next: it ends with its last round, and starting its processes takes as long as for the others.
    """
    measured = np.array([phase != "warmup" for phase in table.phase])
    begins, launches = table.start_ns[measured], table.column("launch")[measured]
    ends = begins + table.wall_ns[measured]
    numbers = sorted(set(launches.tolist()))
    spans = [(int(begins[launches == n].min()), int(ends[launches == n].max())) for n in numbers]
    pauses = [after[0] - before[1] for before, after in pairwise(spans)]
    waits = [*pauses, statistics.median(pauses) if pauses else 0]
    return {
        n: (end - begin + wait) / 1e9 for n, (begin, end), wait in zip(numbers, spans, waits, strict=True)
    }


def launch_rows(its: Timed, launches: Sequence[int], *, rounds: int = 0) -> list[tuple[float, float, int]]:
    """Difference and slower step of each launch, nanoseconds, and its rounds; of its first `rounds` only, unless 0."""
    rows = []
    for launch in launches:
        shared = sorted(set(its.rounds("torch", launch)) & set(its.rounds("onnxruntime", launch)))
        chosen = shared[:rounds] if rounds else shared
        torch, ort = (
            location({number: its.plain[role][number] for number in chosen})
            for role in ("torch", "onnxruntime")
        )
        rows.append((ort - torch, max(torch, ort), len(chosen)))
    return rows


def pool_of(
    rows: Sequence[tuple[float, float, int]],
    seconds: Sequence[float],
    captures: Sequence[int],
    causes: Sequence[dict[str, float]],
) -> Pool:
    """A pool of launches, with the largest causes by their mean.

    Args:
        rows: What `launch_rows` gives, of all launches.
        seconds: Of each.
        captures: The capture of each.
        causes: Its causes, nanoseconds by name; nothing for a launch without profiled steps.
    """
    names = {name for its in causes for name in its}
    means = {name: abs(np.mean([its.get(name, 0.0) for its in causes])) for name in names}
    chosen = sorted(names, key=lambda name: (-means[name], name))[:LARGEST]
    differences, steps, rounds = (np.array(column) for column in zip(*rows, strict=True))
    columns = [differences, *(np.array([its.get(name, 0.0) for its in causes]) for name in chosen)]
    return Pool(
        names=(DIFFERENCE, *chosen),
        values=np.stack(columns, axis=1).astype(np.float64),
        steps=steps.astype(np.float64),
        rounds=rounds.astype(np.intp),
        seconds=np.array(seconds),
        capture=np.array(captures, dtype=np.intp),
    )


def half_widths(values: Floats) -> Floats:
    """Half widths of the 95 % t-intervals of the means over launches; `values` is `[launches, quantities]`."""
    count = len(values)
    return np.asarray(
        student_quantile((1 + LEVEL) / 2, count - 1) * values.std(axis=0, ddof=1) / math.sqrt(count)
    )


def stopped(pool: Pool, order: Ints, rule: Rule) -> Ints:
    """The launches that a capture takes which meets them in this order."""
    for count in range(max(rule.fewest, 2), min(rule.most, len(order))):
        taken = order[:count]
        half = half_widths(pool.values[taken, :1])[0]
        if pool.rounds[taken].sum() >= rule.rounds and half <= rule.tolerance * pool.steps[taken].mean():
            return taken
    return order[: rule.most]


def simulate(
    pool: Pool, rule: Rule, *, times: int = TIMES, seed: int = 0, consecutive: bool = False
) -> Simulated:
    """Captures under one rule.

    Args:
        pool: What to draw from.
        rule: When to stop.
        times: How many captures.
        seed: Of the draws.
        consecutive: Draw launches that followed each other in one recorded capture, as they do in a real one, in place of
            any of the pool: what drifts over minutes then falls on all launches of a simulated capture.

    Raises:
        ValueError: The pool, or each of its captures, has fewer launches than the rule may take, or no more.
    """
    rng = np.random.default_rng(seed)
    if len(pool) <= rule.most:
        raise ValueError(f"a pool of {len(pool)} launches is too small for captures of up to {rule.most}")
    truth, captures = pool.values.mean(axis=0), []
    for _ in range(times):
        order = _consecutive(pool, rule.most, rng) if consecutive else rng.permutation(len(pool))[: rule.most]
        captures.append(stopped(pool, order, rule))
    held = np.empty((times, len(pool.names)), dtype=bool)
    shares = []
    for i, taken in enumerate(captures):
        half = half_widths(pool.values[taken])
        narrowed = half * math.sqrt(1 - len(taken) / len(pool))
        held[i] = np.abs(pool.values[taken].mean(axis=0) - truth) <= narrowed
        shares.append(half[0] / pool.steps[taken].mean())
    return Simulated(
        rule=rule,
        held=float(held[:, 0].mean()),
        causes=float(held[:, 1:].mean()) if len(pool.names) > 1 else None,
        launches=float(np.mean([len(taken) for taken in captures])),
        seconds=float(np.mean([pool.seconds[taken].sum() for taken in captures])),
        half_width=float(np.median(shares)),
    )


def _consecutive(pool: Pool, most: int, rng: np.random.Generator) -> Ints:
    """Launches that followed each other, from anywhere in a capture that has so many."""
    starts = np.flatnonzero(pool.capture[: len(pool) - most + 1] == pool.capture[most - 1 :])
    if not len(starts):
        raise ValueError(f"no capture of the pool has {most} launches")
    return np.arange(most) + rng.choice(starts)


def table(found: Sequence[Simulated]) -> str:
    """One row a rule."""
    return "\n".join([HEADER, *map(_row, found)])


def _row(its: Simulated) -> str:
    shown = [
        str(its.rule.most),
        f"{its.rule.tolerance:.0%}" if its.rule.tolerance else "none: always so many",
        f"{its.held:.1%}",
        "" if its.causes is None else f"{its.causes:.1%}",
        f"{its.launches:.1f}",
        f"{its.seconds:.0f}",
        f"{its.half_width:.1%}",
    ]
    return f"| {' | '.join(shown)} |"
