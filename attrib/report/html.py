"""The report as one HTML page that opens from disk, offline, with script blocked, and in print."""

import functools
import re
from collections.abc import Iterator
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from attrib.model.document import CAUSES, Document
from attrib.report.embed import packed, plotly_source, policy
from attrib.report.json_report import to_json
from attrib.report.operators import ROW_LIMIT
from attrib.report.svg import centred_bar, drawing_of
from attrib.report.text import anchor, counted, plural, shorten, visible
from attrib.report.view import View, view_of
from attrib.units import format_interval, format_ns, format_percent

if TYPE_CHECKING:
    import jinja2

PAGE_LIMIT = 2_500_000
"""Bytes of a page, whatever the model: reports of 48 MB and more are what people complain about in other tools."""

_TITLE_LIMIT = 400
_BREAKS = re.compile(r"([./])(?=\w)(?![^<]*>)")
"""Where a qualified name may break; not inside a tag."""

_FIGURES = re.compile(r"(?<=\d) (?=±|[mµn]?s\b|%)|(?<=±) ")
_ROW_LIMITS = (ROW_LIMIT, 200, 60, 15)


def to_html(document: Document, *, interactive: bool = True) -> bytes:
    """The report as one self-contained page, the same bytes for the same document.

    Args:
        document: What to show.
        interactive: Put plotly.js and the interactive charts into the page; without them it stays small.

    Raises:
        AttribError: The interactive charts were asked for and plotly is not installed.
    """
    plotly = plotly_source() if interactive else ""
    library = packed(plotly.encode()) if interactive else ""
    page = ""
    for limit in _ROW_LIMITS:
        view = view_of(document, row_limit=limit)
        page = _page(view, plotly=plotly, library=library, data="", data_note="")
        room = PAGE_LIMIT - len(page.encode())
        if room > 0:
            data, note = next(_fitting(document, room), ("", "The data did not fit into this page."))
            return _page(view, plotly=plotly, library=library, data=data, data_note=note).encode()
    return page.encode()


def _fitting(document: Document, room: int) -> Iterator[tuple[str, str]]:
    """Ways to put the data into the page, fullest first, that leave room for the note that goes with them."""
    for lighter, note in (
        (_whole, ""),
        (_without_evidence, _EVIDENCE_LEFT_OUT),
        (_largest_rows, _ROWS_LEFT_OUT),
    ):
        data = packed(to_json(lighter(document)))
        if len(data) + 2 * len(note) <= room:
            yield data, note


_EVIDENCE_LEFT_OUT = (
    "The data in this page leaves out node names and match evidence, to stay small: report.json holds them."
)
_ROWS_LEFT_OUT = "The data in this page holds only the largest rows, to stay small: report.json holds all."


def _whole(document: Document) -> Document:
    return document


def _without_evidence(document: Document) -> Document:
    rows = tuple(
        msgspec.structs.replace(
            row,
            exported=(),
            onnx_nodes=(),
            torch_calls=(),
            match=msgspec.structs.replace(row.match, evidence=()),
        )
        for row in document.ledger
    )
    return msgspec.structs.replace(document, ledger=rows)


def _largest_rows(document: Document) -> Document:
    rows = sorted(_without_evidence(document).ledger, key=lambda r: (-abs(r.delta_ns), r.id))
    return msgspec.structs.replace(document, ledger=tuple(rows[:ROW_LIMIT]))


def _page(view: View, *, plotly: str, library: str, data: str, data_note: str) -> str:
    style = _static("report.css")
    script = _static("report.js") + (_static("charts.js") if plotly else "")
    csp = policy(
        scripts=[script, *([plotly] if plotly else [])],
        styles=[style, *([""] if plotly else [])],  # plotly.js fills an empty style element rule by rule
        style_attributes=False,
    )
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            view=view,
            drawing=drawing_of(view.waterfall) if view.waterfall else None,
            causes=CAUSES,
            csp=csp,
            style=_markup(style),
            script=_markup(script),
            library=library,
            data=data,
            data_note=data_note,
            cause_titles={cause: text.title for cause, text in CAUSES.items()},
        )
    )


@functools.cache
def _static(name: str) -> str:
    """A file of our own; `</` cannot close its element early because none of them contains it."""
    return resources.files("attrib.report").joinpath("static", name).read_text(encoding="utf-8")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - our own file, read by `_static`


@functools.cache
def _environment() -> "jinja2.Environment":
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("attrib.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "short": _short,
        "path": _path,
        "glued": _glued,
        "short_text": _short_text,
        "anchor": anchor,
        "lines": _lines,
        "counted": counted,
        "plural": plural,
        "ns": format_ns,
        "percent": format_percent,
    }
    environment.globals |= {"interval": format_interval, "centred_bar": centred_bar}
    return environment


def _finalized(value: Any) -> Any:
    """Every plain string that a template prints passes here first: what is invisible becomes visible."""
    return visible(value) if type(value) is str else value


def _short(text: str, limit: int) -> Any:
    """At most `limit` characters; what was cut is in the title."""
    from markupsafe import Markup

    shown = visible(text)
    if len(shown) <= limit:
        return shown
    return Markup('<span title="{}">{}</span>').format(shorten(shown, _TITLE_LIMIT), shorten(shown, limit))


def _path(text: str, limit: int) -> Any:
    """A qualified name that breaks after its dots and slashes."""
    from markupsafe import Markup

    return Markup(_BREAKS.sub(r"\1<wbr>", str(Markup.escape(_short(text, limit)))))  # noqa: S704 - escaped before


def _glued(text: str) -> str:
    """Keep a figure, its sign and its unit on one line."""
    return _FIGURES.sub("\u00a0", text)


def _short_text(text: str, limit: int) -> str:
    """The same where no markup can go."""
    return shorten(visible(text), limit)


def _lines(text: str, limit: int) -> str:
    """Text that may have several lines, each made visible by itself."""
    return _Lines(shorten(visible(text, keep_newlines=True), limit))


class _Lines(str):
    """Already visible: its line ends are meant, so that `_finalized` lets them pass."""

    __slots__ = ()
