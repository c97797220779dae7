"""How steady the measurement was: scatter and drift of the blocks, load of the machine, threads of the engines.

Only blocks that count are looked at: what was disturbed and left out makes no comparison unfair. They are compared inside
their launch, because two launches of one engine differ, and the intervals know that.
"""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles

from attrib.findings.protocol import Evidence
from attrib.model.disturbance import UNSEEN_NAMES
from attrib.model.manifest import Manifest, Role

SPREAD_LIMIT = 0.15
"""Interquartile range of the block medians over their median. On two shared cores single blocks vary by 20 %
(an interquartile range near 10 %) while their medians still repeat within 2 %: this is more."""

DRIFT_LIMIT = 0.10
"""Change from the first third of the blocks to the last: medians of blocks repeat within a few percent where
nothing drifts."""

IDLE_LIMIT = 0.10
"""Processor share of the worker that should idle: a spinning thread pool is near 1 for each thread."""

LOAD_LIMIT = 0.5
"""Load per usable core before the capture, above which other programs hold a good part of the machine."""

STOLEN_LIMIT = 0.05
"""Share of the processor time that went to other machines on the host: blocks of 5 steps see it as scatter."""

LEAST_BLOCKS = 6
"""Below this many blocks thirds and quartiles say nothing."""

_THIRDS = 3


def block_medians(blocks: Sequence[Sequence[int]]) -> list[float]:
    """Median step of each block that holds any."""
    return [median(block) for block in blocks if block]


def medians_by_launch(evidence: Evidence, role: Role) -> list[list[float]]:
    """Median step of each block of a side that counts, over the median of its launch: one list a launch of three or more."""
    blocks = evidence.plain_ns.get(role, ())
    found: dict[int, list[float]] = {}
    for block, launch in zip(blocks, evidence.block_launches.get(role) or (0,) * len(blocks), strict=True):
        if block:
            found.setdefault(launch, []).append(median(block))
    middles = {launch: median(its) for launch, its in found.items() if len(its) >= _THIRDS}
    return [[its / middle for its in found[launch]] for launch, middle in middles.items() if middle]


def spread(evidence: Evidence, role: Role) -> float:
    """Interquartile range of the block medians of a side over that of their launch; 0 for too few blocks."""
    medians = [value for launch in medians_by_launch(evidence, role) for value in launch]
    if len(medians) < LEAST_BLOCKS:
        return 0.0
    low, _, high = quantiles(medians, n=4, method="inclusive")
    return high - low


def drift(evidence: Evidence, role: Role) -> float | None:
    """Relative change of a side from the first third of the blocks of a launch to the last; None for too few blocks."""
    launches = medians_by_launch(evidence, role)
    thirds = [(its[: len(its) // _THIRDS], its[-(len(its) // _THIRDS) :]) for its in launches]
    if sum(map(len, launches)) < LEAST_BLOCKS:
        return None
    first, last = (median(value for third in side for value in third) for side in zip(*thirds, strict=True))
    return (last - first) / first if first else None


def is_watched(evidence: Evidence, field: str) -> bool:
    """Whether something was counted beside the blocks: a field of `attrib.model.disturbance.BlockEvidence`.

    What the blocks say of themselves is worth more than what was seen before and after all of them.
    """
    machine = evidence.machine
    return machine is not None and machine.watched > 0 and UNSEEN_NAMES[field] not in machine.unseen


def load_per_core(manifest: Manifest) -> float:
    """Load before or after the capture, the larger, over the usable cores; 0 where either is unknown."""
    environment = manifest.environment
    load = max(environment.load_before, environment.load_after)
    return load / environment.usable_cores if environment.usable_cores else 0.0


def threads_by_role(manifest: Manifest) -> Mapping[Role, int]:
    """Intra-op threads of the sides that ran to the end and noted them."""
    sides = manifest.sides.items()
    return {role: side.threads for role, side in sides if side.state == "complete" and side.threads}
