"""Printing for `attrib verify`: predicted and measured savings, the best configuration, the list of experiments."""

import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from attrib.cli.command import is_quiet
from attrib.model.estimate import Delta
from attrib.model.experiment import BOUND_WORDS, ExperimentResult, Prediction
from attrib.report.terminal.builds import print_builds
from attrib.report.view.builds import builds_view
from attrib.report.view.experiment_row import figure
from attrib.report.view.text import one_line
from attrib.verify.best import BEST
from attrib.verify.plan import Offer
from attrib.verify.results import SNIPPET, Results

_WIDE = 150
"""Width of a table in characters where the output is no terminal."""


def show_results(results: Sequence[ExperimentResult], *, as_json: bool, root: Path) -> None:
    """Print the results: a table and the best configuration, or JSON without the single steps."""
    if as_json:
        _print_json([msgspec.structs.replace(result, plain_ns={}) for result in results])
        return
    for result in results:
        if (builds := builds_view(result)) is not None:
            print_builds(_console(), builds)
    single = [result for result in results if result.id != BEST and result.builds is None]
    keeping = [result for result in single if not result.changes_numbers]
    changing = [result for result in single if result.changes_numbers]
    _print_results(keeping, "")
    _print_results(changing, "If you accept changed numbers:")
    best = next((result for result in results if result.id == BEST), None)
    if best is None:
        return
    console = _console()
    if best.saving_ns is None:
        console.print(Text(one_line(f"\nBest configuration: none found ({best.reason})"), style="bold"))
        return
    console.print(
        Text("\nBest configuration", style="bold"), Text(f"saves {figure(best.saving_ns)} of a step")
    )
    lines = (
        f"parts: {', '.join(best.parts)}",
        f"flags: {best.flags}",
        f"program: {os.fspath(root / SNIPPET)}",
        best.note,
    )
    for line in filter(None, lines):
        console.print(Text(f"  {one_line(line)}"))


def _print_results(results: Sequence[ExperimentResult], heading: str) -> None:
    if not results:
        return
    console = _console()
    if heading:
        console.print(Text(f"\n{heading}", style="bold"))
    table = _table("change", "predicted", "measured", "", "outputs", "flags")
    for result in results:
        if result.saving_ns is None:
            state = result.state.replace("_", " ")
            cells = (f"{state}: {result.reason}", "", "")
        else:
            cells = (figure(result.saving_ns), _verdict(result), _outputs_text(result))
        row = (result.title, _prediction_text(result.predicted), *cells, result.flags)
        table.add_row(*(Text(one_line(cell)) for cell in row))
    console.print(table)
    for result in results:
        if result.note and not is_quiet():
            because = {"missed": "missed, because ", "not settled": "not settled: "}.get(_verdict(result), "")
            console.print(Text(one_line(f"{result.title}: {because}{result.note}"), style="dim"))


def _outputs_text(result: ExperimentResult) -> str:
    """Whether the outputs stayed the same; of a change that is declared to change them, how far apart they are."""
    worst = max(result.outputs, key=lambda output: (not output.equal, output.max_rel), default=None)
    if worst is None or not result.changes_numbers:
        return {True: "equal", False: "differ", None: "not compared"}[result.outputs_equal]
    apart = worst.reason or f"{worst.max_rel:.2g} of the largest value"
    return f"{'within' if worst.equal else 'beyond'} {worst.tolerance:g}: {apart}"


def _verdict(result: ExperimentResult) -> str:
    """Whether what was measured agrees with the prediction, in words."""
    if not result.settled:
        return "not settled"
    return {True: "agrees", False: "missed", None: "no prediction"}[result.agrees]


def _prediction_text(prediction: Prediction | None) -> str:
    if prediction is None:
        return "-"
    return BOUND_WORDS[prediction.kind] + figure(prediction.saving_ns)


def show_offers(offered: Iterable[Offer], results: Results, *, as_json: bool) -> None:
    """Print every experiment: predicted saving or why it does not apply, findings that name it, result so far."""
    rows: list[dict[str, Any]] = []
    for offer in offered:
        common = {"asked_by": ", ".join(offer.asked_by)}
        if offer.state is not None:
            says = f"{offer.state.replace('_', ' ')}: {offer.reason}"
            rows.append(
                {"id": offer.experiment.id, "title": offer.experiment.title, "applies": False, "says": says,
                 "predicted": None, **common, "state": ""}
            )  # fmt: skip
        for variant in offer.variants:
            known = results.find(variant.id)
            so_far = "" if known is None else known.state.replace("_", " ")
            if known is not None and known.saving_ns:
                so_far = f"measured: {_saves(known.saving_ns)}"
            predicted = variant.predicted
            says = (
                f"predicted: {_saves(predicted.saving_ns, BOUND_WORDS[predicted.kind])}"
                if predicted
                else f"no prediction: {variant.unpredicted}"
            )
            rows.append(
                {"id": variant.id, "title": variant.title, "applies": True, "says": says,
                 "predicted": predicted, **common, "state": so_far}
            )  # fmt: skip
    if as_json:
        _print_json(rows)
    else:
        _print_groups(rows)


def _print_groups(rows: Iterable[dict[str, Any]]) -> None:
    groups: dict[str, list[dict[str, Any]]] = {
        "Named by a finding": [],
        "Applies too": [],
        "Does not apply": [],
    }
    for row in rows:
        group = (
            "Does not apply"
            if not row["applies"]
            else "Named by a finding"
            if row["asked_by"]
            else "Applies too"
        )
        groups[group].append(row)
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    for heading, its in groups.items():
        if its:
            console.print(Text(heading, style="bold"))
        for row in its:
            asked = f"named by {row['asked_by']}" if row["asked_by"] else ""
            console.print(Text(f"  {one_line(row['id'])}"), Text(one_line(row["title"]), style="dim"))
            for line in filter(None, (row["says"], row["state"], asked)):
                console.print(Padding(Text(one_line(line)), (0, 0, 0, 6), expand=False))


def _saves(saving: Delta, bound: str = "") -> str:
    """A saving as a verb, so that no sign has to be read."""
    if saving.median >= 0:
        return f"saves {bound}{figure(saving)}"
    return f"costs {bound}{figure(Delta(median=-saving.median, low=-saving.high, high=-saving.low))}"


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", header_style="bold")
    return table


def _console() -> Console:
    console = Console(file=sys.stdout, highlight=False, emoji=False, markup=False)
    return console if console.is_terminal else Console(
        file=sys.stdout, highlight=False, emoji=False, markup=False, width=max(console.width, _WIDE)
    )  # fmt: skip


def _print_json(rows: object) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(rows), indent=2))
