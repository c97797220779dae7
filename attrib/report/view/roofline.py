"""How far either engine is from what the machine can do: kinds of operators against measured peaks, on logarithmic axes."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from attrib.analysis.attribution.roofline.peaks import machine_limits
from attrib.model.document import Document, LedgerRow
from attrib.model.manifest import ROLES, Role
from attrib.model.roofline import Bound, Peaks, Roofline
from attrib.report.view.text import count_names
from attrib.report.view.verdict import side_names
from attrib.units import format_ns, whole_percent

MOST_KINDS = 12
"""Kinds of operators that the chart shows, those that take longest: the others change no decision."""

BOUNDS: dict[Bound, str] = {
    "compute": "arithmetic",
    "memory": "memory",
    "cache": "cache",
    "latency": "too small to tell",
}
_SCALES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_LAST_OF_A_SCALE = 999.5


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """Ledger rows with the same operators and tensors, summed.

    Attributes:
        number: By which the chart and the table name it.
        label: The operators.
        shapes: Its tensors, the matrices first.
        count: How many rows.
        row: The one that takes longest.
        ops: Arithmetic operations of all of them.
        bytes: Bytes that they move at least.
        limit_ns: The least time for all of them.
        bound: What sets the limit.
        times_ns: Either side's time.
        shares: Share of the limit that either side reaches, with its own arithmetic.
    """

    number: int
    label: str
    shapes: str
    count: int
    row: str
    ops: int
    bytes: int
    limit_ns: int
    bound: Bound
    times_ns: dict[Role, int]
    shares: dict[Role, float]

    @property
    def intensity(self) -> float:
        """Operations for each byte that is moved."""
        return self.ops / self.bytes if self.bytes else 0.0

    def rate(self, role: Role) -> float:
        """Operations a second on one side; 0 where it has no time."""
        spent = self.times_ns[role]
        return self.ops / spent * 1e9 if spent > 0 else 0.0


class RooflineView(msgspec.Struct, frozen=True, kw_only=True):
    """The section about the limits of the machine: what is drawn, and what is said.

    Attributes:
        kinds: The kinds of operators, the most costly first.
        more: How many others there are.
        peaks: What the machine can do, for either side.
        measured: The same in words, one a line.
        above: Some share is above 100 %.
        line: The whole in one sentence, for renderings without a chart; empty where nothing is bound by arithmetic.
        rows: For each ledger row: its limit, what sets it, and the shares that are reached.
    """

    kinds: tuple[Kind, ...]
    more: int
    peaks: dict[Role, Peaks]
    measured: tuple[str, ...]
    above: bool
    line: str
    rows: dict[str, str]


def roofline_of(document: Document) -> RooflineView | None:
    """The view of a document's rooflines; None where no peaks were measured or no row has a limit."""
    peaks = machine_limits(document.sides)
    if not document.rooflines or not peaks:
        return None
    names = side_names(document)
    kinds = kinds_of(document)
    return RooflineView(
        kinds=kinds[:MOST_KINDS],
        more=max(len(kinds) - MOST_KINDS, 0),
        peaks=peaks,
        measured=describe_peaks(peaks),
        above=any(share > 1 for kind in kinds[:MOST_KINDS] for share in kind.shares.values()),
        line=describe_arithmetic(document),
        rows={row: describe_limit(limit, names) for row, limit in document.rooflines.items()},
    )


def kinds_of(document: Document) -> tuple[Kind, ...]:
    """Put the rows with a limit together by operators and tensors, those that take longest first."""
    groups: dict[tuple[object, ...], list[LedgerRow]] = defaultdict(list)
    for row in document.ledger:
        if row.id in document.rooflines:
            key = (tuple(sorted(row.torch_ops)), tuple(sorted(row.onnx_ops)), tuple(sorted(row.shapes)))
            groups[key].append(row)
    ordered = sorted(
        groups.values(),
        key=lambda rows: (-max(sum(_time(row, role) for row in rows) for role in ROLES), rows[0].id),
    )
    return tuple(sum_kind(number, rows, document.rooflines) for number, rows in enumerate(ordered, start=1))


def sum_kind(number: int, rows: Sequence[LedgerRow], limits: dict[str, Roofline]) -> Kind:
    """Sum up rows with the same operators and tensors."""
    its = [limits[row.id] for row in rows]
    first = max(rows, key=lambda row: (max(row.torch_ns, row.onnxruntime_ns), row.id))
    matrices = [shape for shape in first.shapes if "×" in shape] or list(first.shapes)
    sides = (", ".join(count_names(ops)) for ops in (first.torch_ops, first.onnx_ops))
    return Kind(
        number=number,
        label=" → ".join(filter(None, sides)),
        shapes=", ".join(matrices[:2]),
        count=len(rows),
        row=first.id,
        ops=sum(limit.ops for limit in its),
        bytes=sum(limit.bytes for limit in its),
        limit_ns=sum(limit.limit_ns for limit in its),
        bound=Counter(limit.bound for limit in its).most_common(1)[0][0],
        times_ns={role: sum(_time(row, role) for row in rows) for role in ROLES},
        shares={role: share for role in ROLES if (share := _share(rows, its, role)) is not None},
    )


def _time(row: LedgerRow, role: Role) -> int:
    return row.torch_ns if role == "torch" else row.onnxruntime_ns


def _row_share(limit: Roofline, role: Role) -> float | None:
    return limit.torch_share if role == "torch" else limit.onnxruntime_share


def _share(rows: Sequence[LedgerRow], limits: Sequence[Roofline], role: Role) -> float | None:
    """Their limits divided by their time, on one side; None where that has no such work."""
    pairs = zip(rows, limits, strict=True)
    known = [(_time(row, role), share) for row, limit in pairs if (share := _row_share(limit, role))]
    spent = sum(time for time, _ in known)
    return sum(share * time for time, share in known) / spent if spent > 0 else None


def describe_arithmetic(document: Document) -> str:
    """The share of the peak rate that work bound by arithmetic reached; empty where there is none."""
    names = side_names(document)
    bound = [
        (row, limit) for row in document.ledger
        if (limit := document.rooflines.get(row.id)) is not None and limit.bound == "compute"
    ]  # fmt: skip
    rows, limits = [row for row, _ in bound], [limit for _, limit in bound]
    told = [
        f"{names[role]} {whole_percent(share)}"
        for role in ROLES
        if (share := _share(rows, limits, role)) is not None
    ]
    return "Share of this machine's peak arithmetic rate: " + ", ".join(told) if told else ""


def describe_limit(limit: Roofline, names: dict[Role, str]) -> str:
    """The limit of one row and what each side reached, in the order of the table's columns.

    It is short, because it stands in every row of a page.
    """
    shares = {role: share for role in ROLES if (share := _row_share(limit, role)) is not None}
    told = [whole_percent(share) for share in shares.values()]
    if len(shares) == 1:
        told[0] += f" in {names[next(iter(shares))]}"
    return f"{format_ns(limit.limit_ns)} ({BOUNDS[limit.bound]}): " + " and ".join(told)


def describe_peaks(peaks: dict[Role, Peaks]) -> tuple[str, ...]:
    """Put the peaks into words, each once, e.g. `float32 products 450 GFLOP/s`."""
    lines: dict[str, None] = {}
    for limit in peaks.values():
        for dtype, rate in limit.products.items():
            arithmetic = f" ({rate.math})" if rate.math else ""
            lines[f"{dtype} products {format_rate(rate.per_s, 'FLOP/s')}{arithmetic}"] = None
        for stream, name in zip((limit.streams[-1:], limit.streams[:-1]), ("memory", "cache"), strict=True):
            if stream:
                best = max(stream, key=lambda s: s.rate.per_s)
                lines[f"{name} {format_rate(best.rate.per_s, 'B/s')}"] = None
    return tuple(lines)


def format_rate(per_s: float, unit: str) -> str:
    """A rate for a reader, e.g. `450 GFLOP/s`."""
    size, prefix = next((row for row in _SCALES if per_s >= row[0]), _SCALES[-1])
    value = per_s / size
    return (f"{value:.3g}" if value < _LAST_OF_A_SCALE else f"{value:.0f}") + f" {prefix}{unit}"
