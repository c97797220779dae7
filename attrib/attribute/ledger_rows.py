"""What a ledger is: its rows, the resamples behind their intervals, and the times that they are sums of."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from attrib.attribute.bootstrap import Floats, interval
from attrib.errors import InternalError
from attrib.model.document import Cause, CauseRow, LedgerRow
from attrib.model.estimate import Delta
from attrib.model.manifest import Role


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """Rows with their replicates `[rows, resamples]` of the delta.

    Attributes:
        rows: The rows; the largest absolute delta first, the overhead last.
        replicates: Deltas in each resample, nanoseconds.
        blocks: Number of blocks behind the intervals.
        sides: Times of every segment of each side (work first, then framework parts), of which the rows are sums.
        work_ids: Ids of each side's calls or nodes, then the regions of its parts, in the order of its segments. Where a
            device did the work, a call or node has several segments.
        members: Positions of the segments behind each row, by side.
    """

    rows: tuple[LedgerRow, ...]
    replicates: Floats
    blocks: int
    sides: Mapping[Role, "SideTimes"] = field(default_factory=dict)
    work_ids: Mapping[Role, tuple[str, ...]] = field(default_factory=dict)
    members: tuple[Mapping[Role, Sequence[int]], ...] = ()
    _position: dict[str, int] = field(init=False)
    _segments: dict[Role, dict[str, list[int]]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_position", {row.id: i for i, row in enumerate(self.rows)})
        object.__setattr__(self, "_segments", {})

    def total(self, ids: Iterable[str]) -> Delta:
        """Sum of the deltas of the named rows, with the 95 % interval of that sum."""
        positions = [self._position[row] for row in dict.fromkeys(ids)]
        if not positions:
            return Delta(median=0, low=0, high=0)
        delta = sum(self.rows[i].delta_ns for i in positions)
        low, high = interval(delta, self.replicates[positions].sum(axis=0), self.blocks)
        return Delta(median=delta, low=low, high=high)

    def times(self, role: Role) -> dict[str, float]:
        """Time of each call, node and part of a side by its id, nanoseconds."""
        found: dict[str, float] = {}
        values = self.sides[role].values.tolist() if role in self.sides else []
        for name, value in zip(self.work_ids.get(role, ()), values, strict=True):
            found[name] = found.get(name, 0.0) + value
        return found

    def work(self, role: Role, ids: Iterable[str]) -> Delta:
        """Time of the named calls or nodes on one side, with the 95 % interval of that sum."""
        return self.weighted({role: dict.fromkeys(ids, 1.0)})

    def weighted(self, weights: Mapping[Role, Mapping[str, float]]) -> Delta:
        """Sum of the times of calls and nodes, each times its weight, with the 95 % interval of that sum.

        A negative weight takes away: what some nodes take beyond others of the same kind.
        """
        total, drawn = 0.0, np.zeros(self.replicates.shape[1])
        for role, its in weights.items():
            chosen, factors = self._chosen(role, its)
            if chosen:
                total += float(self.sides[role].values[chosen] @ factors)
                drawn = drawn + factors @ self.sides[role].replicates(chosen)
        low, high = interval(round(total), drawn, self.blocks)
        return Delta(median=round(total), low=low, high=high)

    def within(self, row: int, role: Role, ids: Iterable[str]) -> tuple[int, Floats]:
        """Time of the named calls or nodes as far as it is in one row (its position): in all, and in each resample."""
        chosen, factors = self._chosen(role, dict.fromkeys(ids, 1.0))
        if self.members:
            own = set(self.members[row].get(role, ()))
            chosen = [i for i in chosen if i in own]
            factors = np.ones(len(chosen))
        if not chosen:
            return 0, np.zeros(self.replicates.shape[1])
        side = self.sides[role]
        return round(float(side.values[chosen] @ factors)), np.asarray(factors @ side.replicates(chosen))

    def _chosen(self, role: Role, weights: Mapping[str, float]) -> tuple[list[int], Floats]:
        """Segments of the named work, and their weights."""
        known = self._segments.get(role)
        if known is None:
            known = self._segments[role] = {}
            for i, name in enumerate(self.work_ids.get(role, ())):
                known.setdefault(name, []).append(i)
        found = sorted((i, weight) for name, weight in weights.items() for i in known.get(name, ()))
        return [i for i, _ in found], np.array([weight for _, weight in found])

    def without(self, rows: Collection[str], works: Collection[str]) -> "Ledger":
        """What is left of the ledger without whole rows, and without single calls and nodes of others."""
        from attrib.attribute.remaining import without

        return without(self, rows, works)

    def causes(self, rows: Iterable[LedgerRow] | None = None) -> tuple[CauseRow, ...]:
        """Rows (all of them, or those given) summed by cause, the largest absolute delta first."""
        members: dict[Cause, list[LedgerRow]] = {}
        for row in self.rows if rows is None else rows:
            members.setdefault(row.cause, []).append(row)
        summed = [self._cause(cause, rows) for cause, rows in members.items()]
        return tuple(sorted(summed, key=lambda row: (-abs(row.delta_ns), row.cause)))

    def _cause(self, cause: Cause, rows: Sequence[LedgerRow]) -> CauseRow:
        total = self.total(row.id for row in rows)
        return CauseRow(
            cause=cause,
            torch_ns=sum(row.torch_ns for row in rows),
            onnxruntime_ns=sum(row.onnxruntime_ns for row in rows),
            delta_ns=total.median,
            low_ns=total.low,
            high_ns=total.high,
        )

    def self_check(self, sums: Mapping[Role, int]) -> None:
        """Check that each side's rows sum to what they split, and every delta to its sides.

        Raises:
            InternalError: They do not.
        """
        owned = {
            "torch": sum(row.torch_ns for row in self.rows),
            "onnxruntime": sum(row.onnxruntime_ns for row in self.rows),
        }
        for role, total in sums.items():
            if owned[role] != total:
                raise InternalError(f"{role} rows sum to {owned[role]} ns, the step takes {total} ns")
        if any(row.delta_ns != row.onnxruntime_ns - row.torch_ns for row in self.rows):
            raise InternalError("a ledger row's delta is not the difference of its sides")


@dataclass(frozen=True, slots=True, eq=False)
class SideTimes:
    """Time of every segment of one side (work first, then framework parts), nanoseconds.

    Attributes:
        values: The estimate `[segments]`.
        samples: Each profiled step, the cost of recording removed `[segments, steps]`.
        resampled: Weights of the steps in each resample `[steps, resamples]`.
    """

    values: Floats
    samples: Floats
    resampled: Floats

    def replicates(self, segments: Sequence[int]) -> Floats:
        """Times of some segments in each resample `[segments, resamples]`."""
        return np.asarray(self.samples[list(segments)] @ self.resampled)
