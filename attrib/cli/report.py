"""`attrib report`: rebuild the report of a trace directory, anywhere, without an engine."""

import gc
import os
import sys
from pathlib import Path

import click

FORMATS = ("html", "json", "markdown", "terminal")


@click.command("report")
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
def command(
    trace_dir: Path, output: str | None, format_: str | None, static: bool, lenient: bool, force: bool
) -> None:
    """Rebuild the report of TRACE_DIR, without PyTorch or ONNX Runtime."""
    gc.disable()  # a process of a second or two: collecting costs a tenth of it and frees nothing

    from attrib.api import load
    from attrib.cli.reading import reading_progress
    from attrib.cli.show import show_document, write_default_reports
    from attrib.errors import UsageError
    from attrib.report.files import atomic_write, format_of, render
    from attrib.report.html.embed import prepare_plotly

    # Without -o and --format, HTML is among the default reports.
    suffix = "html" if output is None else Path(output).suffix.removeprefix(".")
    if not static and (format_ or suffix) == "html":
        prepare_plotly()
    with reading_progress() as progress:
        document = load(trace_dir, lenient=lenient, progress=progress).document
    if output is None and format_ in (None, "terminal"):
        show_document(document)
        if format_ is None:
            write_default_reports(document, trace_dir, static=static)
        return
    target = output or "-"
    data = render(document, format_ or format_of(Path(target)), static=static)
    if target == "-":
        sys.stdout.buffer.write(data)
        return
    path = Path(target)
    if path.exists() and not force:
        raise UsageError(f"{path}: exists", hint="choose another name, or add --force")
    atomic_write(path, data)
    click.echo(os.fspath(path))
