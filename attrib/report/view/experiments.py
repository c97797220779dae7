"""What `attrib verify` tried, as a reader is shown it: groups, sentences and figures. No markup in here."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from attrib.model.document import Document
from attrib.model.estimate import Estimate
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import Role
from attrib.report.view.dot_chart import axis_of, dots_of
from attrib.report.view.experiment_row import Tried, tried_of
from attrib.report.view.operators import unique_anchors
from attrib.report.view.text import plural
from attrib.report.view.verdict import side_names
from attrib.units import unit_for

BEST = "best"
"""The id of the experiment that stacks the verified wins."""

PROVE_HINT = "`attrib verify TRACE_DIR` applies these fixes and measures what each saves."

_WITHOUT = "(without "
"""What flags hold where a flag of the capture must go (`attrib.verify.flags`)."""

_DECLARED = "These change the outputs. Weigh the saving against that change."


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Experiments that are read together, the largest saving first; `axis` says from where to where their chart goes."""

    title: str
    note: str
    axis: str
    tried: tuple[Tried, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best configuration found: its row, what it is made of, what to type, and what it means in words."""

    tried: Tried
    parts: tuple[str, ...]
    sentence: str
    command: str
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiments:
    """Everything that was tried.

    Attributes:
        count: How many experiments there are.
        best: The stacked one.
        groups: What was measured.
        torch: The headline against what PyTorch could have; empty where no such experiment was measured.
        unmeasured: What did not come to a figure, with the reason.
        idle: What would change nothing here.
        score: In how many the prediction held.
        by_finding: The experiments of each finding.
    """

    count: int
    best: Best | None
    groups: tuple[Group, ...]
    torch: str
    unmeasured: tuple[Tried, ...]
    idle: tuple[Tried, ...]
    score: str
    by_finding: dict[str, tuple[Tried, ...]]


def experiments_of(document: Document) -> Experiments | None:
    """The experiments of a document; None where nothing was tried."""
    results = document.experiments
    if not results:
        return None
    anchors = unique_anchors(result.id for result in results)
    tried = tuple(tried_of(result, anchors[result.id]) for result in results)
    single = tuple(item for item in tried if item.result.id != BEST)
    return Experiments(
        count=len(results),
        best=next((_best(item, document) for item in tried if item.result.id == BEST), None),
        groups=_groups(single, side_names(document)),
        torch=_against_torch(document),
        unmeasured=tuple(t for t in single if t.state and t.result.state != "not_applicable"),
        idle=tuple(t for t in single if t.result.state == "not_applicable"),
        score=_score(results),
        by_finding=_by_finding(tried),
    )


def _groups(tried: Sequence[Tried], names: dict[Role, str]) -> tuple[Group, ...]:
    ort, torch = names["onnxruntime"], names["torch"]
    groups = (
        (f"In {ort}", "", _measured(tried, "onnxruntime", changes=False)),
        (f"In {ort}, with changed outputs", _DECLARED, _measured(tried, "onnxruntime", changes=True)),
        (f"What {torch} could do", "", _measured(tried, "torch", changes=False)),
        (f"What {torch} could do, with changed outputs", _DECLARED, _measured(tried, "torch", changes=True)),
    )
    return tuple(_group(title, note, members) for title, note, members in groups if members)


def _group(title: str, note: str, tried: tuple[Tried, ...]) -> Group:
    axis = axis_of(item.result for item in tried)
    unit = unit_for(max(axis.high_ns, -axis.low_ns))
    placed = tuple(replace(item, dots=dots_of(item.result, axis)) for item in tried)
    ends = f"{unit.number(axis.low_ns)} to {unit.text(axis.high_ns)}"
    return Group(title=title, note=note, axis=ends, tried=placed)


def _measured(tried: Iterable[Tried], side: Role, *, changes: bool) -> tuple[Tried, ...]:
    return tuple(
        t for t in tried
        if t.result.saving_ns and t.result.side == side and t.result.changes_numbers == changes
    )  # fmt: skip


def _best(item: Tried, document: Document) -> Best:
    result = item.result
    titles = {other.id: other.title for other in document.experiments}
    parts = tuple(titles.get(part, part) for part in result.parts)
    sentence = item.state
    if result.saving_ns is not None:
        outputs = f"; outputs {item.outputs}" if item.outputs else ""
        sentence = f"It saves {item.measured} of a step{_from_to(result)}{outputs}."
    return Best(
        tried=item,
        parts=parts,
        sentence=sentence,
        command=_command(document, result),
        note=_sentence(result.note),
    )


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}." if text else ""


def _command(document: Document, result: ExperimentResult) -> str:
    """The capture's command with the flags behind it; the flags alone where something must be left out, too."""
    if not document.command or not result.flags or _WITHOUT in result.flags:
        return result.flags
    return f"{document.command} {result.flags}"


def _from_to(result: ExperimentResult) -> str:
    if result.baseline_ns is None or result.variant_ns is None:
        return ""
    return f" ({_step(result.baseline_ns)} before, {_step(result.variant_ns)} after, in one run)"


def _step(estimate: Estimate) -> str:
    half = max(estimate.high - estimate.median, estimate.median - estimate.low)
    return unit_for(estimate.median, noise=half).text(estimate.median)


def _against_torch(document: Document) -> str:
    """The headline against the fastest PyTorch that kept its outputs: two figures of two runs, and no more."""
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


def _score(results: Iterable[ExperimentResult]) -> str:
    judged = [result.agrees for result in results if result.saving_ns and result.agrees is not None]
    if not judged:
        return ""
    return f"{sum(judged)} of {plural(len(judged), 'prediction')} agreed with what was measured."


def _by_finding(tried: Iterable[Tried]) -> dict[str, tuple[Tried, ...]]:
    found: dict[str, tuple[Tried, ...]] = {}
    for item in tried:
        for finding in item.result.findings:
            found[finding] = (*found.get(finding, ()), item)
    return found
