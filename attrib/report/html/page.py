"""The report as one HTML page that opens from disk, offline, with script blocked, and in print."""

import functools
import hashlib
import re
from pathlib import Path

import msgspec
from markupsafe import Markup

from attrib.model.document import CAUSES, Document
from attrib.report.html.embed import pack, pack_plotly, policy
from attrib.report.html.filters import environment, short_text
from attrib.report.html.roofline_chart import roofline_drawing
from attrib.report.html.svg import STRIP_HEIGHT, drawing_of, strip_drawing
from attrib.report.json_report import to_json
from attrib.report.view.experiments import PROVE_HINT
from attrib.report.view.operators import ROW_LIMIT, Cell, TableColumn
from attrib.report.view.roofline import BOUNDS
from attrib.report.view.timeline import COLUMNS, STYLES
from attrib.report.view.view import View, view_of
from attrib.wording import listed

PAGE_LIMIT = 2_500_000
"""Bytes of a page, whatever the model: reports of 48 MB and more are what people complain about in other tools."""

_EVIDENCE_LEFT_OUT = (
    "The data in this page leaves out what is behind the rows, to stay small: report.json holds it."
)
_ROWS_LEFT_OUT = "The data in this page holds only the largest rows, to stay small: report.json holds all."
_NOTHING_FITS = "The data did not fit into this page: report.json holds it."

_ROWS_SHARE = 3
"""The single rows of the operator table take at most one part in so many of a page: the report itself has the rest."""

_LEVEL = 7
"""Of gzip, for the report: the two levels above take three times as long for a sixteenth less."""

_STATIC = Path(__file__).parent / "static"
_NAMES = 4
_COMMENT = re.compile(r"/\*[^*]*\*/\n")


def to_html(document: Document, *, interactive: bool = True) -> bytes:
    """The report as one self-contained page, the same bytes for the same document.

    Args:
        document: What to show.
        interactive: Put plotly.js and the interactive charts into the page; without them it stays small.

    Raises:
        AttribError: The interactive charts were asked for and plotly is not installed.
    """
    whole = pack(to_json(document), level=_LEVEL)
    view = view_of(document)
    rows = pack_rows(view)
    # Neither a model's author nor chance can put this into the document: it is the hash of the document.
    mark = f"data-{hashlib.sha256(whole.encode()).hexdigest()}"
    page = _page(view, data=mark, rows=rows, interactive=interactive).encode()
    room = PAGE_LIMIT - len(page)
    if room > len(whole):
        return page.replace(mark.encode(), whole.encode())
    if interactive:
        room += len(pack_plotly()[1]) - len(pack_plotly(small=True)[1])
    data, note = (whole, "") if room > len(whole) else lighter_data(document, room)
    return _page(view, data=data, data_note=note, rows=rows, interactive=interactive, small=True).encode()


def pack_rows(view: View) -> str:
    """All rows of the operator table, packed, for the script that opens lines and filters.

    Of each row its anchor, place, delta, cells and limit. Where all take too much of a page, only the largest are in it.
    """
    table, limits = view.operators, view.roofline.rows if view.roofline else {}
    for rows in (table.rows, table.rows[:ROW_LIMIT]):
        told = [
            (
                item.anchor,
                item.place,
                item.row.delta_ns,
                [_told(column.cell(item, view.unit)) for column in table.columns],
                limits.get(item.row.id, ""),
            )
            for item in rows
        ]
        packed = pack(msgspec.json.encode(told), level=_LEVEL)
        if len(packed) <= PAGE_LIMIT // _ROWS_SHARE:
            break
    return packed


def _told(cell: Cell) -> str | list[str]:
    """A cell as text that is fit to be shown; with its remark, and `bad` for bad news, where it has one."""
    text = _told_names(cell.names) if cell.names else short_text(cell.text, 200)
    return [text, cell.remark, "bad" if cell.alarming else "noise"] if cell.remark else text


@functools.lru_cache(maxsize=1024)
def _told_names(names: tuple[str, ...]) -> str:
    return listed([short_text(name, 64) for name in names], _NAMES)


def lighter_data(document: Document, room: int) -> tuple[str, str]:
    """Less data, packed into at most `room` characters, and the note that says so; no data where nothing fits.

    What is behind the rows goes first, then all but the largest rows.
    """
    rows = [
        msgspec.structs.replace(
            row,
            exported=(),
            onnx_nodes=(),
            torch_calls=(),
            match=msgspec.structs.replace(row.match, evidence=()),
        )
        for row in document.ledger
    ]
    largest = sorted(rows, key=lambda r: (-abs(r.delta_ns), r.id))[:ROW_LIMIT]
    for kept, note in ((rows, _EVIDENCE_LEFT_OUT), (largest, _ROWS_LEFT_OUT)):
        lighter = msgspec.structs.replace(document, ledger=tuple(kept), regions=(), timeline={})
        data = pack(to_json(lighter), level=_LEVEL)
        if len(data) + 2 * len(note) <= room:
            return data, note
    return "", _NOTHING_FITS


def _page(
    view: View, *, data: str, data_note: str = "", rows: str, interactive: bool, small: bool = False
) -> str:
    plotly, library = pack_plotly(small=small) if interactive else (b"", "")
    style = static_text("report.css") + column_rules(view.operators.columns)
    files = (
        "report.js",
        "rows.js",
        "trail.js",
        "markdown.js",
        *(("timeline.js", "charts.js") if interactive else ()),
    )
    script = Markup("").join(map(static_text, files))
    csp = policy(
        scripts=[script, *([plotly] if interactive else [])],
        styles=[style, *([""] if interactive else [])],  # plotly.js fills an empty style element rule by rule
    )
    template = environment().get_template("page.html.j2")
    return template.render(
        view=view,
        drawing=drawing_of(view.waterfall) if view.waterfall else None,
        strip=strip_drawing(view.strip) if view.strip else None,
        strip_height=STRIP_HEIGHT,
        roofline=roofline_drawing(view.roofline) if view.roofline else None,
        bounds=BOUNDS,
        causes=CAUSES,
        prove_hint=PROVE_HINT,
        cause_titles={cause: text.title for cause, text in CAUSES.items()},
        columns=COLUMNS,
        timeline_styles={
            paint: {"color": style.color, "hatched": style.hatched} for paint, style in STYLES.items()
        },
        csp=csp,
        style=style,
        script=script,
        library=Markup(library),  # noqa: S704 - base64: two megabytes need no escaping
        data=data,
        data_note=data_note,
        rows=rows,
    )


def column_rules(columns: tuple[TableColumn, ...]) -> Markup:
    """Widths, alignment and type size of the operator table: a class in each of its cells would weigh more."""
    rules = []
    for number, column in enumerate(columns, start=1):
        if column.width:
            rules.append(f"#rows thead th:nth-child({number}) {{ width: {column.width}%; }}\n")
        if column.figure:
            rules.append(f"#rows td:nth-child({number}) {{ text-align: right; white-space: nowrap; }}\n")
        if column.small:
            rules.append(f"@media screen {{ #rows td:nth-child({number}) {{ font-size: 12px; }} }}\n")
        if number > 1 and not column.colored:  # a narrow page stacks what a row is and its delta
            rules.append(
                f"@media screen and (max-width: 720px) {{ #rows td:nth-child({number}) {{ display: none; }} }}\n"
            )
    return Markup("".join(rules))  # noqa: S704 - figures of our own


@functools.cache
def static_text(name: str) -> Markup:
    """A script or style sheet of our own without its indentation and its lines of comment."""
    text = (_STATIC / name).read_text(encoding="utf-8")
    lines = (line.lstrip() for line in text.splitlines(keepends=True))
    kept = "".join(line for line in lines if not _COMMENT.fullmatch(line))
    return Markup(kept)  # noqa: S704 - not a stranger's text, and no file holds `</`, which would end its element
