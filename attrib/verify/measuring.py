"""Measuring one experiment: side by side with the original, and the result compared with the prediction."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from attrib.analysis.attribution.ledger.headline import paired_latency
from attrib.capture.bench.launches import Effort
from attrib.capture.config.options import check_options
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions
from attrib.model.estimate import Delta
from attrib.model.experiment import ExperimentResult, Prediction, is_settled
from attrib.model.manifest import Role
from attrib.verify.bench_like import BenchLike, Measured
from attrib.verify.flags import flags_of
from attrib.verify.plan import Planned
from attrib.verify.prediction_error import (
    Disagreement,
    explain_disagreement,
    explain_unsettled,
    intervals_agree,
    scale_prediction,
)

SHARE_OF_PREDICTED = 0.25
"""Of a predicted saving: half an interval of this size tells it from nothing, and from twice as much."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How every experiment of a run is measured.

    Attributes:
        options: Options of the original.
        captured_ns: Plain step of each engine in the capture.
        effort: How long; what is predicted to save much need not be measured as finely.
    """

    options: CaptureOptions
    captured_ns: Mapping[Role, int]
    effort: Effort = field(default_factory=Effort)

    def effort_for(self, role: Role, predicted: Prediction | None) -> Effort:
        """How long a change is measured that is predicted to save so much."""
        captured = self.captured_ns.get(role)
        if predicted is None or not captured:
            return self.effort
        share = SHARE_OF_PREDICTED * abs(predicted.saving_ns.median) / captured
        return dataclasses.replace(self.effort, tolerance=max(self.effort.tolerance, share))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentJob:
    """One experiment of a run: what is known of it, and how to measure it.

    Attributes:
        row: What is known without measuring; the whole result where there is nothing to measure.
        measure: Gives the result; None where there is nothing to measure.
        family: Id of the experiment that this is a variant of; empty where it has no variants.
    """

    row: ExperimentResult
    measure: Callable[[], ExperimentResult] | None = None
    family: str = ""


class Measuring:
    """Makes a job of each planned experiment; all are measured in the same way."""

    def __init__(self, setup: Setup, bench: Callable[[], BenchLike]) -> None:
        """Prepare; `bench` starts the bench, or gives the one that runs."""
        self.setup = setup
        self.bench = bench

    def compare(
        self,
        baseline: CaptureOptions,
        variant: CaptureOptions,
        role: Role,
        predicted: Prediction | None = None,
    ) -> Measured:
        """Measure two sets of options side by side."""
        return self.bench().compare(baseline, variant, role, self.setup.effort_for(role, predicted))

    def job(self, item: Planned) -> ExperimentJob:
        """Make the job of a planned experiment."""
        variant = item.variant
        row = ExperimentResult(
            id=item.id,
            title=item.title,
            side=item.experiment.side,
            findings=item.findings,
            flags=flags_of(self.setup.options, variant.options) if variant else "",
            changes_numbers=item.experiment.changes_numbers,
            state=item.state or ("measured" if variant else "not_applicable"),
            reason=item.reason,
            predicted=variant.predicted if variant else None,
            unpredicted=variant.unpredicted if variant else "",
        )
        if variant is None:
            return ExperimentJob(row=row)
        changed = variant.options

        def measure() -> ExperimentResult:
            check_options(changed)
            found = self.compare(self.setup.options, changed, row.side, row.predicted)
            return judge(row, found, self.setup, lambda: self._count_ops(row.side, changed))

        family = item.experiment.id if item.experiment.id != item.id else ""
        return ExperimentJob(row=row, measure=measure, family=family)

    def _count_ops(self, side: Role, options: CaptureOptions) -> tuple[Counter[str], Counter[str]]:
        """Count the op types that ran without and with a change; empty where they are not known."""
        if side != "onnxruntime":
            return Counter(), Counter()
        bench = self.bench()
        try:
            before, after = (bench.count_ops(one) for one in (self.setup.options, options))
        except AttribError:
            return Counter(), Counter()
        return Counter(before), Counter(after)


def judge(
    row: ExperimentResult,
    found: Measured,
    setup: Setup,
    graphs: Callable[[], tuple[Counter[str], Counter[str]]] = lambda: (Counter(), Counter()),
) -> ExperimentResult:
    """Add the figures to a row, and whether they agree with the prediction.

    The prediction is first scaled to the speed of this run.

    Args:
        row: What is known without measuring.
        found: What was measured.
        setup: How it was measured.
        graphs: Counts the op types that ran without and with the change; called only where the prediction missed.
    """
    result = with_figures(row, found)
    saving, baseline, captured = result.saving_ns, result.baseline_ns, setup.captured_ns.get(row.side)
    if row.predicted is None or saving is None or baseline is None:
        return result
    predicted = scale_prediction(row.predicted, captured, baseline.median) if captured else row.predicted
    result = replace(result, predicted=predicted)
    if not is_settled(result):
        return replace(result, settled=False, note=explain_unsettled(result, found.notes))
    result = replace(result, settled=True, note="", agrees=intervals_agree(predicted, saving))
    if result.agrees:
        return result
    before, after = graphs()
    disagreement = Disagreement(
        predicted=predicted,
        saving=saving,
        captured_ns=captured,
        baseline_ns=baseline.median,
        same=found.same,
        before=before,
        after=after,
        notes=found.notes,
    )
    return replace(result, note=explain_disagreement(disagreement))


def with_figures(result: ExperimentResult, found: Measured) -> ExperimentResult:
    """Add what was measured side by side to a result; a positive saving saves time."""
    latency = paired_latency(found.baseline_ns, found.variant_ns, found.launches)
    delta = latency.delta_ns
    assert delta is not None  # noqa: S101  (the bench ends with an error where a side has no step)
    saving = Delta(median=-delta.median, low=-delta.high, high=-delta.low)
    result = replace(
        result,
        baseline_ns=latency.torch_ns,
        variant_ns=latency.onnxruntime_ns,
        saving_ns=saving,
        ratio=latency.ratio,
        significant=latency.significant,
        outputs=found.outputs,
        outputs_equal=all(row.equal for row in found.outputs) if found.outputs else None,
        plain_ns={"baseline": _steps(found.baseline_ns), "variant": _steps(found.variant_ns)},
        launches=tuple(found.launches),
        busy=found.busy,
    )
    settled = is_settled(result)
    return replace(result, settled=settled, note="" if settled else explain_unsettled(result, found.notes))


def _steps(blocks: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, block)) for block in blocks)
