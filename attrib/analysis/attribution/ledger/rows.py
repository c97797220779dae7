"""What a ledger is: its rows, the columns behind their intervals, and the times that they are sums of."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
import numpy as np

from attrib.analysis.attribution.ledger.sampling import Floats, Sampling
from attrib.errors import InternalError
from attrib.model.document import Cause, CauseRow, LedgerRow
from attrib.model.estimate import Delta
from attrib.model.manifest import ROLES, Role


@dataclass(frozen=True, slots=True, eq=False)
class Ledger:
    """Rows with their replicates `[rows, columns]` of the delta.

    Attributes:
        rows: The rows; the largest absolute delta first, the overhead last.
        replicates: Deltas in each column of the sampling, nanoseconds.
        sampling: What the columns are, and the interval that follows from them.
        sides: Times of every segment of each side (work first, then framework parts), of which the rows are sums.
        work_ids: Ids of each side's calls or nodes, then the regions of its parts, in the order of its segments. Where a
            device did the work, a call or node has several segments.
        members: Positions of the segments behind each row, by side.
    """

    rows: tuple[LedgerRow, ...]
    replicates: Floats
    sampling: Sampling
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
        low, high = self.sampling.interval(delta, self.replicates[positions].sum(axis=0))
        return Delta(median=delta, low=low, high=high)

    def times(self, role: Role) -> dict[str, float]:
        """Time of each call, node and part of a side by its id, nanoseconds."""
        found: dict[str, float] = {}
        values = self.sides[role].values.tolist() if role in self.sides else []
        for name, value in zip(self.work_ids.get(role, ()), values, strict=True):
            found[name] = found.get(name, 0.0) + value
        return found

    def work(self, role: Role, ids: Iterable[str], *, drift: bool = True) -> Delta:
        """Time of the named calls or nodes on one side, with the 95 % interval of that sum (see `Sampling.interval`)."""
        return self.weigh({role: dict.fromkeys(ids, 1.0)}, drift=drift)

    def weigh(self, weights: Mapping[Role, Mapping[str, float]], *, drift: bool = True) -> Delta:
        """Sum of the times of calls and nodes, each times its weight, with the 95 % interval of that sum.

        A negative weight takes away: what some nodes take beyond others of the same kind.
        """
        total, drawn = 0.0, np.zeros(self.replicates.shape[1])
        for role, its in weights.items():
            chosen, factors = self._segments_of(role, its)
            if chosen:
                total += float(self.sides[role].values[chosen] @ factors)
                drawn = drawn + factors @ self.sides[role].replicates(chosen)
        low, high = self.sampling.interval(round(total), drawn, drift=drift)
        return Delta(median=round(total), low=low, high=high)

    def within(self, row: int, role: Role, ids: Iterable[str]) -> tuple[int, Floats]:
        """Time of the named calls or nodes as far as it is in one row (its position): in all, and in each column."""
        chosen, factors = self._segments_of(role, dict.fromkeys(ids, 1.0))
        if self.members:
            own = set(self.members[row].get(role, ()))
            chosen = [i for i in chosen if i in own]
            factors = np.ones(len(chosen))
        if not chosen:
            return 0, np.zeros(self.replicates.shape[1])
        side = self.sides[role]
        return round(float(side.values[chosen] @ factors)), np.asarray(factors @ side.replicates(chosen))

    def _segments_of(self, role: Role, weights: Mapping[str, float]) -> tuple[list[int], Floats]:
        """Segments of the named work, and their weights."""
        known = self._segments.get(role)
        if known is None:
            known = self._segments[role] = {}
            for i, name in enumerate(self.work_ids.get(role, ())):
                known.setdefault(name, []).append(i)
        found = sorted((i, weight) for name, weight in weights.items() for i in known.get(name, ()))
        return [i for i, _ in found], np.array([weight for _, weight in found])

    def without(self, rows: Collection[str], works: Collection[str]) -> "Ledger":
        """What is left of the ledger without whole rows, and without single calls and nodes of others.

        Args:
            rows: Ids of rows to leave out.
            works: Ids of calls and nodes to leave out wherever they are; a row of which nothing is left goes with them.

        Returns:
            A ledger whose rows keep their ids; its sums are those of what is left, with their intervals.
        """
        left_out, gone = set(rows), set(works)
        kept, replicates = [], []
        members: list[Mapping[Role, Sequence[int]]] = []
        for i, row in enumerate(self.rows):
            if row.id in left_out:
                continue
            taken = {role: [w for w in _works(row, role) if w in gone] for role in ROLES}
            if not any(taken.values()):
                kept.append(row)
                replicates.append(self.replicates[i])
                members += self.members[i : i + 1]
            elif any(w not in gone for role in ROLES for w in _works(row, role)):
                (ours, our), (theirs, their) = (self.within(i, role, taken[role]) for role in ROLES)
                fewer = self.replicates[i] - (their - our)
                kept.append(self._reduce(row, taken, (ours, theirs), fewer))
                replicates.append(fewer)
                # The segments whose work stays.
                members += [
                    {
                        role: [k for k in its if self.work_ids[role][k] not in gone]
                        for role, its in positions.items()
                    }
                    for positions in self.members[i : i + 1]
                ]
        table = np.array(replicates).reshape(len(kept), self.replicates.shape[1])
        return Ledger(tuple(kept), table, self.sampling, self.sides, self.work_ids, tuple(members))

    def _reduce(
        self, row: LedgerRow, taken: dict[Role, list[str]], spent: tuple[int, int], replicates: Floats
    ) -> LedgerRow:
        """A row without some of its work, which spent so much on either side."""
        torch_ns = max(row.torch_ns - spent[0], 0)
        ort_ns = max(row.onnxruntime_ns - spent[1], 0)
        calls, call_ops = _left(row.torch_calls, row.torch_ops, taken["torch"])
        nodes, node_ops = _left(row.onnx_nodes, row.onnx_ops, taken["onnxruntime"])
        low, high = self.sampling.interval(ort_ns - torch_ns, replicates)
        return msgspec.structs.replace(
            row,
            torch_calls=calls,
            torch_ops=call_ops,
            onnx_nodes=nodes,
            onnx_ops=node_ops,
            torch_ns=torch_ns,
            onnxruntime_ns=ort_ns,
            delta_ns=ort_ns - torch_ns,
            low_ns=low,
            high_ns=high,
        )

    def causes(self, rows: Iterable[LedgerRow] | None = None) -> tuple[CauseRow, ...]:
        """Rows (all of them, or those given) summed by cause, the largest absolute delta first."""
        members: dict[Cause, list[LedgerRow]] = {}
        for row in self.rows if rows is None else rows:
            members.setdefault(row.cause, []).append(row)
        summed = []
        for cause, its in members.items():
            total = self.total(row.id for row in its)
            summed.append(
                CauseRow(
                    cause=cause,
                    torch_ns=sum(row.torch_ns for row in its),
                    onnxruntime_ns=sum(row.onnxruntime_ns for row in its),
                    delta_ns=total.median,
                    low_ns=total.low,
                    high_ns=total.high,
                )
            )
        return tuple(sorted(summed, key=lambda row: (-abs(row.delta_ns), row.cause)))

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


class SideTimes(msgspec.Struct, frozen=True, eq=False):
    """Time of every segment of one side (work first, then framework parts), nanoseconds.

    Attributes:
        values: The estimate `[segments]`.
        samples: Each profiled step, the cost of recording removed `[segments, steps]`.
        weights: Weights of the steps in each column `[steps, columns]`.
    """

    values: Floats
    samples: Floats
    weights: Floats

    def replicates(self, segments: Sequence[int]) -> Floats:
        """Times of some segments in each column `[segments, columns]`."""
        return np.asarray(self.samples[list(segments)] @ self.weights)


def _works(row: LedgerRow, role: Role) -> tuple[str, ...]:
    return row.torch_calls if role == "torch" else row.onnx_nodes


def _left(
    works: Sequence[str], ops: Sequence[str], taken: Collection[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids and ops of what is left."""
    pairs = [(work, op) for work, op in zip(works, ops, strict=True) if work not in taken]
    return tuple(work for work, _ in pairs), tuple(op for _, op in pairs)
