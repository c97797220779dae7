"""What `attrib verify` tried, as a reader is shown it: groups, sentences and figures. No markup in here."""

import math
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from attrib.model.document import Document, Latency
from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.model.experiment import ExperimentResult
from attrib.report.view.builds import BuildsView, builds_view
from attrib.report.view.dot_chart import chart_row, common_axis
from attrib.report.view.experiment_row import ExperimentRow, experiment_row
from attrib.report.view.operators import unique_anchors
from attrib.report.view.verdict import side_names
from attrib.units import format_percent, format_ratio, unit_for
from attrib.wording import counted

BEST = "best"
"""The id of the experiment that combines the verified wins."""

PROVE_HINT = "`attrib verify TRACE_DIR` applies these fixes and measures what each saves."

_WITHOUT = "(without "
"""What flags hold where a flag of the capture must go (`attrib.verify.flags`)."""

_CHANGED = "These change the outputs. Weigh the saving against that change."


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Experiments that are read together, the largest saving first; `axis` says from where to where their chart goes."""

    title: str
    note: str
    axis: str
    rows: tuple[ExperimentRow, ...]


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The best configuration found: its row, what it is made of, what to type, and what it means in words."""

    row: ExperimentRow
    parts: tuple[str, ...]
    sentence: str
    command: str
    note: str


class Experiments(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was tried.

    Attributes:
        count: How many experiments there are.
        best: The one that combines the wins.
        builds: Other builds of ONNX Runtime.
        groups: What else was measured.
        torch: The headline against what PyTorch could do; empty where no such experiment was measured.
        unmeasured: What did not come to a figure, with the reason.
        idle: What would change nothing here.
        score: In how many the prediction held, and in how many the measurement cannot tell.
        by_finding: The experiments of each finding, by its id.
    """

    count: int
    best: Best | None
    builds: tuple[BuildsView, ...]
    groups: tuple[Group, ...]
    torch: str
    unmeasured: tuple[ExperimentRow, ...]
    idle: tuple[ExperimentRow, ...]
    score: str
    by_finding: dict[str, tuple[ExperimentRow, ...]]


def experiments_of(document: Document) -> Experiments | None:
    """The experiments of a document; None where nothing was tried."""
    results = document.experiments
    if not results:
        return None
    anchors = unique_anchors(result.id for result in results)
    rows = [experiment_row(result, anchors[result.id]) for result in results]
    single = [row for row in rows if row.result.id != BEST and row.result.builds is None]
    by_finding: dict[str, tuple[ExperimentRow, ...]] = {}
    for row in rows:
        for finding in row.result.findings:
            by_finding[finding] = (*by_finding.get(finding, ()), row)
    return Experiments(
        count=len(results),
        best=next((describe_best(row, document) for row in rows if row.result.id == BEST), None),
        builds=tuple(view for result in results if (view := builds_view(result)) is not None),
        groups=group_rows(single, document),
        torch=compare_with_torch(document),
        unmeasured=tuple(row for row in single if row.state and row.result.state != "not_applicable"),
        idle=tuple(row for row in single if row.result.state == "not_applicable"),
        score=score_of(results),
        by_finding=by_finding,
    )


def score_of(results: Sequence[ExperimentResult]) -> str:
    """In how many experiments the prediction held, and in how many the measurement cannot tell."""
    judged = [result for result in results if result.saving_ns and result.predicted]
    if not judged:
        return ""
    agreed = sum(result.agrees is True for result in judged)
    unsettled = sum(not result.settled for result in judged)
    open_ = f", {unsettled} not settled" if unsettled else ""
    return f"{agreed} of {counted(len(judged), 'prediction')} agreed with what was measured{open_}."


def group_rows(rows: Sequence[ExperimentRow], document: Document) -> tuple[Group, ...]:
    """Put what was measured into groups: by side, and by whether the outputs change."""
    names = side_names(document)
    groups = []
    for title, side, changes in (
        (f"In {names['onnxruntime']}", "onnxruntime", False),
        (f"In {names['onnxruntime']}, with changed outputs", "onnxruntime", True),
        (f"What {names['torch']} could do", "torch", False),
        (f"What {names['torch']} could do, with changed outputs", "torch", True),
    ):
        members = [
            row for row in rows
            if row.result.saving_ns and row.result.side == side and row.result.changes_numbers == changes
        ]  # fmt: skip
        if members:
            axis = common_axis(row.result for row in members)
            group = Group(
                title=title,
                note=_CHANGED if changes else "",
                axis=f"{format_percent(axis.low)} to {format_percent(axis.high)} of a step",
                rows=tuple(replace(row, chart=chart_row(row.result, axis)) for row in members),
            )
            groups.append(group)
    return tuple(groups)


def describe_best(row: ExperimentRow, document: Document) -> Best:
    """Put the best configuration into words, with the command that captures it."""
    result = row.result
    titles = {other.id: other.title for other in document.experiments}
    sentence = row.state
    if result.saving_ns is not None:
        steps = ""
        if result.baseline_ns and result.variant_ns:
            before, after = _step(result.baseline_ns), _step(result.variant_ns)
            steps = f" ({before} before, {after} after, in one run)"
        outputs = f"; outputs {row.outputs}" if row.outputs else ""
        sentence = f"It saves {row.measured} of a step{steps}{outputs}."
    # The capture's command with the flags behind it; the flags alone where something must be left out, too.
    whole = document.command and result.flags and _WITHOUT not in result.flags
    return Best(
        row=row,
        parts=tuple(titles.get(part, part) for part in result.parts),
        sentence=sentence,
        command=f"{document.command} {result.flags}" if whole else result.flags,
        note=f"{result.note[0].upper()}{result.note[1:]}." if result.note else "",
    )


def _step(estimate: Estimate) -> str:
    half = max(estimate.high - estimate.median, estimate.median - estimate.low)
    return unit_for(estimate.median, noise=half).text(estimate.median)


def compare_with_torch(document: Document) -> str:
    """Restate the headline for the fastest PyTorch that kept its outputs.

    The two were never measured side by side. Each was beside PyTorch as captured, so that two ratios lead from one to the
    other; times of separate runs are not compared.
    """
    kept = [
        (result, ratio)
        for result in document.experiments
        if result.side == "torch"
        and result.outputs_equal
        and result.significant
        and result.settled
        and not result.changes_numbers
        if (ratio := _ratio_of_change(result)) is not None
    ]
    captured = _ratio_of_headline(document.latency)
    if not kept or captured is None or document.judgement.inconclusive:
        return ""
    fastest, change = max(kept, key=lambda pair: pair[1].value)
    derived, names = divide_ratios(captured, change), side_names(document)
    torch, ort = names["torch"], names["onnxruntime"]
    sure = ": no significant difference" if derived.low <= 1 <= derived.high else ""
    return (
        f"{fastest.title}: {format_ratio(change.value)} as fast as {torch} as captured ({_ends(change)}, measured side by "
        f"side). {ort} was {format_ratio(captured.value)} as fast as {torch} in the capture ({_ends(captured)}). "
        f"Put together, {ort} is {format_ratio(derived.value)} as fast as {torch} with this change ({_ends(derived)})"
        f"{sure}. This is derived from the two ratios, not measured side by side."
    )


def divide_ratios(first: Ratio, second: Ratio) -> Ratio:
    """One ratio over another from a separate run.

    Errors of separate runs do not depend on each other: on the logarithmic scale the distances to the ends of both
    intervals add in quadrature.
    """
    up = math.hypot(math.log(first.high / first.value), math.log(second.value / second.low))
    down = math.hypot(math.log(first.value / first.low), math.log(second.high / second.value))
    value = first.value / second.value
    return Ratio(value=value, low=value * math.exp(-down), high=value * math.exp(up))


def _ratio_of_change(result: ExperimentResult) -> Ratio | None:
    """How many times as fast the change makes a step; results of older versions hold only the saving."""
    if result.ratio is not None or result.baseline_ns is None or result.saving_ns is None:
        return result.ratio
    saving = result.saving_ns
    return _ratio_from(result.baseline_ns, Delta(median=-saving.median, low=-saving.high, high=-saving.low))


def _ratio_of_headline(latency: Latency) -> Ratio | None:
    if latency.ratio is not None or latency.torch_ns is None or latency.delta_ns is None:
        return latency.ratio
    return _ratio_from(latency.torch_ns, latency.delta_ns)


def _ratio_from(first: Estimate, delta: Delta) -> Ratio | None:
    """A step over that which takes so much longer and was measured beside it."""
    shortest = first.median + delta.low
    if min(first.median, shortest) <= 0:
        return None
    value, low, high = (first.median / (first.median + end) for end in (delta.median, delta.high, delta.low))
    return Ratio(value=value, low=low, high=high)


def _ends(ratio: Ratio) -> str:
    """The ends of its interval, e.g. `1.28 to 1.34`."""
    return f"{ratio.low:.2f} to {ratio.high:.2f}"
