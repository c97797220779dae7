"""`attrib doctor`: whether attrib can work on this machine, and what to do where it cannot."""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attrib.cli.command import Command
from attrib.errors import AttribError
from attrib.report.view.text import one_line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from attrib.capture.system.doctor_checks import Health, HealthCheck

STYLES = {"ok": "green", "note": "cyan", "warn": "yellow", "fail": "bold red"}
NAME_WIDTH = 26
MARK_WIDTH = 4
GUTTER = 2


@click.command("doctor", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@click.option(
    "--ort-python",
    type=click.Path(path_type=Path),
    metavar="PYTHON",
    help="Look at the ONNX Runtime of this interpreter.",
)
def command(*, as_json: bool, ort_python: Path | None) -> None:
    """Check versions, execution providers, CUDA, threads and disk space on this machine.

    Every provider is really tried, in a process of its own. Nothing is sent over the network.
    """
    from rich.console import Console

    from attrib.capture.system.doctor_checks import examine

    progress = Console(stderr=True)
    status = (
        progress.status("trying engines and execution providers") if progress.is_terminal else nullcontext()
    )
    with status:
        health = examine(ort_python)
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(health), indent=2))
    else:
        show(health)
    raise_if_unhealthy(health)


def show(health: "Health") -> None:
    """Print the checks for a reader, section by section."""
    from rich.console import Console

    console = Console(highlight=False, emoji=False, markup=False)
    for section, checks in groupby(health.checks, key=lambda check: check.section):
        console.print(section, style="bold")
        for check in checks:
            for line in lines(check, console):
                console.print(line)
        console.print()
    console.print(verdict(health))


def lines(check: "HealthCheck", console: "Console") -> "Iterator[Text]":
    """One check: its state in a word, its name, what was found, and below it what to do."""
    from rich.text import Text

    indent = GUTTER + MARK_WIDTH + GUTTER + NAME_WIDTH + GUTTER
    detail = Text(one_line(check.detail)).wrap(console, max(console.width - indent, NAME_WIDTH))
    for i, part in enumerate(detail or [Text()]):
        line = Text(" " * GUTTER)
        line.append(f"{check.state if i == 0 else '':<{MARK_WIDTH}}", style=STYLES[check.state])
        line.append(f"{' ' * GUTTER}{check.name if i == 0 else '':<{NAME_WIDTH}}{' ' * GUTTER}")
        yield line.append_text(part)
    if check.fix:
        hanging = GUTTER + MARK_WIDTH + GUTTER
        for i, part in enumerate(
            Text(f"to do: {check.fix}").wrap(console, max(console.width - hanging - 2, 20))
        ):
            yield Text(" " * (hanging + (2 if i else 0))).append_text(part)


def verdict(health: "Health") -> str:
    """The last line: whether the main job can run."""
    states = [check.state for check in health.checks]
    if not health.healthy:
        return f"attrib cannot work here: {states.count('fail')} of {len(states)} checks failed."
    warnings = states.count("warn")
    more = f"; {warnings} warning{'' if warnings == 1 else 's'} above" if warnings else ""
    return f"attrib can profile on this machine{more}."


def raise_if_unhealthy(health: "Health") -> None:
    """Leave with the exit code of a bad environment where the CPU path does not work.

    Raises:
        AttribError: The first check that failed, with its cure.
    """
    failed = next((check for check in health.checks if check.state == "fail"), None)
    if failed is not None:
        raise AttribError(f"{failed.name}: {failed.detail}", hint=failed.fix)
