"""`attrib inspect`: what one trace file holds."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from attrib.cli.command import Command
from attrib.errors import UsageError
from attrib.report.view.text import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from attrib.traces.inspection.inspection import GpuUse, Inspection, NamedUse, RuntimeUse
    from attrib.traces.recording.device_names import CopyDirection

STDIN = "-"
TOP = 10
MOST_STEPS = 30
NARROWEST_NAME = 24
NUMBERS_WIDTH = 36
"""What three columns of numbers need beside the names."""

_RETURNS = "void "
_DIRECTIONS: "dict[CopyDirection, str]" = {
    "to_host": "to the host",
    "from_host": "to the device",
    "on_device": "on the device",
    "between_devices": "between devices",
    "on_host": "on the host",
    "unknown": "of unknown direction",
}


@click.command("inspect", cls=Command)
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--lenient", is_flag=True, help="Recover what can be read of a damaged trace, and say what was lost."
)
@click.option(
    "--steps", metavar="N-M", help="Only what belongs to these steps (runs of a profile, from 1): 3-5,8."
)
def command(file: str, *, as_json: bool, lenient: bool, steps: str | None) -> None:
    """Show what one trace holds: runs, steps, providers, copies, GPU work, and what to be careful about.

    FILE is a Kineto trace (torch.profiler) or an ONNX Runtime profile, plain, gzip or zstd; `-` reads standard input.
    """
    from attrib.cli.reading import reading_progress
    from attrib.traces import read_trace
    from attrib.traces.inspection.summary import summarize
    from attrib.traces.recording.selection import steps_from_text

    chosen = steps_from_text(steps) if steps is not None else None
    with reading_progress() as progress:
        recording = read_trace(source_of(file), lenient=lenient, steps=chosen, progress=progress)
    inspection = summarize(recording)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(inspection), indent=2))
    else:
        show(inspection, "standard input" if file == STDIN else Path(file).name)


def source_of(file: str) -> Path | BinaryIO:
    """What the argument names: a path, or `-` for standard input.

    Raises:
        UsageError: Standard input is a terminal, which gives no trace.
    """
    if file != STDIN:
        return Path(file)
    if sys.stdin is None:
        raise UsageError("standard input is closed", hint="name a file")
    if sys.stdin.isatty():
        raise UsageError(
            "standard input is a terminal", hint="`attrib inspect - < trace.json`, or pipe a trace into it"
        )
    return sys.stdin.buffer


def show(inspection: "Inspection", name: str) -> None:
    """Print an inspection for a reader."""
    from rich.console import Console

    from attrib.traces.formats.registry import find_format

    console = Console(highlight=False, emoji=False, markup=False)
    console.print(f"{find_format(inspection.format).title}  {one_line(name)}", style="bold")
    if inspection.damage:
        console.print(f"!! {one_line(inspection.damage.sentence())}", style="bold red")
    for fact in facts(inspection):
        console.print(f"  {fact}")
    for table in tables(inspection, max(console.width - NUMBERS_WIDTH, NARROWEST_NAME)):
        console.print()
        console.print(table)
    if inspection.warnings:
        console.print()
    for warning in inspection.warnings:
        console.print(f"! {one_line(warning)}", style="yellow")


def facts(inspection: "Inspection") -> Iterable[str]:
    """One line each: size, runs, copies, GPU."""
    from attrib.traces.formats.registry import find_format

    yield f"{inspection.events:,} event{'' if inspection.events == 1 else 's'}"
    if devices := inspection.metadata.get("devices"):
        yield f"devices: {one_line(devices)}"
    has_runs = find_format(inspection.format).recording.records_nodes
    if has_runs:
        yield runs_line([float(wall) for wall in inspection.runs_us])
        yield from node_copies(inspection)
    if inspection.gpu:
        yield from gpu_lines(inspection.gpu)
    elif not has_runs:
        yield "no kernel times"
    if inspection.runtime:
        yield launches_line(inspection.runtime, inspection.gpu)


def node_copies(inspection: "Inspection") -> Iterable[str]:
    """The copies that are nodes of an ORT profile."""
    for title, use in (
        ("to the host", inspection.memcpy.to_host),
        ("to the device", inspection.memcpy.from_host),
    ):
        if use.events:
            yield f"copies {title}: {use.events:,}, {format_us(use.dur_us)}"


def gpu_lines(gpu: "GpuUse") -> Iterable[str]:
    """What the device did: in all, and by kind."""
    count = f"{gpu.events:,} event{'' if gpu.events == 1 else 's'}"
    yield f"GPU: {count}, busy {format_us(gpu.busy_us)} (sum over streams {format_us(gpu.sum_us)})"
    kernels = gpu.kernels
    yield f"kernels: {kernels.events:,}, {format_us(kernels.dur_us)}" if kernels else "no kernel times"
    transfers = {f"copies {title}": gpu.copies.get(key) for key, title in _DIRECTIONS.items()} | {
        "fills": gpu.fills
    }
    for title, use in transfers.items():
        if use:
            size = "" if use.bytes is None else f", {format_bytes(use.bytes)}"
            yield f"{title}: {use.events:,}, {format_us(use.dur_us)}{size}"
    for provider, of_nodes in gpu.by_provider.items():
        yield f"of nodes on {one_line(provider)}: {of_nodes.events:,}, {format_us(of_nodes.dur_us)}"


def launches_line(runtime: "RuntimeUse", gpu: "GpuUse | None") -> str:
    """What the host launched, and what of it the trace holds."""
    line = f"launches: {runtime.launches:,}"
    if runtime.graph_launches:
        started = gpu.graph_events if gpu else None
        work = "" if started is None else f", which started {started:,} GPU events"
        line += f" ({runtime.graph_launches:,} of graphs{work})"
    return line + (f", {runtime.without_work:,} without work in the trace" if runtime.without_work else "")


def runs_line(walls_us: list[float]) -> str:
    """The runs of a profile: the first apart, because it is usually cold."""
    import numpy as np

    if not walls_us:
        return "no runs"
    first, others = walls_us[0], walls_us[1:]
    if not others:
        return f"1 run: {format_us(first)}"
    spread = f"{format_us(min(others))} to {format_us(max(others))}"
    return f"{len(walls_us):,} runs: first {format_us(first)}, then median {format_us(np.median(others))} ({spread})"


def tables(inspection: "Inspection", width: int) -> Iterable["Table"]:
    """Steps, providers, operators and kernels: those that the trace holds, with names cut to a width."""
    if inspection.steps:
        yield steps_table(inspection, width)
    if inspection.providers:
        providers = new_table("Execution provider", "Nodes", "Events", "Time")
        for name, use in inspection.providers.items():
            providers.add_row(cell(name, width), f"{use.nodes:,}", f"{use.events:,}", format_us(use.dur_us))
        yield providers
    if inspection.ops:
        yield names_table("Operator", inspection.ops, width)
    if inspection.kernels:
        yield names_table("GPU work", inspection.kernels, width)
    if inspection.gpu and len(inspection.gpu.streams) > 1:
        yield names_table("Stream", inspection.gpu.streams, width)
    if inspection.runtime and inspection.runtime.synchronizations:
        yield names_table("Synchronization", inspection.runtime.synchronizations, width)


def steps_table(inspection: "Inspection", width: int) -> "Table":
    """The steps with the work that was launched in each, where the trace tells."""
    known = any(step.gpu_events is not None for step in inspection.steps)
    table = new_table("Step", "Wall", *(("GPU events", "GPU sum", "GPU busy") if known else ()))
    for step in inspection.steps[:MOST_STEPS]:
        gpu = (
            (f"{step.gpu_events:,}", format_us(step.gpu_sum_us or 0), format_us(step.gpu_busy_us or 0))
            if known
            else ()
        )
        table.add_row(cell(step.name, width - 2 * len(gpu)), format_us(step.wall_us), *gpu)
    if len(inspection.steps) > MOST_STEPS:
        table.add_row(f"({len(inspection.steps) - MOST_STEPS:,} further steps)")
    return table


def names_table(title: str, uses: "tuple[NamedUse, ...]", width: int) -> "Table":
    """The first rows of a table of names by time."""
    table = new_table(title, "Events", "Time")
    for use in uses[:TOP]:
        where = f"  ({cell(use.provider.removesuffix('ExecutionProvider'), 20)})" if use.provider else ""
        table.add_row(cell(use.name, width - len(where)) + where, f"{use.events:,}", format_us(use.dur_us))
    if further := uses[TOP:]:
        events, dur_us = sum(use.events for use in further), sum(use.dur_us for use in further)
        table.add_row(f"({len(further):,} further: --json lists them)", f"{events:,}", format_us(dur_us))
    return table


def new_table(first: str, *numbers: str) -> "Table":
    """A plain table: one column of names, the others numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column(first, overflow="ellipsis", no_wrap=True)
    for number in numbers:
        table.add_column(number, justify="right", no_wrap=True)
    return table


def cell(text: str, width: int) -> str:
    """A name from a file, cut to a width and with control characters made visible."""
    safe = one_line(text[: width + len(_RETURNS) + 1]).removeprefix(_RETURNS)
    return safe if len(safe) <= width else safe[: max(width - 1, 0)] + "…"


def format_us(microseconds: float) -> str:
    """A duration for a reader."""
    from attrib.units import format_ns

    return format_ns(microseconds * 1000)


def format_bytes(count: int) -> str:
    """A number of bytes for a reader, in binary units."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:  # noqa: PLR2004 - one of each
            break
        size, unit = size / 1024, larger
    return f"{count:,} B" if unit == "B" else f"{size:,.1f} {unit}"
