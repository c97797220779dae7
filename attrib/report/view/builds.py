"""What a reader is told about two builds of ONNX Runtime: a sentence, the steps, the outputs, and the nodes that changed."""

from collections.abc import Iterator

import msgspec

from attrib.model.experiment import BuildComparison, BuildNodes, ExperimentResult, NodeChange
from attrib.report.view.diff import ChangeRow, interval_text, tone_of
from attrib.report.view.verdict import Tone, turned
from attrib.units import Unit, format_interval, format_ratios, unit_for
from attrib.wording import counted, listed

MOST_NODES = 15
"""Rows of nodes that are shown; the rest is summed."""

_FINEST = 3000
"""A table shows its figures down to this part of a step."""

_MOST_OPS = 6
_MOST_NAMES = 2
_MOST_REWRITES = 3


class BuildsView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a rendering of such an experiment shows, in its order.

    Attributes:
        names: Both builds.
        tone: What became of the step.
        sentence: The claim.
        figures: The steps that it rests on, and how far the outputs are apart.
        profile: What all nodes take, and what lies outside of them.
        unit: The unit of the table.
        nodes: What changed, the others in one row, the sum last.
        remarks: What to keep in mind.
    """

    names: tuple[str, str]
    tone: Tone
    sentence: str
    figures: str
    profile: str
    unit: Unit
    nodes: tuple[ChangeRow, ...]
    remarks: tuple[str, ...]


def builds_view(result: ExperimentResult, *, most_rows: int = MOST_NODES) -> BuildsView | None:
    """Put two builds into words and rows; None where the experiment is another.

    Args:
        result: The experiment.
        most_rows: Rows of nodes at most, those of sums left out.
    """
    builds = result.builds
    if builds is None or result.saving_ns is None:
        return None
    names = builds.before.name, builds.after.name
    totals = builds.before.node_ns, builds.after.node_ns
    unit = unit_for(max(totals), noise=max(max(totals) / _FINEST, 1))
    tone = _tone(result)
    outside = builds.before.outside_ns, builds.after.outside_ns
    return BuildsView(
        names=names,
        tone=tone,
        sentence=_sentence(result, names, tone),
        figures="; ".join(filter(None, (_steps(result, names), _outputs(result)))),
        profile=(
            f"Profiled, with the cost of recording: {builds.before.nodes:,} nodes take {unit.text(totals[0])}, then"
            f" {builds.after.nodes:,} take {unit.text(totals[1])}; outside the nodes a step takes {unit.text(outside[0])},"
            f" then {unit.text(outside[1])}"
        ),
        unit=unit,
        nodes=tuple(_rows(builds, unit, most_rows)),
        remarks=tuple(_remarks(result.note, builds)),
    )


def _tone(result: ExperimentResult) -> Tone:
    """A saving is what the second build is faster."""
    if not result.settled:
        return "none"
    if not result.significant or result.saving_ns is None:
        return "same"
    return "faster" if result.saving_ns.median > 0 else "slower"


def _sentence(result: ExperimentResult, names: tuple[str, str], tone: Tone) -> str:
    before, after = names
    same = result.builds is not None and result.builds.same
    twin = f"{after} against itself (A/A: the same package and version on both sides)"
    if tone == "none":
        return (
            f"{twin}: not settled"
            if same
            else f"Not settled whether {after} is faster or slower than {before}"
        )
    if tone == "same":
        return (
            f"{twin}: no significant difference"
            if same
            else f"No significant difference between {before} and {after}"
        )
    factor: str = tone
    if result.ratio is not None:
        value, low, high = format_ratios(*turned(result.ratio, tone))
        factor = f"{value} {tone} ({low} to {high})"
    return f"{twin}: the second is {factor}" if same else f"{after} is {factor} than {before}"


def _steps(result: ExperimentResult, names: tuple[str, str]) -> str:
    """Both steps and their difference, each with its interval, and the ratio."""
    before, after, saving = result.baseline_ns, result.variant_ns, result.saving_ns
    if before is None or after is None or saving is None:
        return ""
    steps = [
        f"{name} {format_interval(step.median, step.low, step.high, sign=False)}"
        for name, step in zip(names, (before, after), strict=True)
    ]
    change = format_interval(-saving.median, -saving.high, -saving.low)
    ratio = ""
    if result.ratio is not None:
        value, low, high = format_ratios(result.ratio.value, result.ratio.low, result.ratio.high)
        ratio = f", ratio {value} ({low} to {high})"
    return f"A step: {steps[0]}, {steps[1]}; change {change}{ratio}"


def _outputs(result: ExperimentResult) -> str:
    """How far the outputs are apart at most, and whether that is within the tolerance."""
    if not result.outputs:
        return "outputs not compared"
    worst = max(result.outputs, key=lambda output: (not output.equal, output.max_abs))
    if worst.reason:
        return f"outputs differ: {worst.name}: {worst.reason}"
    within = "within" if result.outputs_equal else "beyond"
    return (
        f"outputs {within} the tolerance of {worst.tolerance:g}: {worst.name} at most {worst.max_abs:.2g} apart"
        f" ({worst.max_rel:.2g} of its largest value)"
    )


def _remarks(note: str, builds: BuildComparison) -> Iterator[str]:
    """Why nothing is settled, what was noticed beside that, and how nodes were matched where no graph tells."""
    if note:
        yield note
    yield from (remark for remark in builds.remarks if remark not in note)
    if builds.matched == "name":
        yield "a node that has another name in the other build stands in two rows"


def _rows(builds: BuildComparison, unit: Unit, most: int) -> Iterator[ChangeRow]:
    told, left = builds.changes[:most], builds.changes[most:]
    for change in told:
        yield ChangeRow(
            label=_label(change),
            detail=_detail(change, _short_names(builds)),
            before=unit.number(change.before.ns),
            after=unit.number(change.after.ns),
            change=interval_text(change.change_ns, unit),
            tone=tone_of(change.change_ns, certain=change.certain),
            change_ns=change.change_ns.median,
        )
    more = len(left) + builds.left_out
    if more:
        before = builds.left_out_before_ns + sum(change.before.ns for change in left)
        after = builds.left_out_after_ns + sum(change.after.ns for change in left)
        yield _sum(f"All other nodes ({counted(more, 'row')})", before, after, unit)
    yield _sum("All nodes", builds.before.node_ns, builds.after.node_ns, unit)


def _sum(label: str, before: int, after: int, unit: Unit) -> ChangeRow:
    return ChangeRow(
        label=label,
        before=unit.number(before),
        after=unit.number(after),
        change=unit.number(after - before, sign=True),
        tone="same",
        change_ns=after - before,
    )


def _label(change: NodeChange) -> str:
    """`2 × encoder.layer.*.output: Add, LayerNormalization`."""
    ops = listed(change.exported, _MOST_OPS)
    label = f"{change.module}: {ops}" if ops else change.module
    return f"{change.count} × {label}" if change.count > 1 else label


def _short_names(builds: BuildComparison) -> tuple[str, str]:
    """The versions, or where they are the same, the packages too."""
    sides = (builds.before, builds.after)
    if builds.before.version == builds.after.version:
        return sides[0].name, sides[1].name
    return sides[0].version, sides[1].version


def _detail(change: NodeChange, names: tuple[str, str]) -> str:
    """What ran, and where the builds ran other ops, what either optimizer did and which nodes these are."""
    if not change.rewritten:
        return "" if change.after.ops == change.exported else _ops(change.after)
    sides = (change.before, change.after)
    became = " → ".join(map(_ops, sides))
    optimizers = (
        f"only in {name}: {'; '.join(side.rewrites[:_MOST_REWRITES])}"
        for name, side in zip(names, sides, strict=True)
        if side.rewrites
    )
    return " · ".join((became, *optimizers, f"nodes {' → '.join(map(_nodes, sides))}"))


def _ops(side: BuildNodes) -> str:
    return listed(side.ops, _MOST_OPS) or "no node"


def _nodes(side: BuildNodes) -> str:
    shown = ", ".join(side.nodes[:_MOST_NAMES]) or "none"
    more = max(len(side.nodes) - _MOST_NAMES, 0) + side.more
    return f"{shown} and {more} more" if more > 0 else shown
