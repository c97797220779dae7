"""Documents as bytes in each format, and files that are written whole or not at all."""

import contextlib
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from attrib.errors import AttribError, UsageError
from attrib.model.diff import Diff
from attrib.model.document import Document

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

FORMATS_BY_SUFFIX = {".html": "html", ".json": "json", ".md": "markdown", ".txt": "terminal"}


def render(document: Document, format_: str, *, static: bool = False) -> bytes:
    """Write a document in one format.

    Args:
        document: What to show.
        format_: `html`, `json`, `markdown` or `terminal`.
        static: Of HTML, leave out the interactive charts.
    """
    # Each rendering is imported when it is asked for: none is light.
    if format_ == "html":
        from attrib.report.html.page import to_html

        return to_html(document, interactive=not static)
    if format_ == "json":
        from attrib.report.json_report import to_json

        return to_json(document)
    if format_ == "markdown":
        from attrib.report.markdown.summary import to_markdown

        return to_markdown(document).encode()
    from attrib.report.terminal.summary import print_summary

    return _printed(lambda console: print_summary(document, console))


def _printed(show: "Callable[[Console], None]") -> bytes:
    """What is printed on a console without color, 100 characters wide."""
    from io import StringIO

    from rich.console import Console

    text = StringIO()
    show(Console(file=text, width=100, color_system=None))
    return text.getvalue().encode()


def render_diff(diff: Diff, format_: str) -> bytes:
    """Write a diff in one format: `html`, `json`, `markdown` or `terminal`."""
    if format_ == "html":
        from attrib.report.html.diff_page import diff_to_html

        return diff_to_html(diff)
    if format_ == "json":
        from attrib.report.json_report import diff_to_json

        return diff_to_json(diff)
    if format_ == "markdown":
        from attrib.report.markdown.diff import diff_to_markdown

        return diff_to_markdown(diff).encode()
    from attrib.report.terminal.diff import print_diff
    from attrib.report.view.diff import diff_view

    return _printed(lambda console: print_diff(diff_view(diff), console))


def format_of(path: Path) -> str:
    """The format that a file's suffix stands for.

    Raises:
        UsageError: It stands for none.
    """
    found = FORMATS_BY_SUFFIX.get(path.suffix)
    if found is None:
        raise UsageError(
            f"{path}: the suffix does not say which format to write",
            hint="use .html, .json or .md, or add --format html",
        )
    return found


def write(document: Document, path: Path, *, static: bool = False) -> Path:
    """Write a document in the format of the path's suffix."""
    return atomic_write(path, render(document, format_of(path), static=static))


def atomic_write(path: Path, data: bytes) -> Path:
    """Write a file under a temporary name, sync it and rename it: it is whole, or as it was before.

    Raises:
        AttribError: It cannot be written: the disk is full, or the directory is missing or read-only.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with temporary.open("xb") as file:  # with the mode that the user's umask gives
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        problem = f"{path}: cannot be written: {error.strerror or error}"
        raise AttribError(problem, hint="free some space, or name another place with -o") from error
    finally:
        with contextlib.suppress(OSError):  # gone where all went well; else, Ctrl-C included, nothing is left
            temporary.unlink()
    return path
