"""The timelines of a document: the typical step of each side, each segment tied to its row of the ledger."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from attrib.analysis.attribution.ledger.segments import framework_region
from attrib.model.document import LedgerRow
from attrib.model.events import Int64s
from attrib.model.manifest import Role
from attrib.model.timeline import NO_OWNER, Lane, StepTimeline, TimelineLane
from attrib.model.work import Partition

MOST_SEGMENTS = 2_400
"""Segments of one side. BERT-base has 700 and 500, BERT-large twice as many: more is more than a screen can tell apart."""

MOST_LANES = 12
_REACH = 4
"""How many times the length below which a segment is small a merged one may reach."""

MOST_LABELS = 600
_LABEL_LENGTH = 160
_WAITING = frozenset({"device_idle", "memcpy"})


class LaneSegments(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Segments of one lane, merged or not: int64 columns as in `TimelineLane`, and none of them empty."""

    gaps: Int64s
    durations: Int64s
    rows: Int64s
    items: Int64s
    labels: Int64s
    counts: Int64s
    busy: Int64s

    @classmethod
    def from_lane(cls, lane: Lane, places: Int64s, numbers: Mapping[str, int]) -> "LaneSegments":
        """The segments of a lane, none merged: `places` are the rows of owners, `numbers` those of labels."""
        ends = lane.start_ns + lane.duration_ns
        labels = [numbers.get(label, -1) for label in lane.labels] or [-1] * len(ends)
        return cls(
            gaps=lane.start_ns - np.concatenate([[0], ends])[:-1],
            durations=lane.duration_ns,
            rows=places[lane.owner, 0],
            items=places[lane.owner, 1],
            labels=np.array(labels, dtype=np.int64),
            counts=np.ones(len(ends), dtype=np.int64),
            busy=lane.duration_ns,
        )

    def group_starts(self, limit: int) -> Int64s:
        """Where each group of segments begins, if those shorter than `limit` join their small neighbors."""
        first, reach, small = [], 0, False
        for i, (gap, length) in enumerate(zip(self.gaps.tolist(), self.durations.tolist(), strict=True)):
            tiny = length < limit
            if small and tiny and reach + gap + length <= _REACH * limit:
                reach += gap + length
                continue
            first.append(i)
            reach, small = length, tiny
        return np.array(first, dtype=np.int64)

    def merge(self, first: Int64s) -> "LaneSegments":
        """The segments with one for each group; `first` says where the groups begin."""
        if not len(first):
            return self
        counts = np.add.reduceat(self.counts, first)
        single = np.diff(first, append=len(self.durations)) == 1
        inner = self.gaps.copy()
        inner[first] = 0
        rows = np.minimum.reduceat(self.rows, first)
        same = rows == np.maximum.reduceat(self.rows, first)
        return LaneSegments(
            gaps=self.gaps[first],
            durations=np.add.reduceat(self.durations + inner, first),
            rows=np.where(same, rows, -1),
            items=np.where(single, self.items[first], 0),
            labels=np.where(single, self.labels[first], -1),
            counts=counts,
            busy=np.add.reduceat(self.busy, first),
        )

    def timeline_lane(self, lane: Lane) -> TimelineLane:
        """The lane as the document holds it: `lane` is where the segments come from."""
        merged = bool((self.counts > 1).any())
        return TimelineLane(
            kind=lane.kind,
            name=lane.name,
            gaps_ns=_integers(self.gaps) if self.gaps.any() else (),
            durations_ns=_integers(self.durations),
            rows=_integers(self.rows),
            items=_integers(self.items),
            counts=_integers(self.counts) if merged else (),
            busy_ns=_integers(self.busy) if merged else (),
            labels=_integers(self.labels) if (self.labels >= 0).any() else (),
        )


def timelines_of(
    partitions: Mapping[Role, Partition], ledger: Sequence[LedgerRow], most: int = MOST_SEGMENTS
) -> dict[Role, StepTimeline]:
    """The typical step of each side that has lanes.

    Args:
        partitions: What each side did.
        ledger: The rows, in the order of the document.
        most: Segments of one side; more are merged.
    """
    found: dict[Role, StepTimeline] = {}
    for role, partition in partitions.items():
        if partition.lanes is None:
            continue
        recorded, places = partition.lanes.lanes, _rows_of_owners(partition, role, ledger)
        # The first lane, and the busiest of the others, in their order.
        busiest = sorted(range(1, len(recorded)), key=lambda i: (-int(recorded[i].duration_ns.sum()), i))
        chosen = sorted([*range(min(len(recorded), 1)), *busiest[: MOST_LANES - 1]])
        lanes = [recorded[i] for i in chosen]
        labels = dict.fromkeys(label for lane in lanes for label in lane.labels)
        numbers = {label: number for number, label in enumerate(labels) if number < MOST_LABELS}
        segments = compact([LaneSegments.from_lane(lane, places, numbers) for lane in lanes], most)
        found[role] = StepTimeline(
            step=partition.lanes.step,
            wall_ns=partition.lanes.wall_ns,
            parts=partition.parts,
            labels=tuple(label[:_LABEL_LENGTH] for label in numbers),
            lanes=tuple(its.timeline_lane(lane) for lane, its in zip(lanes, segments, strict=True)),
            lanes_more=len(recorded) - len(lanes),
        )
    return found


def _rows_of_owners(partition: Partition, role: Role, ledger: Sequence[LedgerRow]) -> Int64s:
    """Row and item of every owner `[owners, 2]`; one more at the end for what has none."""
    found: dict[str, tuple[int, int]] = {}
    parts = {framework_region(part): part for part in partition.parts}
    # On a device a unit is in several rows: the one that holds its kernels is the last to say so.
    for place, row in sorted(enumerate(ledger), key=lambda item: item[1].cause not in _WAITING):
        ids = row.torch_calls if role == "torch" else row.onnx_nodes
        found |= {name: (place, item) for item, name in enumerate(ids)}
        if row.region in parts:
            found[parts[row.region]] = (place, NO_OWNER)
    works = [found.get(work.id, (-1, -1)) for work in partition.work]
    framework = [(found.get(part, (-1, -1))[0], -1 - k) for k, part in enumerate(partition.parts)]
    return np.array([*works, *framework, (-1, 0)], dtype=np.int64)


def compact(lanes: Sequence[LaneSegments], most: int) -> list[LaneSegments]:
    """Lanes with at most `most` segments together, if they have more: small neighbors become one.

    What counts as small is the same in all lanes, and as little as it can be (within a factor of two). A merged segment
    reaches no further than a few times that, so that what is large stays where it is. No time is lost: gaps and durations
    sum to what they did, and so do the durations within.
    """
    total = sum(len(lane.durations) for lane in lanes)
    if total <= most:
        return list(lanes)
    lengths = np.sort(np.concatenate([lane.durations for lane in lanes]))
    limit = max(int(lengths[max(total - most, 0) // 2]), 1)
    room = max(most, len(lanes))
    while True:
        groups = [lane.group_starts(limit) for lane in lanes]
        if sum(map(len, groups)) <= room:
            return [lane.merge(its) for lane, its in zip(lanes, groups, strict=True)]
        limit *= 2


def _integers(column: Int64s) -> tuple[int, ...]:
    return tuple(column.tolist())
