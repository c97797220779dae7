"""What `attrib verify` tried, as a reader is shown it: groups, sentences and figures. No markup in here."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from attrib.model.document import Document
from attrib.model.estimate import Estimate
from attrib.report.view.dot_chart import chart_row, common_axis
from attrib.report.view.experiment_row import ExperimentRow, experiment_row
from attrib.report.view.operators import unique_anchors
from attrib.report.view.verdict import side_names
from attrib.units import unit_for
from attrib.wording import counted

BEST = "best"
"""The id of the experiment that combines the verified wins."""

PROVE_HINT = "`attrib verify TRACE_DIR` applies these fixes and measures what each saves."

_WITHOUT = "(without "
"""What flags hold where a flag of the capture must go (`attrib.verify.flags`)."""

_CHANGED = "These change the outputs. Weigh the saving against that change."


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Experiments that are read together, the largest saving first; `axis` says from where to where their chart goes."""

    title: str
    note: str
    axis: str
    rows: tuple[ExperimentRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best configuration found: its row, what it is made of, what to type, and what it means in words."""

    row: ExperimentRow
    parts: tuple[str, ...]
    sentence: str
    command: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiments:
    """Everything that was tried.

    Attributes:
        count: How many experiments there are.
        best: The one that combines the wins.
        groups: What was measured.
        torch: The headline against what PyTorch could do; empty where no such experiment was measured.
        unmeasured: What did not come to a figure, with the reason.
        idle: What would change nothing here.
        score: In how many the prediction held.
        by_finding: The experiments of each finding, by its id.
    """

    count: int
    best: Best | None
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
    single = [row for row in rows if row.result.id != BEST]
    by_finding: dict[str, tuple[ExperimentRow, ...]] = {}
    for row in rows:
        for finding in row.result.findings:
            by_finding[finding] = (*by_finding.get(finding, ()), row)
    judged = [result.agrees for result in results if result.saving_ns and result.agrees is not None]
    score = f"{sum(judged)} of {counted(len(judged), 'prediction')} agreed with what was measured."
    return Experiments(
        count=len(results),
        best=next((describe_best(row, document) for row in rows if row.result.id == BEST), None),
        groups=group_rows(single, document),
        torch=compare_with_torch(document),
        unmeasured=tuple(row for row in single if row.state and row.result.state != "not_applicable"),
        idle=tuple(row for row in single if row.result.state == "not_applicable"),
        score=score if judged else "",
        by_finding=by_finding,
    )


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
            unit = unit_for(max(axis.high_ns, -axis.low_ns))
            group = Group(
                title=title,
                note=_CHANGED if changes else "",
                axis=f"{unit.number(axis.low_ns)} to {unit.text(axis.high_ns)}",
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
    """Compare the headline with the fastest PyTorch that kept its outputs: two figures of two runs, so no interval."""
    kept = [
        r for r in document.experiments
        if r.side == "torch" and r.variant_ns and r.outputs_equal and not r.changes_numbers and r.significant
    ]  # fmt: skip
    fastest = min(kept, key=lambda r: r.variant_ns.median if r.variant_ns else 0, default=None)
    ort, names = document.latency.onnxruntime_ns, side_names(document)
    if fastest is None or fastest.variant_ns is None or fastest.baseline_ns is None or ort is None:
        return ""
    gap = ort.median - fastest.variant_ns.median
    unit = unit_for(max(ort.median, fastest.variant_ns.median))
    word = "slower" if gap > 0 else "faster"
    return (
        f"{fastest.title}: {names['torch']} then took {_step(fastest.variant_ns)} per step, against "
        f"{_step(fastest.baseline_ns)} as captured. {names['onnxruntime']} took {_step(ort)} in the capture: "
        f"{unit.text(abs(gap))} {word} than that. The two figures come from separate runs, so their difference has no "
        "interval."
    )
