"""The page's templates: their environment, and the filters through which every untrusted string passes."""

import functools
import os
import re
import sys
import tempfile
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

import jinja2
from jinja2.bccache import Bucket, BytecodeCache
from markupsafe import Markup

from attrib.report.html.svg import centered_bar
from attrib.report.view.text import anchor, code_spans, count_names, make_visible, shorten
from attrib.units import format_interval, format_ns, format_percent, whole_percent
from attrib.wording import counted

# Compiled templates, kept where Python keeps its compiled modules: compiling them takes longer than filling them.
#
# jinja2 checks that what is kept was made from the same text by the same versions, and compiles anew where it was not. What
# Python was told about its own files holds here too: `PYTHONDONTWRITEBYTECODE`, `PYTHONPYCACHEPREFIX`. Where nothing can be
# written, nothing is kept.


_FOLDER = Path(__file__).parent / "templates"


class CompiledTemplates(BytecodeCache):
    """Keeps the compiled templates of a folder in its `__pycache__`."""

    def __init__(self, folder: Path = _FOLDER) -> None:
        self._folder = folder

    def _path(self, bucket: Bucket) -> Path:
        # The bucket's key is a hash of the template's name: no name leads out of the folder.
        return Path(cache_from_source(str(self._folder / f"{bucket.key}.py")))

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill the bucket if something is kept for it."""
        try:
            with self._path(bucket).open("rb") as file:
                bucket.load_bytecode(file)
        except (OSError, EOFError, ValueError, TypeError):
            bucket.reset()

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled, whole or not at all."""
        if sys.dont_write_bytecode:
            return
        path, temporary = self._path(bucket), ""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(prefix=path.name, dir=path.parent)
            with os.fdopen(handle, "wb") as file:
                bucket.write_bytecode(file)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except OSError:
            if temporary:
                Path(temporary).unlink(missing_ok=True)


_TITLE_LIMIT = 400
_BREAKS = re.compile(r"(.{16,}?[./])(?=\w)(?![^<]*>)")
"""Where a qualified name may break: not inside a tag, and not in more places than a line needs."""

_WORDS = re.compile(r"(?:(?<=::)|(?<=_)(?=\w)|(?<=[a-z]{3})(?=[A-Z]))(?![^<]*>)")
"""Between the words of an op's name, such as `aten::layer_norm` or `SkipLayerNormalization`; rows.js has the same."""

_FITS = 36
"""Characters that the narrowest column of names holds."""

_FIGURES = re.compile(r"(?<=\d) (?=±|[mµn]?s\b|%|to [−+]?\d)|(?<=±) |(?<=\d to) (?=[−+]?\d)")
"""Blanks inside a figure: before its unit, around `±`, and inside `−90.7 to −79.5`."""

_INTERVAL = re.compile(r"±|\d to [−+]?\d")


@functools.cache
def environment() -> jinja2.Environment:
    """Templates with autoescape on and every undefined name an error."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("attrib.report.html"),
        bytecode_cache=CompiledTemplates(),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {
        "anchor": anchor,
        "count_names": count_names,
        "glue": glue,
        "lines": lines,
        "ns": format_ns,
        "path": path,
        "op": op,
        "percent": format_percent,
        "counted": counted,
        "prose": prose,
        "short": short,
        "short_text": short_text,
        "whole": whole_percent,
    }
    made.globals |= {"interval": format_interval, "centered_bar": centered_bar, "says": says}
    return made


class Lines(str):
    """Text that was made visible line by line: `_finalize` keeps its line ends; it is still escaped as HTML."""

    __slots__ = ()


def _finalize(value: Any) -> Any:
    """Make the invisible visible in every plain string that a template prints."""
    return make_visible(value) if type(value) is str else value


def short(text: str, limit: int) -> str:
    """At most `limit` characters; what was cut is in the title."""
    shown = make_visible(text)
    if len(shown) <= limit:
        return shown
    return Markup('<span title="{}">{}</span>').format(shorten(shown, _TITLE_LIMIT), shorten(shown, limit))


def short_text(text: str, limit: int) -> str:
    """At most `limit` characters, where no markup can go."""
    return shorten(make_visible(text), limit)


def path(text: str, limit: int) -> Markup:
    """A qualified name that breaks after its dots and slashes, if it is longer than a line."""
    if len(text) <= _FITS:
        return Markup.escape(short(text, limit))
    return Markup(_BREAKS.sub(r"\1<wbr>", str(Markup.escape(short(text, limit)))))  # noqa: S704 - escaped before


def op(text: str, limit: int) -> Markup:
    """The name of an op, which breaks between its words."""
    return Markup(_WORDS.sub("<wbr>", str(Markup.escape(short(text, limit)))))  # noqa: S704 - escaped before


def glue(text: str) -> str:
    """Keep a figure, its sign and its unit on one line, with no-break spaces."""
    return _FIGURES.sub("\u00a0", text)


def lines(text: str, limit: int) -> str:
    """Text of several lines, at most `limit` characters, each line made visible by itself."""
    return Lines(shorten(make_visible(text, keep_newlines=True), limit))


def prose(text: str, limit: int) -> Markup:
    """Sentences, at most `limit` characters, in which backticks mark code."""
    parts = code_spans(lines(text, limit))
    made = (
        Markup("<code>{}</code>").format(part) if code else Markup.escape(glue(part)) for part, code in parts
    )
    return Markup("").join(made)


def says(text: str, ns: int) -> bool:
    """Whether a sentence already gives its figure, so that it need not stand beside it again."""
    return bool(_INTERVAL.search(text)) or format_ns(abs(ns)) in text
