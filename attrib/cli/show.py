"""What several commands print and write: the summary on stdout, the reports beside the traces."""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from attrib.cli.command import is_quiet
from attrib.cli.page import open_in_browser
from attrib.model.document import Document
from attrib.report.files import write

DEFAULT_REPORTS = ("report.html", "report.json")


def show_document(document: Document) -> None:
    """Print the summary on stdout; with `-q` the verdict."""
    if is_quiet():
        from attrib.report.view.text import one_line
        from attrib.report.view.verdict import verdict_of

        click.echo(one_line(verdict_of(document).sentence))
        return
    from rich.console import Console

    from attrib.report.terminal.summary import print_summary

    print_summary(document, Console(file=sys.stdout, highlight=False))


def report_by_default(document: Document, trace_dir: Path, *, static: bool, open_page: bool) -> None:
    """Write the default reports, then print the summary and where they are, and open the page where that is wanted.

    Nothing is printed before they are whole: whoever reads the first line only, and closes the pipe, has them.
    """
    paths = write_default_reports(document, trace_dir, static=static)
    show_document(document)
    show_paths(paths)
    if open_page:
        open_in_browser(paths[0])


def write_default_reports(document: Document, trace_dir: Path, *, static: bool) -> list[Path]:
    """Write report.html and report.json into the trace directory.

    Both are derived from the directory, so that a rebuilt report replaces the old one.
    """
    return [write(document, trace_dir / name, static=static) for name in DEFAULT_REPORTS]


def show_paths(paths: Iterable[Path]) -> None:
    """Print where the reports are."""
    for path in paths:
        click.echo(click.style(os.fspath(path), bold=True))
