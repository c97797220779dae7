"""What several commands print and write: the summary on stdout, the reports beside the traces."""

import os
import sys
from pathlib import Path

import click

from attrib.model.document import Document
from attrib.report.files import write

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
