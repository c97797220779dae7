"""Sums of a side's segments by ledger row: the estimates, and every column, without a table of all segments in memory.

A ledger of 10,000 rows of one launch has 10 million resampled deltas. They are made some rows at a time, straight into the
table that is kept, so that nothing else of that size exists. Each sum adds its segments one after another in the row's
order: the same digits however many rows are done at once.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from attrib.analysis.attribution.device.parts import DEVICE_PARTS
from attrib.analysis.attribution.ledger.rows import SideTimes
from attrib.analysis.attribution.ledger.sampling import Floats, Int64s, Sampling
from attrib.analysis.match.ops import OpRole, role
from attrib.model.device import SPENT, Spent
from attrib.model.document import Cause
from attrib.model.manifest import ROLES, Role
from attrib.model.work import Partition

# Segments: the smallest pieces of a side's steps whose times the ledger adds up.
#
# On a processor there is one for each unit of work and one for each part of the framework. Where a device did the work,
# a unit has a segment for each way in which its time was spent, and these go to rows of different causes.


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


class Segments(msgspec.Struct, frozen=True, eq=False):
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

    def ids(self, partition: Partition) -> tuple[str, ...]:
        """The call or node behind each segment, or the region of its part."""
        owners = (*(work.id for work in partition.work), *map(framework_region, partition.parts))
        return tuple(owners[i] for i in self.owner.tolist())


def framework_region(part: str) -> str:
    """The region that stands for a part of the framework, or of a device."""
    return f"({'device' if part in DEVICE_PARTS else 'framework'})/{part}"


def segments_of(partition: Partition) -> Segments:
    """The segments of a partition."""
    if partition.split is None:
        samples = np.vstack([partition.work_ns, partition.parts_ns]).astype(np.float64)
        count = len(samples)
        return Segments(np.arange(count), (None,) * count, samples, np.ones(count, dtype=np.int64))
    units: list[tuple[int, Cause | None, Int64s, int]] = []
    for i, work in enumerate(partition.work):
        for spent in SPENT:
            ns = partition.split.work_ns[spent][i]
            # None stands for the cause of the unit's row.
            own = spent in _OWN_CAUSE or role(work) in _WHOLE
            if ns.any():
                units.append((i, None if own else _CAUSES[spent], ns, int(spent in _PAYS)))
    parts = [(len(partition.work) + k, None, ns, 1) for k, ns in enumerate(partition.parts_ns)]
    owner, cause, times, pays = zip(*units, *parts, strict=True)
    return Segments(np.array(owner), cause, np.stack(list(times)).astype(np.float64), np.array(pays))


ROWS_AT_ONCE = 1024
_UNROLLED = 8
"""From this many values on numpy adds in pairs, so that the digits are those of its sum and no other."""

Rows = Sequence[Mapping[Role, Sequence[int]]]
"""Positions of the segments of each row, by side."""


def row_values(rows: Rows, role: Role, times: SideTimes) -> list[float]:
    """The estimate of each row on one side, nanoseconds."""
    listed = times.values.tolist()
    found = []
    for row in rows:
        segments = row.get(role, ())
        if len(segments) >= _UNROLLED:
            found.append(float(times.values[list(segments)].sum()))
            continue
        total = 0.0
        for segment in segments:
            total += listed[segment]
        found.append(total)
    return found


def row_deltas(
    rows: Rows, times: Mapping[Role, SideTimes], columns: int, places: Sequence[int] | Int64s, table: Floats
) -> dict[Role, Floats]:
    """Write the deltas (second side minus first) of some rows in each column into a table; return the sums of each side.

    Args:
        rows: The rows.
        times: The segments of the sides that there are.
        columns: Columns of the table.
        places: Where in the table each row goes.
        table: float64 `[rows or more, columns]`.
    """
    sums = {role: np.zeros(columns) for role in ROLES}
    where = np.asarray(places, dtype=np.int64)
    for chunk in _chunks(len(rows)):
        sides = {role: _replicates(rows[chunk], role, times, columns) for role in ROLES}
        for side, found in sides.items():
            sums[side] = np.add.reduce(np.vstack([sums[side], found]), axis=0)
        table[where[chunk]] = sides["onnxruntime"] - sides["torch"]
    return sums


def row_intervals(estimates: Sequence[int], table: Floats, sampling: Sampling) -> list[tuple[int, int]]:
    """The interval of each row of a table around its estimate."""
    found: list[tuple[int, int]] = []
    for chunk in _chunks(len(estimates)):
        found += sampling.intervals(estimates[chunk], table[chunk])
    return found


def _chunks(rows: int) -> Iterator[slice]:
    """Slices of about the same length: a last one of a single row would be multiplied by another routine."""
    count = max(-(-rows // ROWS_AT_ONCE), 1)
    bounds = [rows * i // count for i in range(count + 1)]
    return (slice(first, last) for first, last in pairwise(bounds))


def _replicates(rows: Rows, role: Role, times: Mapping[Role, SideTimes], columns: int) -> Floats:
    """Time of each row on one side in each column `[rows, columns]`."""
    segments = [segment for row in rows for segment in row.get(role, ())]
    found = np.zeros((len(rows), columns))
    if role in times and segments:
        counts = np.array([len(row.get(role, ())) for row in rows], dtype=np.int64)
        add_by_group(found, counts, times[role].replicates(segments))
    return found


def add_by_group(sums: Floats, counts: Int64s, values: Floats) -> None:
    """Add rows of `values` to rows of `sums`: the first `counts[0]` to the first, and so on, each in its order.

    The n-th of every group are added at once, which is what `np.add.at` does many times slower.
    """
    starts = np.cumsum(counts) - counts
    groups = np.flatnonzero(counts)
    for nth in range(int(counts.max(initial=0))):
        groups = groups[counts[groups] > nth]
        sums[groups] += values[starts[groups] + nth]
