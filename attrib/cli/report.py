"""`attrib report`: rebuild the report of a trace directory, anywhere, without an engine."""

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attrib.cli.command import Command
from attrib.cli.page import open_in_browser, open_option
from attrib.errors import UsageError

if TYPE_CHECKING:
    from attrib.traces.directory.trace_directory import TraceDirectory

FORMATS = ("html", "json", "markdown", "terminal")


@click.command(
    "report",
    cls=Command,
    groups={
        "What to write": ("output", "format_", "static", "force"),
        "What to read": ("lenient",),
        "What is shown": ("open_page", "quiet"),
    },
    examples=(
        ("attrib report traces", "Rewrite traces/report.html and traces/report.json, and print the summary."),
        ("attrib report traces -o page.html --open", "One page in another place, opened in the browser."),
        ("attrib report traces -o - --format markdown", "For a comment on a pull request."),
    ),
    quiet="Print the verdict and where the report is: no causes, no progress.",
)
@click.argument("trace_dir", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", help="File to write; `-` for stdout. Default: report.html and report.json in TRACE_DIR."
)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS), help="One format only. [default: by the suffix of -o]"
)
@click.option("--static", is_flag=True, help="Leave out the interactive charts, for a smaller page.")
@click.option(
    "--lenient", is_flag=True, help="Recover what can be read of damaged traces, and say what was lost."
)
@click.option("--force", is_flag=True, help="Overwrite the file that -o names.")
@open_option
def command(
    trace_dir: Path,
    output: str | None,
    format_: str | None,
    static: bool,
    lenient: bool,
    force: bool,
    open_page: bool,
) -> None:
    """Rebuild the report of TRACE_DIR, without PyTorch or ONNX Runtime."""
    gc.disable()  # a process of a second or two: collecting costs a tenth of it and frees nothing

    from attrib.api import load
    from attrib.cli.reading import reading_progress
    from attrib.cli.show import report_by_default, show_document
    from attrib.cli.streams import binary_stdout
    from attrib.report.files import atomic_write, format_of, render
    from attrib.report.html.embed import prepare_plotly

    to_stdout = output == "-" or (output is None and format_ is not None)
    path = Path(output) if output is not None and not to_stdout else None
    if path is not None:
        path = check_target(path, force=force)
    # Whatever makes the command fail does so now, before anything is read.
    wanted = format_ or (format_of(path or Path("-")) if output is not None else "")
    if open_page and wanted and (path is None or wanted != "html"):
        raise UsageError(
            "--open opens a page, and none is written", hint="-o report.html, or no -o and no --format"
        )
    stdout = binary_stdout() if to_stdout else None
    # Without -o and --format, HTML is among the default reports.
    if not static and wanted in ("", "html"):
        prepare_plotly()
    with reading_progress() as progress:
        analysis = load(trace_dir, lenient=lenient, progress=progress)
    document = analysis.document
    if not wanted:
        report_by_default(document, trace_dir, static=static, open_page=open_page)
    elif output is None and wanted == "terminal":
        show_document(document)
    elif stdout is not None:
        stdout.write(render(document, wanted, static=static))
    elif path is not None:
        spare_capture(analysis.directory, path)
        atomic_write(path, render(document, wanted, static=static))
        click.echo(output)
        if open_page:
            open_in_browser(path)


def check_target(path: Path, *, force: bool) -> Path:
    """The file to write: behind a link, what it leads to.

    Raises:
        UsageError: It exists, and may not or cannot be replaced by a report.
    """
    if path.is_symlink():
        path = Path(os.path.realpath(path))
    if not path.exists():
        return path
    if not path.is_file():
        raise UsageError(f"{path}: is no regular file", hint="name a file with -o, or - for standard output")
    if not force:
        raise UsageError(f"{path}: exists", hint="choose another name, or add --force")
    return path


def spare_capture(directory: "TraceDirectory", path: Path) -> None:
    """Refuse a file to write that is one of a capture's.

    Raises:
        UsageError: It is.
    """
    if path.exists() and directory.owns(path):
        raise UsageError(f"{path}: is a file of the capture, not a report", hint="choose another name")
