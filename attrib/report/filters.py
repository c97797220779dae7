"""The page's templates: their environment, and the filters through which every untrusted string passes."""

import functools
import re
from typing import Any

import jinja2
from markupsafe import Markup

from attrib.report.compiled_templates import CompiledTemplates
from attrib.report.svg import centred_bar
from attrib.report.text import anchor, code_spans, counted, plural, shorten, visible
from attrib.units import format_interval, format_ns, format_percent, whole_percent

_TITLE_LIMIT = 400
_BREAKS = re.compile(r"(.{16,}?[./])(?=\w)(?![^<]*>)")
"""Where a qualified name may break: not inside a tag, and not in more places than a line needs."""

_FITS = 36
"""Characters that the narrowest column of names holds."""

_FIGURES = re.compile(r"(?<=\d) (?=±|[mµn]?s\b|%)|(?<=±) ")


@functools.cache
def environment() -> jinja2.Environment:
    """Templates with autoescape on and every undefined name an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("attrib.report"),
        bytecode_cache=CompiledTemplates(),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "anchor": anchor,
        "counted": counted,
        "glued": glued,
        "lines": lines,
        "ns": format_ns,
        "path": path,
        "percent": format_percent,
        "plural": plural,
        "prose": prose,
        "short": short,
        "short_text": short_text,
        "whole": whole_percent,
    }
    made.globals |= {"interval": format_interval, "centred_bar": centred_bar, "says": says}
    return made


class Lines(str):
    """Already visible text whose line ends are meant: `_finalized` lets it pass; it is still escaped."""

    __slots__ = ()


def _finalized(value: Any) -> Any:
    """Every plain string that a template prints passes here first: what is invisible becomes visible."""
    return visible(value) if type(value) is str else value


def short(text: str, limit: int) -> str:
    """At most `limit` characters; what was cut is in the title."""
    shown = visible(text)
    if len(shown) <= limit:
        return shown
    return Markup('<span title="{}">{}</span>').format(shorten(shown, _TITLE_LIMIT), shorten(shown, limit))


def short_text(text: str, limit: int) -> str:
    """At most `limit` characters, where no markup can go."""
    return shorten(visible(text), limit)


def path(text: str, limit: int) -> Markup:
    """A qualified name that breaks after its dots and slashes, if it is longer than a line."""
    if len(text) <= _FITS:
        return Markup.escape(short(text, limit))
    return Markup(_BREAKS.sub(r"\1<wbr>", str(Markup.escape(short(text, limit)))))  # noqa: S704 - escaped before


def glued(text: str) -> str:
    """Keep a figure, its sign and its unit on one line."""
    return _FIGURES.sub("\u00a0", text)


def lines(text: str, limit: int) -> str:
    """Text that may have several lines, each made visible by itself."""
    return Lines(shorten(visible(text, keep_newlines=True), limit))


def prose(text: str, limit: int) -> Markup:
    """Sentences in which backticks mark code."""
    parts = code_spans(lines(text, limit))
    made = (
        Markup("<code>{}</code>").format(part) if code else Markup.escape(glued(part)) for part, code in parts
    )
    return Markup("").join(made)


def says(text: str, ns: int) -> bool:
    """Whether a sentence already gives its figure, so that it need not stand beside it again."""
    return "±" in text or format_ns(abs(ns)) in text
