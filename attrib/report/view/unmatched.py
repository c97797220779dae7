"""What has no counterpart: calls and nodes of either side with their time and the reason, largest first."""

from collections.abc import Iterable, Sequence

import msgspec

from attrib.model.document import Document, LedgerRow
from attrib.model.manifest import ROLES, Role
from attrib.model.provenance import RegionTrail
from attrib.report.view.modules import folded_path, place_key
from attrib.report.view.text import count_names, shorten
from attrib.units import Unit
from attrib.wording import counted

SHOWN = 23
"""Entries that a table shows; the others are summed."""
_REASON_LIMIT = 300


class UnmatchedWork(msgspec.Struct, frozen=True, kw_only=True):
    """Work of one side without a counterpart; the same work in repeated layers is one entry.

    Attributes:
        role: Which side ran it.
        where: The module, or the modules as one path.
        ops: What ran, e.g. `aten::dropout ×12`.
        count: Calls or nodes.
        ns: Their time per step.
        reason: Why nothing stands against it.
        rows: Ids of their ledger rows.
    """

    role: Role
    where: str
    ops: tuple[str, ...]
    count: int
    ns: int
    reason: str
    rows: tuple[str, ...]


class UnmatchedView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything without a counterpart: the entries by time, and each side's number of calls or nodes and their time."""

    entries: tuple[UnmatchedWork, ...]
    counts: dict[Role, int]
    times_ns: dict[Role, int]

    @property
    def shown(self) -> int:
        """How many entries a table shows."""
        return SHOWN

    @property
    def hidden(self) -> tuple[UnmatchedWork, ...]:
        """What a table leaves out."""
        return self.entries[SHOWN:]

    def sentence(self, names: dict[Role, str], unit: Unit) -> str:
        """The totals in one line."""
        if not self.entries:
            return "Every call and every node has a counterpart."
        parts = [
            f"{counted(count, 'call' if role == 'torch' else 'node')} of {names[role]} ({unit.text(self.times_ns[role])})"
            for role, count in self.counts.items()
            if count
        ]
        return f"{' and '.join(parts)} per step have no counterpart."


def unmatched_of(document: Document) -> UnmatchedView | None:
    """What has no counterpart; None where there is but one side, or the document does not tell."""
    if not document.regions or len(document.profiled) < len(ROLES):
        return None
    rows: dict[str, list[LedgerRow]] = {}
    for row in document.ledger:
        rows.setdefault(row.region, []).append(row)
    groups: dict[tuple[str, ...], list[RegionTrail]] = {}
    for trail in document.regions:
        if trail.reason:  # the same work in repeated layers is one group
            ops = (op for row in rows.get(trail.id, []) for op in (*row.torch_ops, *row.onnx_ops))
            groups.setdefault((place_key(trail.module), trail.reason, *ops), []).append(trail)
    entries = [
        entry
        for group in groups.values()
        for entry in unmatched_work(group, [row for trail in group for row in rows.get(trail.id, [])])
    ]
    entries.sort(key=lambda e: (-e.ns, e.role, e.where, e.ops))
    return UnmatchedView(
        entries=tuple(entries),
        counts={role: sum(e.count for e in entries if e.role == role) for role in document.profiled},
        times_ns={role: sum(e.ns for e in entries if e.role == role) for role in document.profiled},
    )


def unmatched_work(group: Sequence[RegionTrail], rows: Sequence[LedgerRow]) -> Iterable[UnmatchedWork]:
    """One entry for each side that ran something in a group of like regions with these rows."""
    sides: tuple[tuple[Role, list[str], int], ...] = (
        ("torch", [op for row in rows for op in row.torch_ops], sum(row.torch_ns for row in rows)),
        ("onnxruntime", [op for row in rows for op in row.onnx_ops], sum(row.onnxruntime_ns for row in rows)),
    )
    where = folded_path(trail.module for trail in group) or "(root)"
    for role, ops, ns in sides:
        if ops:
            yield UnmatchedWork(
                role=role,
                where=where,
                ops=count_names(ops),
                count=len(ops),
                ns=ns,
                reason=shorten(group[0].reason, _REASON_LIMIT),
                rows=tuple(row.id for row in rows),
            )
