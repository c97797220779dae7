"""The report as one HTML page that opens from disk, offline, with script blocked, and in print."""

import functools
import hashlib
import re
from importlib import resources

import msgspec
from markupsafe import Markup

from attrib.model.document import CAUSES, Document
from attrib.report.html.embed import pack, pack_plotly, policy
from attrib.report.html.filters import environment
from attrib.report.html.roofline_chart import roofline_drawing
from attrib.report.html.svg import STRIP_HEIGHT, drawing_of, strip_drawing
from attrib.report.json_report import to_json
from attrib.report.view.experiments import PROVE_HINT
from attrib.report.view.operators import CONTRADICTS, ROW_LIMIT, TableColumn
from attrib.report.view.roofline import BOUNDS
from attrib.report.view.timeline import COLUMNS, STYLES
from attrib.report.view.view import View, view_of

PAGE_LIMIT = 2_500_000
"""Bytes of a page, whatever the model: reports of 48 MB and more are what people complain about in other tools."""

STATIC_SIZE = 400_000
"""Bytes that a page without interactive charts keeps to where fewer rows make that possible: it goes into reviews."""

_EVIDENCE_LEFT_OUT = (
    "The data in this page leaves out what is behind the rows, to stay small: report.json holds it."
)
_ROWS_LEFT_OUT = "The data in this page holds only the largest rows, to stay small: report.json holds all."
_NOTHING_FITS = "The data did not fit into this page: report.json holds it."

_ROW_LIMITS = (ROW_LIMIT, 200, 60, 15)
_COMMENT = re.compile(r"/\*[^*]*\*/\n")
_STATIC_ROW_LIMITS = (ROW_LIMIT, 400, 320, 260, 200)


def to_html(document: Document, *, interactive: bool = True) -> bytes:
    """The report as one self-contained page, the same bytes for the same document.

    Args:
        document: What to show.
        interactive: Put plotly.js and the interactive charts into the page; without them it stays small.

    Raises:
        AttribError: The interactive charts were asked for and plotly is not installed.
    """
    whole = pack(to_json(document), level=9)
    if not interactive and (small := small_page(document, whole)):
        return small
    # Neither a model's author nor chance can put this into the document: it is the hash of the document.
    mark = f"data-{hashlib.sha256(whole.encode()).hexdigest()}"
    limit, data, note = _ROW_LIMITS[-1], "", _NOTHING_FITS
    for limit in _ROW_LIMITS:
        page = _page(view_of(document, row_limit=limit), data=mark, interactive=interactive)
        room = PAGE_LIMIT - len(page.encode())
        if room > len(whole):
            return page.replace(mark, whole).encode()
        data, note = lighter_data(document, room)
        if data:
            break
    view = view_of(document, row_limit=limit)
    return _page(view, data=data, data_note=note, interactive=interactive).encode()


def small_page(document: Document, data: str) -> bytes:
    """The page with as many rows as fit into the size of a static one; empty where its data alone is too large."""
    if len(data) > STATIC_SIZE // 2:
        return b""
    for limit in dict.fromkeys(min(limit, max(len(document.ledger), 1)) for limit in _STATIC_ROW_LIMITS):
        page = _page(view_of(document, row_limit=limit), data=data, interactive=False).encode()
        if len(page) < STATIC_SIZE:
            return page
    return b""


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
        data = pack(to_json(lighter), level=9)
        if len(data) + 2 * len(note) <= room:
            return data, note
    return "", _NOTHING_FITS


def _page(view: View, *, data: str, data_note: str = "", interactive: bool) -> str:
    plotly, library = pack_plotly() if interactive else ("", "")
    style = static_text("report.css") + column_rules(view.operators.columns)
    files = ("report.js", "trail.js", *(("timeline.js", "charts.js") if interactive else ()))
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
        contradicts=CONTRADICTS,
        prove_hint=PROVE_HINT,
        cause_titles={cause: text.title for cause, text in CAUSES.items()},
        columns=COLUMNS,
        timeline_styles={
            paint: {"color": style.color, "hatched": style.hatched} for paint, style in STYLES.items()
        },
        csp=csp,
        style=style,
        script=script,
        library=library,
        data=data,
        data_note=data_note,
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
            rules.append(f"#rows td:nth-child({number}) {{ font-size: 12px; }}\n")
    return Markup("".join(rules))  # noqa: S704 - figures of our own


@functools.cache
def static_text(name: str) -> Markup:
    """A script or style sheet of our own without its indentation and its lines of comment."""
    text = resources.files("attrib.report.html").joinpath("static", name).read_text(encoding="utf-8")
    lines = (line.lstrip() for line in text.splitlines(keepends=True))
    kept = "".join(line for line in lines if not _COMMENT.fullmatch(line))
    return Markup(kept)  # noqa: S704 - not a stranger's text, and no file holds `</`, which would end its element
