"""How steady the measurement was: scatter and drift of the blocks, load of the machine, threads of the engines."""

from collections.abc import Mapping, Sequence
from statistics import median, quantiles

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


def block_medians(blocks: Sequence[Sequence[int]]) -> list[float]:
    """Median step of each block that holds any."""
    return [median(block) for block in blocks if block]


def spread(blocks: Sequence[Sequence[int]]) -> float:
    """Interquartile range of the block medians over their median; 0 for too few blocks."""
    medians = block_medians(blocks)
    if len(medians) < LEAST_BLOCKS:
        return 0.0
    low, middle, high = quantiles(medians, n=4, method="inclusive")
    return (high - low) / middle if middle else 0.0


def drift(blocks: Sequence[Sequence[int]]) -> float:
    """Relative change of the median from the first third of the blocks to the last; 0 for too few blocks."""
    medians = block_medians(blocks)
    third = len(medians) // 3
    if len(medians) < LEAST_BLOCKS:
        return 0.0
    first, last = median(medians[:third]), median(medians[-third:])
    return (last - first) / first if first else 0.0


def load_per_core(manifest: Manifest) -> float:
    """Load before or after the capture, the larger, over the usable cores; 0 where either is unknown."""
    environment = manifest.environment
    load = max(environment.load_before, environment.load_after)
    return load / environment.usable_cores if environment.usable_cores else 0.0


def threads_by_role(manifest: Manifest) -> Mapping[Role, int]:
    """Intra-op threads of the sides that ran to the end and noted them."""
    sides = manifest.sides.items()
    return {role: side.threads for role, side in sides if side.state == "complete" and side.threads}
