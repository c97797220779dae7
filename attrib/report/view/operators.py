"""The table of matched operators: ledger rows, the small ones rolled up into one that keeps the sum."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from attrib.model.document import LedgerRow
from attrib.model.provenance import RegionTrail
from attrib.report.view.text import anchor

ROW_LIMIT = 500
CONTRADICTS = " DIFFER"
"""What a line of a match's evidence holds where the two sides contradict each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorRow:
    """One ledger row, the id by which links find it, its place in the document, and what rewrote its nodes.

    `same` is an earlier row of the region that says the same of match and rewrites, so that a page need not repeat it.
    """

    anchor: str
    row: LedgerRow
    place: int = -1
    steps: tuple[str, ...] = ()
    same: "OperatorRow | None" = None

    @property
    def half_ns(self) -> int:
        """Half-width of the interval: its wider side."""
        row = self.row
        return max(row.high_ns - row.delta_ns, row.delta_ns - row.low_ns, 0)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Why the two sides belong together; the row's own module is not named again."""
        prefix = f"module {self.row.module}: "
        return tuple(line.removeprefix(prefix) for line in self.row.match.evidence)

    @property
    def contradicted(self) -> bool:
        """The sides read or compute tensors that cannot be the same."""
        return any(CONTRADICTS in line for line in self.row.match.evidence)

    @property
    def noise(self) -> bool:
        """The interval holds 0."""
        return self.row.low_ns <= 0 <= self.row.high_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherRows:
    """The rows that the table does not show, summed."""

    count: int
    torch_ns: int
    onnxruntime_ns: int
    delta_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTable:
    """Rows by size of their delta, the rest in `other`, and the sums of all."""

    rows: tuple[OperatorRow, ...]
    other: OtherRows | None
    count: int
    torch_ns: int
    onnxruntime_ns: int
    delta_ns: int


def operator_table(
    ledger: Collection[LedgerRow],
    anchors: dict[str, str],
    *,
    trails: Collection[RegionTrail] = (),
    limit: int = ROW_LIMIT,
) -> OperatorTable:
    """The `limit` rows with the largest deltas (or, without deltas, times), and everything else as one row."""
    steps = {trail.id: _rewrites(trail) for trail in trails}
    places = {row.id: place for place, row in enumerate(ledger)}
    ordered = sorted(ledger, key=lambda r: (-abs(r.delta_ns), -max(r.torch_ns, r.onnxruntime_ns), r.id))
    keep = limit if len(ordered) <= limit else limit - 1
    hidden = ordered[keep:]
    return OperatorTable(
        rows=_with_same(
            OperatorRow(
                anchor=anchors[row.id], row=row, place=places[row.id], steps=steps.get(row.region, ())
            )
            for row in ordered[:keep]
        ),
        other=_summed(hidden) if hidden else None,
        count=len(ordered),
        torch_ns=sum(row.torch_ns for row in ordered),
        onnxruntime_ns=sum(row.onnxruntime_ns for row in ordered),
        delta_ns=sum(row.delta_ns for row in ordered),
    )


def _with_same(rows: Iterable[OperatorRow]) -> tuple[OperatorRow, ...]:
    first: dict[tuple[object, ...], OperatorRow] = {}
    found = []
    for item in rows:
        told = (item.row.region, item.row.match, item.steps)
        found.append(replace(item, same=first.get(told)))
        first.setdefault(told, item)
    return tuple(found)


def _rewrites(trail: RegionTrail) -> tuple[str, ...]:
    """What was done to a region's nodes, each sentence once; empty where nothing was."""
    return tuple(dict.fromkeys(step.text for step in trail.steps if step.kind != "unchanged"))


def _summed(rows: Collection[LedgerRow]) -> OtherRows:
    return OtherRows(
        count=len(rows),
        torch_ns=sum(row.torch_ns for row in rows),
        onnxruntime_ns=sum(row.onnxruntime_ns for row in rows),
        delta_ns=sum(row.delta_ns for row in rows),
    )


def unique_anchors(ids: Iterable[str]) -> dict[str, str]:
    """A link fragment for every id; ids that would share one are told apart by a count."""
    taken: set[str] = set()
    anchors: dict[str, str] = {}
    for name in ids:
        if name in anchors:
            continue
        wanted, number = anchor(name), 1
        fragment = wanted
        while fragment in taken:
            number += 1
            fragment = f"{wanted}~{number}"
        taken.add(fragment)
        anchors[name] = fragment
    return anchors
