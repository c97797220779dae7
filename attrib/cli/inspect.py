"""`attrib inspect`: what one trace file holds."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attrib.cli.main import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from attrib.traces.summary import Inspection, NamedUse

TOP = 10
NARROWEST_NAME = 24
NUMBERS_WIDTH = 36
"""What three columns of numbers need beside the names."""

_RETURNS = "void "
_TITLES = {"kineto": "Kineto trace", "ort-profile": "ONNX Runtime profile"}
_DIRECTIONS = {"to_host": "to the host", "from_host": "to the device"}


@click.command("inspect")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def command(file: Path, *, as_json: bool) -> None:
    """Show what one trace holds: runs, steps, providers, copies, GPU work, and what to be careful about.

    FILE is a Kineto trace (torch.profiler) or an ONNX Runtime profile, plain or gzip.
    """
    from attrib.traces import read_trace
    from attrib.traces.summary import summarise

    inspection = summarise(read_trace(file))
    if as_json:
        import msgspec

        data = msgspec.json.format(msgspec.json.encode(inspection), indent=2)
        click.echo(data)
    else:
        show(inspection, file.name)


def show(inspection: "Inspection", name: str) -> None:
    """Print an inspection for a reader."""
    from rich.console import Console

    # A terminal that lacks a character shows its code instead of failing.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(highlight=False, emoji=False, markup=False)
    console.print(f"{_TITLES[inspection.format]}  {one_line(name)}", style="bold")
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
    yield f"{inspection.events:,} event{'' if inspection.events == 1 else 's'}"
    if devices := inspection.metadata.get("devices"):
        yield f"devices: {one_line(devices)}"
    if inspection.format == "ort-profile":
        yield runs_line([float(wall) for wall in inspection.runs_us])
    for direction, title in _DIRECTIONS.items():
        use = getattr(inspection.memcpy, direction)
        if use.events:
            yield f"copies {title}: {use.events:,}, {duration(use.dur_us)}"
    gpu = inspection.gpu
    if gpu:
        yield f"GPU: {gpu.events:,} events, busy {duration(gpu.busy_us)} (sum over streams {duration(gpu.sum_us)})"
    elif inspection.format == "kineto":
        yield "no kernel times"


def runs_line(walls_us: list[float]) -> str:
    """The runs of a profile: the first apart, because it is usually cold."""
    import numpy as np

    if not walls_us:
        return "no runs"
    first, others = walls_us[0], walls_us[1:]
    if not others:
        return f"1 run: {duration(first)}"
    spread = f"{duration(min(others))} to {duration(max(others))}"
    return f"{len(walls_us):,} runs: first {duration(first)}, then median {duration(np.median(others))} ({spread})"


def tables(inspection: "Inspection", width: int) -> Iterable["Table"]:
    """Steps, providers, operators and kernels: those that the trace holds, with names cut to a width."""
    if inspection.steps:
        steps = new_table("Step", "Wall", *(("GPU events", "GPU sum") if inspection.gpu else ()))
        for step in inspection.steps:
            gpu = () if step.gpu_sum_us is None else (f"{step.gpu_events:,}", duration(step.gpu_sum_us))
            steps.add_row(cell(step.name, width), duration(step.wall_us), *gpu)
        yield steps
    if inspection.providers:
        providers = new_table("Execution provider", "Nodes", "Events", "Time")
        for name, use in inspection.providers.items():
            providers.add_row(cell(name, width), f"{use.nodes:,}", f"{use.events:,}", duration(use.dur_us))
        yield providers
    if inspection.ops:
        yield named("Operator", inspection.ops, width)
    if inspection.kernels:
        yield named("GPU work", inspection.kernels, width)


def named(title: str, uses: "tuple[NamedUse, ...]", width: int) -> "Table":
    """The first rows of a table of names by time."""
    table = new_table(title, "Events", "Time")
    for use in uses[:TOP]:
        where = f"  ({cell(use.provider.removesuffix('ExecutionProvider'), 20)})" if use.provider else ""
        table.add_row(cell(use.name, width - len(where)) + where, f"{use.events:,}", duration(use.dur_us))
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


def duration(microseconds: float) -> str:
    """A duration for a reader."""
    from attrib.units import format_ns

    return format_ns(microseconds * 1000)
