"""Page faults of plain and profiled steps, and what they cost by the price that the capture measured.

Nobody counts them for a single call: the counter is the process's, and is read before and after a step. So what a call
spends on them is not known, and what is said is said of steps.
"""

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from attrib.analysis.attribution.ledger.sampling import middle_half, sampling_of
from attrib.model.disturbance import UNSEEN
from attrib.model.document import PageFaults
from attrib.model.estimate import Delta
from attrib.model.latency import LatencyTable, StepPhase, TimedBlock
from attrib.model.manifest import ROLES, Role, Side

_DIGITS = 2
"""Decimals of a number of page faults: it is a mean."""

LEAST_NS = 250.0
"""What a page fault takes at the least, nanoseconds: a choice, below the 1,900 of the virtual machine of the benchmarks
since most others are faster."""

APART_SHARE = 0.02
"""Share of a step by which launches must differ: the default tolerance of the difference."""


def price_of(sides: Mapping[Role, Side], role: Role) -> float:
    """What a page fault costs one engine, nanoseconds; 0 where the capture did not measure it.

    Both engines measured the same machine, one after the other. Other programs only ever add time: the lower figure counts.
    """
    known = {name: side.peaks for name, side in sides.items() if side.peaks and side.peaks.fault_ns > 0}
    own = known.get(role)
    return min(its.fault_ns for its in known.values() if its.threads == own.threads) if own else 0.0


def count_faults(table: LatencyTable, sides: Mapping[Role, Side]) -> dict[Role, PageFaults]:
    """The page faults of each engine that counted them, and what they cost."""
    found = {}
    for role in ROLES:
        plain, profiled = (_by_launch(table, role, phase) for phase in ("plain", "profiled"))
        if not plain and not profiled:
            continue
        price = price_of(sides, role)
        found[role] = PageFaults(
            plain=_mean(plain.values()),
            profiled=_mean(profiled.values()),
            major=_major(table, role, "plain"),
            profiled_major=_major(table, role, "profiled"),
            launches=tuple(round(its, _DIGITS) for its in plain.values()),
            price_ns=price,
            cost_ns=_cost(table, role, plain, price) if price and plain else None,
        )
    return found


def fault_times(table: LatencyTable, sides: Mapping[Role, Side]) -> dict[Role, dict[int, float]]:
    """What plain steps spend on the page faults that profiled ones do not have, by launch, nanoseconds.

    It is what a sum of profiled times lacks. Where profiled steps take more of them than plain ones it is 0: then the sum
    has too much, somewhere.

    Returns:
        Only sides for which a price was measured, and the launches that have steps of both kinds.
    """
    found: dict[Role, dict[int, float]] = {}
    for role in sides:
        plain, profiled = (_by_launch(table, role, phase) for phase in ("plain", "profiled"))
        price, steps = price_of(sides, role), _plain_steps(table, role)
        if price:
            found[role] = {
                launch: min(max(count - profiled[launch], 0.0) * price, steps[launch])
                for launch, count in plain.items()
                if launch in profiled
            }
    return found


def differ_by_launch(table: LatencyTable) -> bool:
    """Whether plain steps of one engine took so many more page faults in one launch than in another that it shows.

    While a capture measures nobody knows yet what one costs here, so each counts with the least that it may take.
    """
    for role in ROLES:
        counts, steps = _by_launch(table, role, "plain").values(), _plain_steps(table, role).values()
        if counts and (max(counts) - min(counts)) * LEAST_NS > APART_SHARE * min(steps):
            return True
    return False


def _counted(table: LatencyTable, role: Role, phase: StepPhase) -> list[TimedBlock]:
    return [block for block in table.every_block(phase) if block.role == role and block.counted]


def _grouped(blocks: Iterable[TimedBlock]) -> dict[int, list[TimedBlock]]:
    found: dict[int, list[TimedBlock]] = {}
    for block in blocks:
        found.setdefault(block.launch, []).append(block)
    return dict(sorted(found.items()))


def _by_launch(table: LatencyTable, role: Role, phase: StepPhase) -> dict[int, float]:
    """Page faults of a step, launch by launch.

    The headline is the median of the steps of a launch, and the shares are those of their middle half. The faults must be
    those of the same steps: in one process, most steps may have none and a few thousands.
    """
    found = {}
    for launch, blocks in _grouped(_counted(table, role, phase)).items():
        faults = np.array([count for block in blocks for count in block.step_faults])
        walls = np.array([wall for block in blocks for wall in block.walls_ns], dtype=np.int64)
        if len(faults) == len(walls):
            weights = middle_half(walls, np.ones((1, len(walls)), dtype=np.int64))[:, 0]
            found[launch] = float(faults @ weights)
    return found


def _plain_steps(table: LatencyTable, role: Role) -> dict[int, float]:
    blocks = _grouped(_counted(table, role, "plain"))
    return {
        launch: float(np.median([wall for block in its for wall in block.walls_ns]))
        for launch, its in blocks.items()
    }


def _major(table: LatencyTable, role: Role, phase: StepPhase) -> float | None:
    blocks = [b for b in _counted(table, role, phase) if b.evidence.major_faults != UNSEEN]
    steps = sum(len(block.walls_ns) for block in blocks)
    return round(sum(block.evidence.major_faults for block in blocks) / steps, _DIGITS) if steps else None


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return round(sum(known) / len(known), _DIGITS) if known else None


def _cost(table: LatencyTable, role: Role, plain: Mapping[int, float], price: float) -> Delta:
    """What the faults of a plain step cost: the mean over launches with its interval, never more than the step."""
    steps = _plain_steps(table, role)
    each = np.array([min(count * price, steps[launch]) for launch, count in plain.items()])
    center = float(each.mean())
    low, high = center, center
    if len(each) > 1:
        low, high = sampling_of(tuple(plain), {}, ()).interval(center, each)
    most = float(np.mean([steps[launch] for launch in plain]))
    bounds: Callable[[float], int] = lambda value: round(min(max(value, 0.0), most))  # noqa: E731
    return Delta(median=bounds(center), low=bounds(low), high=bounds(high))
