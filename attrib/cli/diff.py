"""`attrib diff`: what changed between two captures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attrib.cli.command import Command, is_quiet
from attrib.cli.page import open_in_browser, open_option
from attrib.cli.report import FORMATS
from attrib.errors import InconclusiveError, UsageError

if TYPE_CHECKING:
    from attrib.model.diff import Diff


@click.command(
    "diff",
    cls=Command,
    groups={
        "What to write": ("output", "format_", "force"),
        "What is shown": ("open_page", "quiet", "strict"),
    },
    examples=(
        ("attrib diff before after", "What changed, on the terminal."),
        ("attrib diff before after -o diff.html --open", "The same as a page, opened in the browser."),
        ("attrib diff base/report.json head --format markdown -o -", "For a comment on a pull request."),
    ),
    quiet="Print one sentence on what changed.",
)
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("-o", "--output", help="File to write; `-` for stdout.  [default: the terminal]")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Format.  [default: by the suffix of -o]"
)
@click.option("--force", is_flag=True, help="Overwrite the file that -o names.")
@open_option
@click.option("--strict", is_flag=True, help="Exit with 4 where the two cannot be compared.")
def command(
    before: Path,
    after: Path,
    output: str | None,
    format_: str | None,
    force: bool,
    open_page: bool,
    strict: bool,
) -> None:
    """Show what changed from BEFORE to AFTER: two trace directories, or their report.json.

    What is not the same about the two comes first (settings, software, machine), and whether it forbids to compare them;
    then how the step of either engine changed, and the difference between them by cause and by work. Work is matched by
    PyTorch's calls, so that the graphs may differ.
    """
    from attrib.api import diff
    from attrib.cli.report import check_target, spare_capture
    from attrib.cli.streams import binary_stdout
    from attrib.report.files import atomic_write, format_of, render_diff
    from attrib.traces.directory.trace_directory import open_directory

    path = check_target(Path(output), force=force) if output not in (None, "-") else None
    wanted = format_ or (format_of(path) if path is not None else "terminal")
    if open_page and (path is None or wanted != "html"):
        raise UsageError("--open opens a page, and none is written", hint="-o diff.html")
    found = diff(before, after)
    if path is not None:
        for directory in (before, after):
            if directory.is_dir():
                spare_capture(open_directory(directory), path)
        atomic_write(path, render_diff(found, wanted))
        click.echo(output)
        if open_page:
            open_in_browser(path)
    elif wanted == "terminal" and output is None:
        show(found)
    else:
        binary_stdout().write(render_diff(found, wanted))
    if strict and found.obstacles:
        raise InconclusiveError(f"these captures cannot be compared: {', '.join(found.obstacles)}")


def show(found: "Diff") -> None:
    """Print a diff on stdout; with `-q` its sentence."""
    from attrib.report.view.diff import diff_view
    from attrib.report.view.text import one_line

    view = diff_view(found)
    if is_quiet():
        click.echo(one_line(view.sentence))
        return
    from rich.console import Console

    from attrib.report.terminal.diff import print_diff

    print_diff(view, Console(file=sys.stdout, highlight=False))
