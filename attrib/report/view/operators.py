"""The table of matched operators: its rows and its columns.

The rows are those of the ledger; the small ones are rolled up into one that keeps the sum. The columns are declared in
`COLUMNS`, and the page and the Markdown follow that declaration: to add a column, add a row there.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

from attrib.model.document import CAUSES, LedgerRow
from attrib.model.manifest import Role
from attrib.model.provenance import RegionTrail
from attrib.report.view.text import anchor, count_names
from attrib.units import Unit, format_ends, format_percent

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
    def evidence(self) -> tuple[str, ...]:
        """Why the two sides belong together; the row's own module is not named again."""
        prefix = f"module {self.row.module}: "
        return tuple(line.removeprefix(prefix) for line in self.row.match.evidence)

    @property
    def contradicted(self) -> bool:
        """Whether the sides read or compute tensors that cannot be the same."""
        return any(CONTRADICTS in line for line in self.row.match.evidence)

    @property
    def noise(self) -> bool:
        """Whether the interval holds 0."""
        return self.row.low_ns <= 0 <= self.row.high_ns


@dataclass(frozen=True, slots=True)
class RowSums:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What a column shows of one row: a text, or names in a list, and behind it a remark; `alarming` if it is bad news."""

    text: str = ""
    names: tuple[str, ...] = ()
    remark: str = ""
    alarming: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TableColumn:
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
        width=28,
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
        width=12,
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
        width=8,
        total=lambda sums, unit: unit.number(sums.torch_ns),
    ),
    TableColumn(
        key="onnxruntime_ns",
        title="{onnxruntime}",
        cell=lambda item, unit: Cell(text=unit.number(item.row.onnxruntime_ns)),
        figure=True,
        width=8,
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
        width=11,
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
        ),
        small=True,
        markdown=40,
    ),
)
"""The columns, from left to right. The first one names the row: what is behind the row opens there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTable:
    """The columns, the rows by size of their delta, and the sums of all rows, shown or not."""

    columns: tuple[TableColumn, ...]
    rows: tuple[OperatorRow, ...]
    total: RowSums

    @property
    def other(self) -> RowSums | None:
        """The rows that the table does not show; None where it shows all."""
        return self.rest(len(self.rows))

    def rest(self, shown: int) -> RowSums | None:
        """What is left beside the first rows; None where that is no row."""
        first = sum_rows([item.row for item in self.rows[:shown]])
        total = self.total
        left = RowSums(
            count=total.count - first.count,
            torch_ns=total.torch_ns - first.torch_ns,
            onnxruntime_ns=total.onnxruntime_ns - first.onnxruntime_ns,
            delta_ns=total.delta_ns - first.delta_ns,
        )
        return left if left.count else None


def operator_table(
    ledger: Collection[LedgerRow],
    anchors: dict[str, str],
    *,
    trails: Collection[RegionTrail] = (),
    limit: int = ROW_LIMIT,
) -> OperatorTable:
    """Put the `limit` rows with the largest deltas (or, without deltas, times) into a table.

    Args:
        ledger: All rows.
        anchors: The link fragment of each row, by its id.
        trails: What is behind the regions, for the rewrites of their nodes.
        limit: Lines of the table; where there are more rows, one line sums up the others.
    """
    rewrites = {
        trail.id: tuple(dict.fromkeys(step.text for step in trail.steps if step.kind != "unchanged"))
        for trail in trails
    }
    places = {row.id: place for place, row in enumerate(ledger)}
    ordered = sorted(ledger, key=lambda r: (-abs(r.delta_ns), -max(r.torch_ns, r.onnxruntime_ns), r.id))
    rows = []
    said: dict[tuple[object, ...], OperatorRow] = {}
    for row in ordered if len(ordered) <= limit else ordered[: limit - 1]:
        steps = rewrites.get(row.region, ())
        told = (row.region, row.match, steps)
        item = OperatorRow(
            anchor=anchors[row.id], row=row, place=places[row.id], steps=steps, same=said.get(told)
        )
        said.setdefault(told, item)
        rows.append(item)
    return OperatorTable(columns=COLUMNS, rows=tuple(rows), total=sum_rows(ordered))


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
