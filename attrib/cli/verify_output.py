"""What `attrib verify` prints: predicted beside measured, the best configuration, and the list of experiments."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from attrib.model.experiment import BOUND_WORDS, ExperimentResult, Prediction
from attrib.report.view.experiment_row import figure
from attrib.report.view.text import one_line
from attrib.verify.best import BEST
from attrib.verify.plan import Offer
from attrib.verify.results import SNIPPET, Results

_WIDE = 150
"""Columns where nobody reads at a terminal that is narrower."""


def show_results(results: Sequence[ExperimentResult], *, as_json: bool, root: Path) -> None:
    """Print the results: a table and the best configuration, or JSON without the single steps."""
    if as_json:
        _print_json([msgspec.structs.replace(result, plain_ns={}) for result in results])
        return
    single = [result for result in results if result.id != BEST]
    keeping = [result for result in single if not result.changes_numbers]
    changing = [result for result in single if result.changes_numbers]
    _print_results(keeping, "")
    _print_results(changing, "If you accept other numbers:")
    for result in results:
        if result.id == BEST:
            _print_best(result, root)


def _print_results(results: Sequence[ExperimentResult], heading: str) -> None:
    if not results:
        return
    console = _console()
    if heading:
        console.print(Text(f"\n{heading}", style="bold"))
    table = _table("change", "predicted", "measured", "", "outputs", "flags")
    for result in results:
        table.add_row(*(Text(one_line(cell)) for cell in _cells(result)))
    console.print(table)
    for result in results:
        if result.note:
            missed = "missed, because " if result.agrees is False else ""
            console.print(Text(one_line(f"{result.title}: {missed}{result.note}"), style="dim"))


def _cells(result: ExperimentResult) -> tuple[str, ...]:
    state = result.state.replace("_", " ")
    if result.saving_ns is None:
        return result.title, _predicted(result.predicted), f"{state}: {result.reason}", "", "", result.flags
    verdict = {True: "agrees", False: "missed", None: "no prediction"}[result.agrees]
    outputs = {True: "equal", False: "differ", None: "not compared"}[result.outputs_equal]
    return (
        result.title, _predicted(result.predicted), figure(result.saving_ns), verdict, outputs, result.flags,
    )  # fmt: skip


def _predicted(prediction: Prediction | None) -> str:
    if prediction is None:
        return "-"
    return BOUND_WORDS[prediction.kind] + figure(prediction.saving_ns)


def _print_best(result: ExperimentResult, root: Path) -> None:
    console = _console()
    if result.saving_ns is None:
        console.print(Text(one_line(f"\nBest configuration: none found ({result.reason})"), style="bold"))
        return
    console.print(
        Text("\nBest configuration", style="bold"), Text(f"saves {figure(result.saving_ns)} of a step")
    )
    lines = (
        f"consists of: {', '.join(result.parts)}",
        f"flags: {result.flags}",
        f"program: {os.fspath(root / SNIPPET)}",
        result.note,
    )
    for line in filter(None, lines):
        console.print(Text(f"  {one_line(line)}"))


def show_offers(offered: Iterable[Offer], results: Results, *, as_json: bool) -> None:
    """Print every experiment: what it would save, who asks for it, what came of it, or why it does not apply."""
    rows = [row for offer in offered for row in _listed(offer, results)]
    if as_json:
        _print_json(rows)
        return
    table = _table("experiment", "change", "predicted", "asked for by", "so far")
    for row in rows:
        table.add_row(*(Text(one_line(row[key])) for key in ("id", "title", "says", "asked_by", "state")))
    _console().print(table)


def _listed(offer: Offer, results: Results) -> list[dict[str, Any]]:
    asked_by = ", ".join(offer.asked_by)
    if offer.state is not None:
        says = f"{offer.state.replace('_', ' ')}: {offer.reason}"
        experiment = offer.experiment
        return [
            {"id": experiment.id, "title": experiment.title, "applies": False, "says": says, "predicted": None,
             "asked_by": asked_by, "state": ""}
        ]  # fmt: skip
    return [
        {"id": variant.id, "title": variant.title, "applies": True,
         "says": _predicted(variant.predicted) if variant.predicted else f"no prediction: {variant.unpredicted}",
         "predicted": variant.predicted, "asked_by": asked_by, "state": _so_far(results.find(variant.id))}
        for variant in offer.variants
    ]  # fmt: skip


def _so_far(result: ExperimentResult | None) -> str:
    if result is None:
        return ""
    return figure(result.saving_ns) if result.saving_ns else result.state.replace("_", " ")


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", header_style="bold")
    return table


def _console() -> Console:
    # A terminal that lacks a character shows its code instead of failing.
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    return console if console.is_terminal else Console(
        file=sys.stdout, highlight=False, emoji=False, markup=False, width=max(console.width, _WIDE)
    )  # fmt: skip


def _print_json(rows: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
