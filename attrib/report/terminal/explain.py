"""An explanation on the terminal. Every string is text, never rich markup."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from attrib.model.document import CAUSES, CauseRow, LedgerRow
from attrib.model.provenance import RegionTrail, TrailCall, TrailRun
from attrib.report.terminal import text as terminal
from attrib.report.terminal.text import print_line
from attrib.report.view.experiment_row import experiment_row
from attrib.report.view.explain import ExplainedRegion, Explanation
from attrib.report.view.operators import CONTRADICTS
from attrib.report.view.text import count_names, shorten
from attrib.units import MICROSECONDS, MILLISECONDS, Unit, format_interval, format_percent
from attrib.wording import counted

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_KINDS = {
    "node": "node that ONNX Runtime ran",
    "graph node": "node of a captured graph",
    "value": "value of a captured graph",
    "call": "PyTorch call",
    "fx node": "fx node of the exporter",
    "module": "module",
    "region": "region",
    "row": "row of the ledger",
}
_STAGES = {
    "exported": "Exported graph",
    "optimized": "In the optimized graph, but not run as a node of its own",
}
_OPS_LIMIT = 160

text_of = partial(terminal.text_of, limit=400)


def print_explanation(found: Explanation, console: "Console") -> None:
    """Print where something comes from, what it is on the other side, what it costs, and how that is known."""
    from rich.text import Text

    largest = max(abs(found.torch_ns), abs(found.onnxruntime_ns), abs(found.delta_ns))
    unit = MILLISECONDS if largest >= MILLISECONDS.size else MICROSECONDS
    console.print(Text.assemble(text_of(found.name, "bold"), text_of(f"  {_KINDS[found.kind]}", "dim")))
    if found.kind == "module":
        print_module(console, found, unit)
    else:
        for region in found.regions:
            console.print()
            print_region(console, region, found, unit)
    _list(console, "Findings", [f"{finding.title} ({finding.id})" for finding in found.findings])
    tried = []
    for result in found.experiments:
        flags = f" ({result.flags})" if result.flags else ""
        tried.append(f"{result.title}{flags}: {experiment_row(result, '').sentence}")
    _list(console, "Experiments", tried)


def print_module(console: "Console", found: Explanation, unit: Unit) -> None:
    """Print the sums of a module, its causes, and its regions in two lines each."""
    print_line(console, _sums(found, unit), indent=2)
    if found.shared:
        shared = f"shared with other modules: {counted(found.shared, 'region')} of these"
        print_line(console, text_of(shared, "dim"), indent=2)
    if found.causes:
        console.print()
        console.print(cause_table(found.causes, unit))
    console.print()
    console.print(text_of(f"{counted(len(found.regions), 'region')}, in {unit.symbol}", "bold"))
    table = _grid("r", "r", "r", "t")
    heads = ("PyTorch", "ORT", "Δ", "region: what ran, how it was matched")
    table.add_row(*(text_of(head, "dim") for head in heads))
    for region in found.regions:
        trail = region.trail
        calls, nodes = (
            shorten(", ".join(count_names(item.op for item in items)), _OPS_LIMIT)
            for items in (trail.calls, trail.ran)
        )
        lines = [f"{calls or 'no call'} → {nodes or 'no node'}, {_describe_match(region)}"]
        lines += [step.text for step in trail.steps if step.kind == "rewritten"]
        figures = (unit.number(region.torch_ns), unit.number(region.onnxruntime_ns))
        delta = unit.number(region.delta_ns, sign=True)
        table.add_row(*map(text_of, figures), text_of(delta), _with_lines(text_of(trail.id), lines))
    print_line(console, table, indent=2)


def print_region(console: "Console", region: ExplainedRegion, found: Explanation, unit: Unit) -> None:
    """Print the sums of a region, its rows, what ran on either side and in between, and how it was matched."""
    trail = region.trail
    if trail.id:
        console.print(text_of(f"region {trail.id}", "bold"))
        print_line(console, _sums(region, unit), indent=2)
    if trail.module:
        print_line(console, text_of(f"module {trail.module}", "dim"), indent=2)
    if len(region.rows) > 1 or (region.rows and found.kind != "row"):
        console.print(cause_table(region.rows, unit))
    print_trail(console, trail, found.name, unit)
    _list(console, "Rewrites", [step.text for step in trail.steps])
    reasons = [trail.reason] if trail.reason and trail.reason not in region.match.evidence else []
    title = "Not matched" if region.match.method == "none" else f"Match: {_describe_match(region)}"
    _list(console, title, [*reasons, *region.match.evidence])


def print_trail(console: "Console", trail: RegionTrail, focus: str, unit: Unit) -> None:
    """Print what there is on either side and in the graphs between them; what was asked for is marked."""
    if trail.calls:
        console.print(text_of("PyTorch ran", "bold"))
        print_line(console, _unit_table(trail.calls, focus, unit), indent=2)
    for stage in trail.stages:
        console.print(text_of(_STAGES.get(stage.name, f"After {stage.name}"), "bold"))
        table = _grid("n", "t")
        for node in stage.nodes:
            module = "" if node.module == trail.module else node.module
            origin = ", ".join(filter(None, (module, node.fx_node and f"fx node {node.fx_node}")))
            table.add_row(text_of(node.op), _with_lines(_name(node.name, focus), [origin]))
        print_line(console, table, indent=2)
    if trail.ran:
        console.print(text_of("ONNX Runtime ran", "bold"))
        print_line(console, _unit_table(trail.ran, focus, unit), indent=2)


def cause_table(causes: Iterable[CauseRow | LedgerRow], unit: Unit) -> "Table":
    """Causes with the time of either side and the difference."""
    table = _grid("n", "r", "r", "r")
    table.add_row(*(text_of(head, "dim") for head in ("  Cause", "PyTorch", "ORT", "Δ")))
    for cause in causes:
        delta = format_interval(cause.delta_ns, cause.low_ns, cause.high_ns, scale=unit)
        figures = (unit.number(cause.torch_ns), unit.number(cause.onnxruntime_ns), delta)
        table.add_row(text_of(f"  {CAUSES[cause.cause].title}"), *map(text_of, figures))
    return table


def describe_tensors(item: TrailCall | TrailRun) -> list[str]:
    """What a call or a node read and wrote, and where it ran; of a compiled kernel, what it covers."""
    read = ", ".join(item.inputs)
    if isinstance(item, TrailRun):
        return [f"{read} → {', '.join(item.outputs)}" if item.outputs else read, item.provider]
    lines = [read]
    if item.members:
        lines.append(f"one compiled kernel for {counted(len(item.members), 'op')}:")
    lines += [f"  {m.op} {m.name or ''} in {m.scope or '(root)'}" for m in item.members]
    return lines


def _unit_table(items: Sequence[TrailCall] | Sequence[TrailRun], focus: str, unit: Unit) -> "Table":
    table = _grid("n", "r", "t")
    for item in items:
        about = _with_lines(_name(item.id, focus), describe_tensors(item))
        table.add_row(text_of(item.op), text_of(unit.text(item.ns)), about)
    return table


def _name(name: str, focus: str) -> "Text":
    """A name; the one that was asked for is marked."""
    return text_of(name, "bold").append(" ◂") if name == focus else text_of(name)


def _with_lines(text: "Text", lines: Iterable[str]) -> "Text":
    """A text with dim lines below it."""
    from rich.text import Text

    whole = Text.assemble(text)
    for line in filter(None, lines):
        whole.append("\n").append_text(text_of(line, "dim"))
    return whole


_VERIFIED = {
    "verified": "verified by values",
    "loose": "larger than what the values verify",
    "wrong": "refuted by values",
    "unchecked": "the values cannot tell",
}


def _describe_match(region: ExplainedRegion) -> str:
    match = region.match
    if match.method == "none":
        return "not matched"
    against = " (contradicted)" if any(CONTRADICTS in line for line in match.evidence) else ""
    proved = f", {_VERIFIED[match.verified]}" if match.verified else ""
    return f"{match.method} {format_percent(match.confidence)}{against}{proved}"


def _sums(found: Explanation | ExplainedRegion, unit: Unit) -> "Text":
    delta = format_interval(found.delta_ns, found.low_ns, found.high_ns, scale=unit)
    noise = "  noise" if found.low_ns <= 0 <= found.high_ns else ""
    sides = f"PyTorch {unit.text(found.torch_ns)}, ONNX Runtime {unit.text(found.onnxruntime_ns)}"
    return text_of(f"{sides}: {delta}{noise}")


def _grid(*columns: str) -> "Table":
    """A borderless table: `r` a column of figures, `n` of short names, `t` of text that folds."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for kind in columns:
        table.add_column(
            justify="right" if kind == "r" else "left",
            no_wrap=kind == "r",
            overflow="fold",
            max_width=30 if kind == "n" else None,
        )
    return table


def _list(console: "Console", title: str, lines: Sequence[str]) -> None:
    if lines:
        console.print(text_of(title, "bold"))
    for line in lines:
        print_line(console, text_of(line, "bold red" if CONTRADICTS in line else ""), indent=2)
