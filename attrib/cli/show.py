"""What several commands print and write: the summary on stdout, the reports beside the traces."""

import os
import sys
from pathlib import Path

import click

from attrib.errors import UsageError
from attrib.model.document import Document
from attrib.report.files import atomic_write, format_of, render, write

DEFAULT_REPORTS = ("report.html", "report.json")


def show_document(document: Document) -> None:
    """Print the summary on stdout."""
    from rich.console import Console

    from attrib.report.terminal.summary import print_summary

    print_summary(document, Console(file=sys.stdout, highlight=False))


def write_default_reports(document: Document, trace_dir: Path, *, static: bool) -> None:
    """Write report.html and report.json into the trace directory and print where they are.

    Both are derived from the directory, so that a rebuilt report replaces the old one.
    """
    for name in DEFAULT_REPORTS:
        path = write(document, trace_dir / name, static=static)
        click.echo(click.style(os.fspath(path), bold=True))


def write_one(document: Document, output: str, format_: str | None, *, static: bool, force: bool) -> None:
    """Write one report to a file, or to stdout for `-`.

    Raises:
        UsageError: The file exists, or the format is neither given nor known from the suffix.
    """
    chosen = format_ or format_of(Path(output))
    data = render(document, chosen, static=static)
    if output == "-":
        sys.stdout.buffer.write(data)
        return
    path = Path(output)
    if path.exists() and not force:
        raise UsageError(f"{path}: exists", hint="choose another name, or add --force")
    atomic_write(path, data)
    click.echo(os.fspath(path))
