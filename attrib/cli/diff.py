"""`attrib diff`: what changed between two captures."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attrib.cli.report import FORMATS
from attrib.errors import InconclusiveError

if TYPE_CHECKING:
    from attrib.model.diff import Diff


@click.command("diff")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("-o", "--output", help="File to write; `-` for stdout.  [default: the terminal]")
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="Format.  [default: by the suffix of -o]"
)
@click.option("--force", is_flag=True, help="Overwrite the file that -o names.")
@click.option("--strict", is_flag=True, help="Exit with 4 where the two cannot be compared.")
def command(
    before: Path, after: Path, output: str | None, format_: str | None, force: bool, strict: bool
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
    found = diff(before, after)
    if path is not None:
        for directory in (before, after):
            if directory.is_dir():
                spare_capture(open_directory(directory), path)
        atomic_write(path, render_diff(found, wanted))
        click.echo(output)
    elif wanted == "terminal" and output is None:
        show(found)
    else:
        binary_stdout().write(render_diff(found, wanted))
    if strict and found.obstacles:
        raise InconclusiveError(f"these captures cannot be compared: {', '.join(found.obstacles)}")


def show(found: "Diff") -> None:
    """Print a diff on stdout."""
    from rich.console import Console

    from attrib.report.terminal.diff import print_diff
    from attrib.report.view.diff import diff_view

    print_diff(diff_view(found), Console(file=sys.stdout, highlight=False))
