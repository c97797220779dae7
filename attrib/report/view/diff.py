"""What a reader is told about two captures: one sentence, what is not the same, and what that changed."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from attrib.model.diff import (
    CauseChange,
    ConditionChange,
    Diff,
    FindingChange,
    FindingKind,
    StepChange,
    WorkChange,
)
from attrib.model.document import CAUSES
from attrib.model.estimate import Delta
from attrib.model.manifest import Role, engine_titles
from attrib.report.view.verdict import Tone, turned
from attrib.units import Unit, format_interval, format_ns, format_ratio, format_ratios, unit_for
from attrib.wording import counted, enumerated, listed

MOST_ROWS = 25
"""Rows of work and conditions that are shown; the rest is counted, and summed where it has figures."""

CONDITION_TITLES = {
    "workload": "Workload",
    "setting": "Settings",
    "software": "Software",
    "machine": "Machine",
    "measurement": "Measurement",
}
FINDING_TITLES: dict[FindingKind, str] = {
    "new": "new",
    "gone": "gone",
    "changed": "another amount",
    "kept": "as before",
}

_FINEST = 3000
"""A table shows its figures down to this part of a step."""

_MOST_OPS = 6


class ChangeRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table of changes.

    Attributes:
        label: What changed.
        detail: What it became, in words; empty where its name says all.
        before: The figure before.
        after: The figure after.
        change: The change with its interval.
        tone: `slower` or `faster` where it is certain, else `same`.
        change_ns: The change.
    """

    label: str
    detail: str = ""
    before: str = ""
    after: str = ""
    change: str
    tone: Tone
    change_ns: int


class FindingLine(msgspec.Struct, frozen=True, kw_only=True):
    """One finding: what became of it, its title, and its saving before and after."""

    kind: str
    title: str
    figures: str


class DiffView(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a rendering of a diff shows, in its order.

    Attributes:
        title: The model, or both where there are two.
        names: What the captures are called.
        tone: What became of ONNX Runtime's step.
        sentence: The claim.
        figures: What it rests on.
        remarks: What to keep in mind.
        conditions: What is not the same, by kind.
        more_conditions: How many were left out.
        unit: The unit of all tables.
        steps: The step of each engine.
        causes: The difference between the engines by cause, the sum last.
        work: The largest changes by work, the others in one row, the sum last.
        findings: What became of the findings.
    """

    title: str
    names: tuple[str, str]
    tone: Tone
    sentence: str
    figures: str
    remarks: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[ConditionChange, ...]], ...]
    more_conditions: int
    unit: Unit
    steps: tuple[ChangeRow, ...]
    causes: tuple[ChangeRow, ...]
    work: tuple[ChangeRow, ...]
    findings: tuple[FindingLine, ...]


def diff_view(diff: Diff, *, most_rows: int = MOST_ROWS) -> DiffView:
    """Put a diff into words and rows.

    Args:
        diff: What changed.
        most_rows: Rows of work at most.
    """
    names = engine_titles(diff.after.engines or diff.before.engines)
    largest = max(
        (step.median for its in (diff.before, diff.after) for step in its.steps.values()), default=0
    )
    unit = unit_for(largest, noise=max(largest / _FINEST, 1))
    models = dict.fromkeys((diff.before.model, diff.after.model))
    shown = diff.conditions[:MOST_ROWS]
    return DiffView(
        title=" and ".join(filter(None, models)),
        names=(diff.before.name, diff.after.name),
        tone=_tone_of_steps(diff),
        sentence=_sentence(diff, names),
        figures=_figures(diff, names),
        remarks=diff.remarks,
        conditions=_by_kind(shown),
        more_conditions=len(diff.conditions) - len(shown),
        unit=unit,
        steps=tuple(_step_row(step, names, unit) for step in diff.steps),
        causes=tuple(_cause_rows(diff, unit)),
        work=tuple(_work_rows(diff, names, unit, most_rows)),
        findings=tuple(map(_finding_line, diff.findings)),
    )


def _by_kind(conditions: Sequence[ConditionChange]) -> tuple[tuple[str, tuple[ConditionChange, ...]], ...]:
    kinds = dict.fromkeys(condition.kind for condition in conditions)
    return tuple(
        (CONDITION_TITLES[kind], tuple(condition for condition in conditions if condition.kind == kind))
        for kind in kinds
    )


def _tone_of_steps(diff: Diff) -> Tone:
    if diff.obstacles:
        return "none"
    return next(
        (tone_of(s.change_ns, certain=s.certain) for s in diff.steps if s.role == "onnxruntime"), "same"
    )


def tone_of(change: Delta, *, certain: bool) -> Tone:
    """How a change is marked: only a certain one is."""
    return "same" if not certain else "slower" if change.median > 0 else "faster"


def _sentence(diff: Diff, names: Mapping[Role, str]) -> str:
    """What became of the steps, ONNX Runtime's first."""
    if diff.obstacles:
        return f"These captures cannot be compared: {enumerated(diff.obstacles)}"
    if not diff.steps:
        return "These captures have no engine in common"
    steps = sorted(diff.steps, key=lambda step: step.role != "onnxruntime")
    changed = [step for step in steps if step.certain]
    if not changed:
        return f"No significant change of {enumerated([names[step.role] for step in steps])}"
    told = [f"{names[step.role]} became {_factor(step)}" for step in changed]
    same = [names[step.role] for step in steps if not step.certain]
    return ", and ".join((*told, *(f"{name} did not change significantly" for name in same)))


def _factor(step: StepChange) -> str:
    """`1.04× faster (1.02 to 1.06)`."""
    word = "faster" if step.change_ns.median < 0 else "slower"
    if step.ratio is None:
        return word
    value, low, high = format_ratios(*turned(step.ratio, word))
    return f"{value} {word} ({low} to {high})"


def _figures(diff: Diff, names: Mapping[Role, str]) -> str:
    """The steps before and after, and how the engines stand to each other."""
    parts = []
    for step in sorted(diff.steps, key=lambda step: step.role != "onnxruntime"):
        unit = _unit_of(step)
        change = format_interval(step.change_ns.median, step.change_ns.low, step.change_ns.high, scale=unit)
        parts.append(
            f"{names[step.role]} {unit.number(step.before.median)} → {unit.text(step.after.median)} a step ({change})"
        )
    ratios = diff.before.ratio, diff.after.ratio
    if diff.speedup is not None and ratios[0] is not None and ratios[1] is not None:
        value, low, high = format_ratios(diff.speedup.value, diff.speedup.low, diff.speedup.high)
        shown = [format_ratio(ratio.value) for ratio in ratios if ratio is not None]
        parts.append(
            f"{names['torch']} over {names['onnxruntime']} {shown[0]} → {shown[1]} ({value}, {low} to {high})"
        )
    return "; ".join(parts)


def _unit_of(step: StepChange) -> Unit:
    change = step.change_ns
    half = max(change.high - change.median, change.median - change.low)
    return unit_for(max(step.before.median, step.after.median), noise=half)


def _step_row(step: StepChange, names: Mapping[Role, str], unit: Unit) -> ChangeRow:
    return ChangeRow(
        label=names[step.role],
        before=unit.number(step.before.median),
        after=unit.number(step.after.median),
        change=interval_text(step.change_ns, unit),
        tone=tone_of(step.change_ns, certain=step.certain),
        change_ns=step.change_ns.median,
    )


def _cause_rows(diff: Diff, unit: Unit) -> Iterator[ChangeRow]:
    for cause in diff.causes:
        yield ChangeRow(
            label=CAUSES[cause.cause].title,
            detail=CAUSES[cause.cause].meaning,
            before=unit.number(cause.before_ns, sign=True),
            after=unit.number(cause.after_ns, sign=True),
            change=interval_text(cause.change_ns, unit),
            tone=tone_of(cause.change_ns, certain=cause.certain),
            change_ns=cause.change_ns.median,
        )
    if diff.causes:
        yield _sum_row(diff.causes, unit)


def _sum_row(causes: Sequence[CauseChange], unit: Unit) -> ChangeRow:
    before, after = sum(c.before_ns for c in causes), sum(c.after_ns for c in causes)
    return ChangeRow(
        label="Difference between the engines",
        before=unit.number(before, sign=True),
        after=unit.number(after, sign=True),
        change=unit.number(after - before, sign=True),
        tone="same",
        change_ns=after - before,
    )


def _work_rows(diff: Diff, names: Mapping[Role, str], unit: Unit, most: int) -> Iterator[ChangeRow]:
    """Certain changes and other nodes first; what is left in one row, so that the column sums to the whole change."""
    told = [work for work in diff.work if work.certain or work.rewritten][:most]
    left = [work for work in diff.work if work not in told]
    for work in told:
        yield ChangeRow(
            label=work.module,
            detail=_became(work, names, unit),
            before=unit.number(work.before.delta_ns, sign=True),
            after=unit.number(work.after.delta_ns, sign=True),
            change=interval_text(work.change_ns, unit),
            tone=tone_of(work.change_ns, certain=work.certain),
            change_ns=work.change_ns.median,
        )
    for label, its in (("All other work", left), ("Sum", diff.work)):
        if its:
            before = sum(work.before.delta_ns for work in its)
            after = sum(work.after.delta_ns for work in its)
            count = counted(sum(work.count for work in its), "piece of work", "pieces of work")
            yield ChangeRow(
                label=label,
                detail=count if its is left else "",
                before=unit.number(before, sign=True),
                after=unit.number(after, sign=True),
                change=unit.number(after - before, sign=True),
                tone="same",
                change_ns=after - before,
            )


def _became(work: WorkChange, names: Mapping[Role, str], unit: Unit) -> str:
    """`12 × linear, gelu: MatMul, BiasGelu → Gemm, Gelu; ONNX Runtime +1.2 ms, PyTorch 0.0 ms`."""
    times = f"{work.count} × " if work.count > 1 else ""
    calls = listed(work.calls, _MOST_OPS) or "no call"
    nodes = [listed(side.nodes, _MOST_OPS) or "no node" for side in (work.before, work.after)]
    became = " → ".join(nodes) if work.rewritten else nodes[1]
    sides = f"{names['onnxruntime']} {unit.number(work.onnxruntime_ns, sign=True)}, {names['torch']}"
    return f"{times}{calls}: {became}; {sides} {unit.text(work.torch_ns, sign=True)}"


def _finding_line(change: FindingChange) -> FindingLine:
    title = change.after or change.before
    if change.before and change.after and change.before != change.after:
        title = f"{change.after} (before: {change.before})"
    savings = [
        f"{format_ns(ns)} {when}"
        for when, ns in (("before", change.saving_before_ns), ("after", change.saving_after_ns))
        if ns
    ]
    return FindingLine(
        kind=FINDING_TITLES[change.kind],
        title=title,
        figures=f"saves at most {', '.join(savings)}" if savings else "",
    )


def interval_text(change: Delta, unit: Unit) -> str:
    """A change with its interval for a column whose heading says the unit."""
    text = format_interval(change.median, change.low, change.high, scale=unit)
    return text.removesuffix(f" {unit.symbol}").replace(f" {unit.symbol} (", " (")
