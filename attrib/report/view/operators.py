"""The table of matched operators: its rows, the lines that fold them, and its columns.

The rows are those of the ledger. A line stands for what repeated layers do alike; the small lines are rolled up into one
that keeps the sum. The columns are declared in `COLUMNS`, and the page and the Markdown follow that declaration: to add a
column, add a row there.
"""

from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from attrib.model.document import CAUSES, LedgerRow
from attrib.model.manifest import Role
from attrib.model.repeats import fold_repeats, pattern_of
from attrib.report.view.text import anchor, count_names
from attrib.units import Unit, format_ends, format_percent

ROW_LIMIT = 500
"""Rows that the data of a page holds where it must stay small."""

LINES = 23
"""Lines of a table. With one that sums the others, and the sum, no table is longer than 25 lines."""

CONTRADICTS = " DIFFER"
"""What a line of a match's evidence holds where the two sides contradict each other."""


class OperatorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger row, the id by which links find it, and its place in the document."""

    anchor: str
    row: LedgerRow
    place: int = -1

    @property
    def contradicted(self) -> bool:
        """Whether the sides read or compute tensors that cannot be the same."""
        return _contradicted(self.row)

    @property
    def noise(self) -> bool:
        """Whether the interval holds 0."""
        return self.row.low_ns <= 0 <= self.row.high_ns


class OperatorLine(OperatorRow, frozen=True, kw_only=True):
    """What repeated layers do alike: `row` holds the sums of its rows and the weakest of their matches.

    Attributes:
        members: Positions of its rows in the table, the largest first.
        least_ns: The smallest delta of a row.
        most_ns: The largest.
    """

    members: tuple[int, ...]
    least_ns: int
    most_ns: int

    @property
    def mean_ns(self) -> int:
        """The mean delta of its rows."""
        return round(self.row.delta_ns / len(self.members))

    def spread(self, unit: Unit) -> str:
        """The mean of its rows, and the smallest and largest, e.g. `mean +0.2, −0.1 to +0.4`; empty of a single row."""
        if len(self.members) == 1:
            return ""
        mean, least, most = (unit.number(ns, sign=True) for ns in (self.mean_ns, self.least_ns, self.most_ns))
        return f"mean {mean}, {least} to {most}"


class RowSums(msgspec.Struct, frozen=True):
    """How many ledger rows, and the sums of their times."""

    count: int
    torch_ns: int
    onnxruntime_ns: int
    delta_ns: int


def sum_rows(rows: Collection[LedgerRow]) -> RowSums:
    """Add up ledger rows."""
    return RowSums(
        count=len(rows),
        torch_ns=sum(row.torch_ns for row in rows),
        onnxruntime_ns=sum(row.onnxruntime_ns for row in rows),
        delta_ns=sum(row.delta_ns for row in rows),
    )


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """What a column shows of one row: a text, or names in a list, and behind it a remark; `alarming` if it is bad news.

    `detail` is what a pointer that rests on it is told.
    """

    text: str = ""
    names: tuple[str, ...] = ()
    remark: str = ""
    alarming: bool = False
    detail: str = ""


class TableColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column of the operator table.

    Attributes:
        key: By which code finds it.
        title: Its heading; `{torch}` and `{onnxruntime}` become the names of the sides.
        cell: What it shows of a row, in the unit of the tables.
        figure: Figures are aligned right and sorted by size, the largest first; all else is sorted by its text.
        colored: Figures with a sign are colored by it.
        small: In small type.
        width: Percent of the table's width; 0 for what the others leave.
        total: What it shows of several rows together; None leaves the cell empty.
        markdown: Characters that it gets in Markdown, where room is short; 0 leaves the column out.
        markdown_title: Its heading there, where that is another one; `{unit}` becomes the unit of the tables.
    """

    key: str
    title: str
    cell: Callable[[OperatorRow, Unit], Cell]
    figure: bool = False
    colored: bool = False
    small: bool = False
    width: int = 0
    total: Callable[[RowSums, Unit], str] | None = None
    markdown: int = 0
    markdown_title: str = ""

    def heading(self, names: dict[Role, str]) -> str:
        """Its title, with the names of the sides."""
        return self.title.format(**names)

    def markdown_heading(self, names: dict[Role, str], unit: Unit) -> str:
        """Its title in Markdown, with the names of the sides."""
        return (self.markdown_title or self.title).format(**names, unit=unit.symbol)

    def sums(self, sums: RowSums, unit: Unit) -> str:
        """What it shows of several rows together."""
        return self.total(sums, unit) if self.total else ""


COLUMNS: tuple[TableColumn, ...] = (
    TableColumn(
        key="region",
        title="Where",
        cell=lambda item, _: Cell(names=(item.row.region,)),
        width=26,
        markdown=70,
    ),
    TableColumn(
        key="cause",
        title="Cause",
        cell=lambda item, _: Cell(text=CAUSES[item.row.cause].title),
        width=10,
        markdown=40,
    ),
    TableColumn(
        key="torch_ops",
        title="{torch} calls",
        cell=lambda item, _: Cell(names=count_names(item.row.torch_ops)),
        width=11,
        markdown=60,
    ),
    TableColumn(
        key="onnx_ops",
        title="{onnxruntime} nodes",
        cell=lambda item, _: Cell(names=count_names(item.row.onnx_ops)),
        width=12,
        markdown=60,
    ),
    TableColumn(
        key="torch_ns",
        title="{torch}",
        cell=lambda item, unit: Cell(text=unit.number(item.row.torch_ns)),
        figure=True,
        width=7,
        total=lambda sums, unit: unit.number(sums.torch_ns),
    ),
    TableColumn(
        key="onnxruntime_ns",
        title="{onnxruntime}",
        cell=lambda item, unit: Cell(text=unit.number(item.row.onnxruntime_ns)),
        figure=True,
        width=7,
        total=lambda sums, unit: unit.number(sums.onnxruntime_ns),
    ),
    TableColumn(
        key="delta_ns",
        title="Δ",
        cell=lambda item, unit: Cell(text=unit.number(item.row.delta_ns, sign=True)),
        figure=True,
        colored=True,
        width=7,
        total=lambda sums, unit: unit.number(sums.delta_ns, sign=True),
        markdown=40,
        markdown_title="Δ {unit}",
    ),
    TableColumn(
        key="ends_ns",
        title="95 % interval",
        cell=lambda item, unit: Cell(
            text=format_ends(item.row.low_ns, item.row.high_ns, unit), remark="noise" if item.noise else ""
        ),
        figure=True,
        small=True,
        width=13,
    ),
    TableColumn(
        key="match",
        title="Match",
        cell=lambda item, _: Cell(
            text="none"
            if item.row.match.method == "none"
            else f"{item.row.match.method} {format_percent(item.row.match.confidence)}",
            remark="the sides contradict each other" if item.contradicted else "",
            alarming=True,
            detail="; ".join(item.row.match.evidence[:2]),
        ),
        small=True,
        width=7,
        markdown=40,
    ),
)
"""The columns, from left to right. The first one names the row: what is behind the row opens there."""


class OperatorTable(msgspec.Struct, frozen=True, kw_only=True):
    """The columns, all rows by size of their delta, the lines that fold them, and the sums of all rows."""

    columns: tuple[TableColumn, ...]
    rows: tuple[OperatorRow, ...]
    lines: tuple[OperatorLine, ...]
    total: RowSums

    @property
    def other(self) -> RowSums | None:
        """The rows that no line holds; None where there is none."""
        return self.rest(len(self.lines))

    def rest(self, shown: int) -> RowSums | None:
        """The rows that the first lines do not hold; None where there is none."""
        held = [self.rows[position].row for line in self.lines[:shown] for position in line.members]
        first, total = sum_rows(held), self.total
        left = RowSums(
            count=total.count - first.count,
            torch_ns=total.torch_ns - first.torch_ns,
            onnxruntime_ns=total.onnxruntime_ns - first.onnxruntime_ns,
            delta_ns=total.delta_ns - first.delta_ns,
        )
        return left if left.count else None


def operator_table(ledger: Collection[LedgerRow], anchors: dict[str, str]) -> OperatorTable:
    """Put all rows into a table, those with the largest deltas (or, without deltas, times) first, and fold them into lines.

    Args:
        ledger: All rows.
        anchors: The link fragment of each row, by its id.
    """
    places = {row.id: place for place, row in enumerate(ledger)}
    ordered = sorted(ledger, key=_by_size)
    rows = tuple(OperatorRow(anchor=anchors[row.id], row=row, place=places[row.id]) for row in ordered)
    return OperatorTable(columns=COLUMNS, rows=rows, lines=_lines(rows), total=sum_rows(ordered))


def _by_size(row: LedgerRow) -> tuple[int, int, str]:
    return -abs(row.delta_ns), -max(row.torch_ns, row.onnxruntime_ns), row.id


def _lines(rows: Sequence[OperatorRow]) -> tuple[OperatorLine, ...]:
    groups = fold_repeats(range(len(rows)), lambda position: [[rows[position].row]])
    summed = sorted(
        ((_sum_alike([rows[position].row for position in group]), group) for group in groups),
        key=lambda found: _by_size(found[0]),
    )
    shown = summed if len(summed) <= LINES + 1 else summed[:LINES]
    lines = []
    for row, group in shown:
        deltas = [rows[position].row.delta_ns for position in group]
        first = min((rows[position] for position in group), key=lambda item: item.place)
        line = OperatorLine(
            anchor=f"{'rows' if len(group) > 1 else 'row'}/{first.anchor}",
            row=row,
            members=tuple(group),
            least_ns=min(deltas),
            most_ns=max(deltas),
        )
        lines.append(line)
    return tuple(lines)


def _sum_alike(rows: Sequence[LedgerRow]) -> LedgerRow:
    """One row with the sums of rows that are alike; the ends of their intervals are added, and no match is better."""
    if len(rows) == 1:
        return rows[0]
    pattern, sums = pattern_of(rows), sum_rows(rows)
    works = {row.region.removeprefix(row.module).partition("#")[0] for row in rows}
    region = pattern + (works.pop() if len(works) == 1 else "")
    return msgspec.structs.replace(
        rows[0],
        id=f"{region}:{rows[0].cause}",
        region=region,
        module=pattern,
        torch_ns=sums.torch_ns,
        onnxruntime_ns=sums.onnxruntime_ns,
        delta_ns=sums.delta_ns,
        low_ns=sum(row.low_ns for row in rows),
        high_ns=sum(row.high_ns for row in rows),
        match=min(rows, key=lambda row: (not _contradicted(row), row.match.confidence)).match,
    )


def _contradicted(row: LedgerRow) -> bool:
    return any(CONTRADICTS in line for line in row.match.evidence)


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
