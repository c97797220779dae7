"""Measuring one experiment: side by side with the original, and the result compared with the prediction."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.analysis.attribution.ledger.headline import paired_difference
from attrib.capture.config.options import check_options
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions
from attrib.model.estimate import Delta
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import Role
from attrib.verify.bench_like import BenchLike, Measured
from attrib.verify.flags import flags_of
from attrib.verify.plan import Planned
from attrib.verify.prediction_error import (
    Disagreement,
    explain_disagreement,
    intervals_agree,
    scale_prediction,
)

WIDE = 0.15
"""Width of the saving's interval over the original's step, above which something disturbed the measurement."""

MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How every experiment of a run is measured.

    Attributes:
        options: Options of the original.
        captured_ns: Median plain step of each engine in the capture.
        rounds: Interleaved rounds.
        iterations: Steps in a plain block; None to fill about a tenth of a second.
        seed: Decides the order of the blocks.
    """

    options: CaptureOptions
    captured_ns: Mapping[Role, int]
    rounds: int
    iterations: int | None = None
    seed: int = 0


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

    def compare(self, baseline: CaptureOptions, variant: CaptureOptions, role: Role) -> Measured:
        """Measure two sets of options side by side."""
        return compare(self.bench(), self.setup, baseline, variant, role)

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
            found = self.compare(self.setup.options, changed, row.side)
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


def compare(
    bench: BenchLike, setup: Setup, baseline: CaptureOptions, variant: CaptureOptions, role: Role
) -> Measured:
    """Measure two sets of options side by side.

    Where the interval is so wide that it says nothing, they are measured again, and the narrowest interval counts: it is
    chosen by its width, not by the figure in it.
    """

    def once() -> Measured:
        return bench.compare(
            baseline, variant, role, rounds=setup.rounds, iterations=setup.iterations, seed=setup.seed
        )

    found = [once()]
    while _width(found[-1]) > WIDE and len(found) < MOST_ATTEMPTS:
        found.append(once())
    return min(found, key=_width)


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
    result = replace(result, predicted=predicted, agrees=intervals_agree(predicted, saving))
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
    baseline, variant, delta = paired_difference(found.baseline_ns, found.variant_ns)
    saving = Delta(median=-delta.median, low=-delta.high, high=-delta.low)
    return replace(
        result,
        baseline_ns=baseline,
        variant_ns=variant,
        saving_ns=saving,
        significant=saving.low > 0 or saving.high < 0,
        outputs=found.outputs,
        outputs_equal=all(row.equal for row in found.outputs) if found.outputs else None,
        plain_ns={"baseline": _steps(found.baseline_ns), "variant": _steps(found.variant_ns)},
    )


def _width(found: Measured) -> float:
    """Width of the interval of the difference, as a share of the original's step."""
    baseline, _, delta = paired_difference(found.baseline_ns, found.variant_ns)
    return (delta.high - delta.low) / baseline.median


def _steps(blocks: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, block)) for block in blocks)
