"""`attrib export`: a trace directory for other programs."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attrib.cli.command import Command
from attrib.errors import UsageError

if TYPE_CHECKING:
    from attrib.api import Analysis


@click.command("export", cls=Command)
@click.argument("trace_dir", type=click.Path(path_type=Path))
@click.option(
    "--perfetto", metavar="FILE", help="One step of both engines as a trace for Perfetto or chrome://tracing."
)
@click.option("--parquet", metavar="DIR", help="Ledger, nodes and calls as Parquet, a file each.")
@click.option("--csv", metavar="DIR", help="The same as CSV.")
@click.option(
    "--model-explorer", metavar="FILE", help="Times of the executed nodes as node data of model-explorer."
)
@click.option("--bmf", metavar="FILE", help="The steps in Bencher Metric Format.")
@click.option(
    "--github-action-benchmark",
    metavar="FILE",
    help="The steps as a customSmallerIsBetter list of that action.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def command(
    trace_dir: Path,
    perfetto: str | None,
    parquet: str | None,
    csv: str | None,
    model_explorer: str | None,
    bmf: str | None,
    github_action_benchmark: str | None,
    force: bool,
) -> None:
    """Write TRACE_DIR for other programs: trace readers, tables, trackers of benchmarks, model-explorer."""
    from attrib.api import load
    from attrib.cli.report import check_target, spare_capture
    from attrib.report.export.node_data import to_node_data
    from attrib.report.export.perfetto import to_perfetto
    from attrib.report.export.tables import tables_of, write_tables
    from attrib.report.export.trackers import to_bmf, to_github_action_benchmark
    from attrib.report.files import atomic_write

    makers: tuple[tuple[str | None, Callable[[Analysis], bytes]], ...] = (
        (perfetto, lambda its: to_perfetto(its.document)),
        (model_explorer, lambda its: to_node_data(its.trails, its.results)),
        (bmf, lambda its: to_bmf(its.document)),
        (github_action_benchmark, lambda its: to_github_action_benchmark(its.document)),
    )
    folders = [(Path(folder), format_) for folder, format_ in ((parquet, "parquet"), (csv, "csv")) if folder]
    files = [(check_target(Path(name), force=force), make) for name, make in makers if name is not None]
    if not files and not folders:
        raise UsageError(
            "nothing to write", hint="--perfetto FILE, --parquet DIR or another of attrib export --help"
        )
    for folder, format_ in folders:
        for name in ("ledger", "nodes", "calls"):
            check_target(folder / f"{name}.{format_}", force=force)
    analysis = load(trace_dir)
    for path, _ in files:
        spare_capture(analysis.directory, path)
    for path, make in files:
        click.echo(str(atomic_write(path, make(analysis))))
    for folder, format_ in folders:
        for path in write_tables(tables_of(analysis.document, analysis.trails), folder, format_):
            click.echo(str(path))
