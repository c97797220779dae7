"""An explanation on the terminal. Every string is text, never rich markup."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from attrib.model.document import CAUSES, CauseRow, LedgerRow
from attrib.model.experiment import ExperimentResult
from attrib.model.provenance import RegionTrail, TrailCall, TrailRun
from attrib.report.view.experiment_row import tried_of
from attrib.report.view.explain import ExplainedRegion, Explanation
from attrib.report.view.operators import CONTRADICTS
from attrib.report.view.text import plural, shorten, visible
from attrib.units import Unit, format_interval, format_percent

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
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
_LINE_LIMIT = 400
_MILLISECOND = 1_000_000


def print_explanation(found: Explanation, console: "Console") -> None:
    """Print where something comes from, what it is on the other side, what it costs, and how that is known."""
    from rich.text import Text

    unit = _unit(found)
    console.print(Text.assemble(_text(found.name, "bold"), _text(f"  {_KINDS[found.kind]}", "dim")))
    if found.kind == "module":
        _module(console, found, unit)
    else:
        for region in found.regions:
            console.print()
            _region(console, region, found, unit)
    _lines(console, "Findings", [f"{finding.title} ({finding.id})" for finding in found.findings])
    _lines(console, "Experiments", [_tried(result) for result in found.experiments])


def _tried(result: ExperimentResult) -> str:
    flags = f" ({result.flags})" if result.flags else ""
    return f"{result.title}{flags}: {tried_of(result, '').sentence}"


def _unit(found: Explanation) -> Unit:
    """Milliseconds where anything takes one, else microseconds: what ONNX Runtime's profile resolves."""
    largest = max(abs(found.torch_ns), abs(found.onnxruntime_ns), abs(found.delta_ns))
    return Unit(_MILLISECOND, "ms", 3) if largest >= _MILLISECOND else Unit(1_000, "µs", 1)


def _text(text: str, style: str = "") -> "Text":
    from rich.text import Text

    return Text(shorten(visible(text), _LINE_LIMIT), style=style, overflow="fold")


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


def _indented(console: "Console", shown: "RenderableType") -> None:
    from rich.padding import Padding

    console.print(Padding(shown, (0, 0, 0, 2), expand=False), highlight=False)


def _sums(found: Explanation | ExplainedRegion, unit: Unit) -> "Text":
    delta = format_interval(found.delta_ns, found.low_ns, found.high_ns, scale=unit)
    noise = "  noise" if found.low_ns <= 0 <= found.high_ns else ""
    sides = f"PyTorch {unit.text(found.torch_ns)}, ONNX Runtime {unit.text(found.onnxruntime_ns)}"
    return _text(f"{sides}: {delta}{noise}")


def _module(console: "Console", found: Explanation, unit: Unit) -> None:
    _indented(console, _sums(found, unit))
    if found.shared:
        _indented(
            console,
            _text(f"shared with other modules: {plural(found.shared, 'region')} of these", "dim"),
        )
    if found.causes:
        console.print()
        console.print(_causes(found.causes, unit))
    console.print()
    console.print(_text(f"{plural(len(found.regions), 'region')}, in {unit.symbol}", "bold"))
    table = _grid("r", "r", "r", "t")
    table.add_row(
        *(_text(head, "dim") for head in ("PyTorch", "ORT", "Δ", "region: what ran, how it was matched"))
    )
    for region in found.regions:
        figures = (unit.number(region.torch_ns), unit.number(region.onnxruntime_ns))
        table.add_row(*map(_text, figures), _text(unit.number(region.delta_ns, sign=True)), _short(region))
    _indented(console, table)


def _short(region: ExplainedRegion) -> "Text":
    """A region in two lines."""
    trail = region.trail
    calls, nodes = ([item.op for item in items] for items in (trail.calls, trail.ran))
    text = _text(trail.id)
    text.append(
        f"\n{_listed(calls) or 'no call'} → {_listed(nodes) or 'no node'}, {_matched(region)}", style="dim"
    )
    for step in trail.steps:
        if step.kind == "rewritten":
            text.append("\n").append_text(_text(step.text, "dim"))
    return text


def _listed(ops: Sequence[str]) -> str:
    counts = {op: ops.count(op) for op in dict.fromkeys(ops)}
    return shorten(visible(", ".join(op if n == 1 else f"{op} ×{n}" for op, n in counts.items())), 160)


def _matched(region: ExplainedRegion) -> str:
    match = region.match
    if match.method == "none":
        return "not matched"
    against = " (contradicted)" if any(CONTRADICTS in line for line in match.evidence) else ""
    return f"{match.method} {format_percent(match.confidence)}{against}"


def _causes(causes: Iterable[CauseRow | LedgerRow], unit: Unit) -> "Table":
    table = _grid("n", "r", "r", "r")
    table.add_row(*(_text(head, "dim") for head in ("  Cause", "PyTorch", "ORT", "Δ")))
    for cause in causes:
        delta = format_interval(cause.delta_ns, cause.low_ns, cause.high_ns, scale=unit)
        figures = (unit.number(cause.torch_ns), unit.number(cause.onnxruntime_ns), delta)
        table.add_row(_text(f"  {CAUSES[cause.cause].title}"), *map(_text, figures))
    return table


def _region(console: "Console", region: ExplainedRegion, found: Explanation, unit: Unit) -> None:
    trail = region.trail
    if trail.id:
        console.print(_text(f"region {trail.id}", "bold"))
        _indented(console, _sums(region, unit))
    if trail.module:
        _indented(console, _text(f"module {trail.module}", "dim"))
    if len(region.rows) > 1 or (region.rows and found.kind != "row"):
        console.print(_causes(region.rows, unit))
    _lanes(console, trail, found.name, unit)
    _lines(console, "Rewrites", [step.text for step in trail.steps])
    reasons = [trail.reason] if trail.reason and trail.reason not in region.match.evidence else []
    title = "Not matched" if region.match.method == "none" else f"Match: {_matched(region)}"
    _lines(console, title, [*reasons, *region.match.evidence])


def _lanes(console: "Console", trail: RegionTrail, focus: str, unit: Unit) -> None:
    """What there is on either side and in the graphs between them; what was asked for is marked."""
    if trail.calls:
        console.print(_text("PyTorch ran", "bold"))
        _indented(console, _units(trail.calls, focus, unit))
    for stage in trail.stages:
        console.print(_text(_STAGES.get(stage.name, f"After {stage.name}"), "bold"))
        table = _grid("n", "t")
        for node in stage.nodes:
            module = "" if node.module == trail.module else node.module
            origin = ", ".join(filter(None, (module, node.fx_node and f"fx node {node.fx_node}")))
            table.add_row(_text(node.op), _named(node.name, (origin,), focus))
        _indented(console, table)
    if trail.ran:
        console.print(_text("ONNX Runtime ran", "bold"))
        _indented(console, _units(trail.ran, focus, unit))


def _units(items: Sequence[TrailCall] | Sequence[TrailRun], focus: str, unit: Unit) -> "Table":
    table = _grid("n", "r", "t")
    for item in items:
        table.add_row(_text(item.op), _text(unit.text(item.ns)), _named(item.id, _about(item), focus))
    return table


def _about(item: TrailCall | TrailRun) -> tuple[str, ...]:
    read = ", ".join(item.inputs)
    if isinstance(item, TrailRun):
        tensors = f"{read} → {', '.join(item.outputs)}" if item.outputs else read
        return (tensors, item.provider)
    covered = (f"  {m.op} {m.name or ''} in {m.scope or '(root)'}" for m in item.members)
    return (
        read,
        *((f"one compiled kernel for {plural(len(item.members), 'op')}:",) if item.members else ()),
        *covered,
    )


def _named(name: str, about: Iterable[str], focus: str) -> "Text":
    """A name with what is known about it below; the name that was asked for is marked."""
    mine = name == focus
    text = _text(name, "bold" if mine else "")
    if mine:
        text.append(" ◂", style="bold")
    for line in filter(None, about):
        text.append("\n").append_text(_text(line, "dim"))
    return text


def _lines(console: "Console", title: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    console.print(_text(title, "bold"))
    for line in lines:
        _indented(console, _text(line, "bold red" if CONTRADICTS in line else ""))
