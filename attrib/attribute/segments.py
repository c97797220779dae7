"""Segments: the smallest pieces of a side's steps whose times the ledger adds up.

On a processor there is one for each unit of work and one for each part of the framework. Where a device did the work, a unit
has a segment for each way in which its time was spent, and these go to rows of different causes.
"""

from dataclasses import dataclass

import numpy as np

from attrib.attribute.bootstrap import Floats, Int64s
from attrib.match.ops import OpRole, role
from attrib.model.device import SPENT, Spent
from attrib.model.document import Cause
from attrib.model.work import Partition, Work

_OWN_CAUSE: frozenset[Spent] = frozenset({"kernel", "host"})
_CAUSES: dict[Spent, Cause] = {
    "copy": "memcpy",
    "sync": "memcpy",
    "allocation": "device_idle",
    "idle": "device_idle",
}
"""Cause of the time that a unit does not compute."""

_PAYS: frozenset[Spent] = frozenset({"host", "idle"})
"""What recording slows: the host, never the device."""

_WHOLE: frozenset[OpRole] = frozenset({"memcpy"})
"""Roles whose every instant has one cause: the launch of a copy is part of what the copy costs."""


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """The segments of one side, those of the work first.

    Attributes:
        owner: int64, the unit of each, or the part (counted behind the units).
        cause: The cause that each has of its own; None where that of its unit's row counts.
        samples: Time of each in each step, nanoseconds `[segments, steps]`.
        pays: Whether the cost of recording its owner lands in it.
    """

    owner: Int64s
    cause: tuple[Cause | None, ...]
    samples: Floats
    pays: Int64s


def segments_of(partition: Partition) -> Segments:
    """The segments of a partition."""
    if partition.split is None:
        samples = np.vstack([partition.work_ns, partition.parts_ns]).astype(np.float64)
        count = len(samples)
        return Segments(np.arange(count), (None,) * count, samples, np.ones(count, dtype=np.int64))
    units = [
        (i, _cause(work, spent), ns[i], int(spent in _PAYS))
        for i, work in enumerate(partition.work)
        for spent, ns in ((spent, partition.split.work_ns[spent]) for spent in SPENT)
        if ns[i].any()
    ]
    parts = [(len(partition.work) + k, None, ns, 1) for k, ns in enumerate(partition.parts_ns)]
    owner, cause, times, pays = zip(*units, *parts, strict=True)
    return Segments(np.array(owner), cause, np.stack(list(times)).astype(np.float64), np.array(pays))


def _cause(work: Work, spent: Spent) -> Cause | None:
    """The cause of time that a unit spent in some way; None for that of its row."""
    return None if spent in _OWN_CAUSE or role(work) in _WHOLE else _CAUSES[spent]
