"""Running planned experiments one after the other: each is measured and written at once, and none stops the rest."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.attribute.paired import paired
from attrib.capture.interrupts import Interrupts
from attrib.capture.options import CaptureOptions, check_options
from attrib.capture.process import WorkerTimeout
from attrib.capture.progress import Progress
from attrib.capture.scrub import scrub
from attrib.errors import AttribError
from attrib.model.estimate import Delta
from attrib.model.experiment import ExperimentResult, ExperimentState
from attrib.model.manifest import Role
from attrib.verify.bench_like import BenchLike, Measured
from attrib.verify.flags import flags_of
from attrib.verify.misses import Miss, agree, reason_of
from attrib.verify.plan import Planned
from attrib.verify.results import Results

_MINUTE = 60
_LACKING = ("No module named", "this onnxruntime has no ", "is not installed")
"""In a reason: something is missing on this machine, and nothing is wrong with the change."""


class VerifyInterrupted(KeyboardInterrupt):
    """The user stopped the run.

    Attributes:
        message: One line: what is kept.
        hint: How to go on.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How every experiment of a run is measured.

    Attributes:
        options: Of the original.
        captured_ns: Median plain step of each engine in the capture.
        rounds: Interleaved rounds.
        iterations: Steps in a plain block; None to fill about a tenth of a second.
        seed: Of the order of the blocks.
    """

    options: CaptureOptions
    captured_ns: Mapping[Role, int]
    rounds: int
    iterations: int | None = None
    seed: int = 0


class Runner:
    """Measures what is due, and keeps what was measured before."""

    def __init__(
        self,
        setup: Setup,
        results: Results,
        bench: Callable[[], BenchLike],
        progress: Progress,
        interrupts: Interrupts,
        *,
        again: bool = False,
    ) -> None:
        """Prepare a run.

        Args:
            setup: How to measure.
            results: Where results are kept.
            bench: Starts the bench, or gives the one that runs; asked only when something is measured.
            progress: Is told which experiment runs.
            interrupts: Hold a signal back while a result is written.
            again: Measure what has a result, too.
        """
        self.setup = setup
        self.results = results
        self.measured: set[str] = set()
        self._bench = bench
        self._progress = progress
        self._interrupts = interrupts
        self._again = again

    def run(self, planned: Sequence[Planned]) -> tuple[ExperimentResult, ...]:
        """Every planned experiment's result, in their order.

        Raises:
            VerifyInterrupted: Ctrl-C or SIGTERM; results so far are kept.
            AttribError: The bench cannot be started, or a result cannot be written.
        """
        due = [item for item in planned if self._is_due(item)]
        begin, found = time.monotonic(), []
        for item in planned:
            if item not in due:
                found.append(self._kept(item))
                continue
            number = due.index(item)
            self._progress.phase(_label(item, number, len(due), time.monotonic() - begin))
            found.append(self._one(item))
        return tuple(found)

    def compare(self, baseline: CaptureOptions, variant: CaptureOptions, role: Role) -> Measured:
        """Two sets of options side by side, as every experiment is measured."""
        setup = self.setup
        return self._bench().compare(
            baseline, variant, role, rounds=setup.rounds, iterations=setup.iterations, seed=setup.seed
        )

    def keep(self, result: ExperimentResult) -> ExperimentResult:
        """Write a result; a signal waits until it is whole."""
        with self._interrupts.deferred():
            self.measured.add(result.id)
            return self.results.write(result)

    def _is_due(self, item: Planned) -> bool:
        stored = self.results.find(item.id)
        if item.variant is None:
            return stored is None or (stored.state, stored.reason) != (item.state, item.reason)
        settled = stored is not None and stored.state == "measured" and stored.flags == self._flags(item)
        return self._again or not settled

    def _kept(self, item: Planned) -> ExperimentResult:
        stored = self.results.find(item.id)
        assert stored is not None  # noqa: S101  (only what has a result is not due)
        new = tuple(sorted({*stored.findings, *item.findings}))
        return stored if new == stored.findings else self.results.write(replace(stored, findings=new))

    def _one(self, item: Planned) -> ExperimentResult:
        try:
            result = self._outcome(item)
            self.keep(result)
            self._drop_family(item)
        except KeyboardInterrupt as stop:
            with self._interrupts.deferred(forget=True):
                self._note_interruption(item)
            raise interruption(self.results) from stop
        return result

    def _drop_family(self, item: Planned) -> None:
        """An earlier run may have noted that the family has no variants here."""
        if item.variant is not None and item.id != item.experiment.id:
            with self._interrupts.deferred():
                self.results.remove(item.experiment.id)

    def _note_interruption(self, item: Planned) -> None:
        """What was measured earlier is worth more than the news that it was not measured again."""
        stored = self.results.find(item.id)
        if item.id not in self.measured and (stored is None or stored.state != "measured"):
            self.results.write(self._row(item, "interrupted", "stopped while it was measured"))

    def _outcome(self, item: Planned) -> ExperimentResult:
        if item.variant is None:
            return self._row(item, item.state or "not_applicable", item.reason)
        self._bench()  # without one nothing can be measured: that is no single experiment's failure
        try:
            check_options(item.variant.options)
            found = self.compare(self.setup.options, item.variant.options, item.experiment.side)
            return self._measured(item, found)
        except WorkerTimeout as error:
            return self._row(item, "timed_out", str(error))
        except AttribError as error:
            lacking = any(sign in str(error) for sign in _LACKING)
            return self._row(item, "unavailable" if lacking else "failed", _with_hint(error))
        except Exception as error:
            if os.environ.get("ATTRIB_DEBUG"):
                raise
            return self._row(item, "failed", f"this is a bug in attrib: {type(error).__name__}: {error}")

    def _row(self, item: Planned, state: ExperimentState, reason: str = "") -> ExperimentResult:
        variant = item.variant
        return ExperimentResult(
            id=item.id,
            title=item.title,
            side=item.experiment.side,
            findings=item.findings,
            flags=self._flags(item),
            changes_numbers=item.experiment.changes_numbers,
            state=state,
            reason=scrub(" ".join(reason.split())),
            predicted=variant.predicted if variant else None,
            unpredicted=variant.unpredicted if variant else "",
        )

    def _flags(self, item: Planned) -> str:
        return "" if item.variant is None else flags_of(self.setup.options, item.variant.options)

    def _measured(self, item: Planned, found: Measured) -> ExperimentResult:
        result = with_figures(self._row(item, "measured"), found)
        predicted, saving = result.predicted, result.saving_ns
        if predicted is None or saving is None or agree(predicted, saving):
            return replace(result, agrees=None if predicted is None else True)
        return replace(result, agrees=False, note=reason_of(self._miss(item, result, found)))

    def _miss(self, item: Planned, result: ExperimentResult, found: Measured) -> Miss:
        predicted, saving, baseline = result.predicted, result.saving_ns, result.baseline_ns
        assert predicted is not None and saving is not None and baseline is not None  # noqa: S101, PT018
        before, after = self._graphs(item)
        return Miss(
            predicted=predicted,
            saving=saving,
            captured_ns=self.setup.captured_ns.get(result.side),
            baseline_ns=baseline.median,
            same=found.same,
            before=before,
            after=after,
            notes=found.notes,
        )

    def _graphs(self, item: Planned) -> tuple[Counter[str], Counter[str]]:
        """What ran without and with the change; looked up only where a prediction missed. Empty where it is not known."""
        if item.variant is None or item.experiment.side != "onnxruntime":
            return Counter(), Counter()
        bench = self._bench()
        try:
            before, after = (bench.ran(options) for options in (self.setup.options, item.variant.options))
        except AttribError:
            return Counter(), Counter()
        return Counter(before), Counter(after)


def with_figures(result: ExperimentResult, found: Measured) -> ExperimentResult:
    """A result with what was measured side by side; positive saves time."""
    baseline, variant, delta = paired(found.baseline_ns, found.variant_ns)
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


def _steps(blocks: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(map(int, block)) for block in blocks)


def interruption(results: Results) -> VerifyInterrupted:
    """What an interrupted run says."""
    done = sum(result.state == "measured" for result in results.all)
    message = f"interrupted; what was measured is kept ({done} experiment{'' if done == 1 else 's'})"
    return VerifyInterrupted(message, "the same command again goes on with the rest")


def _label(item: Planned, number: int, count: int, seconds: float) -> str:
    """`2 of 9: Export with opset 23, about 4 min left`."""
    text = f"{number + 1} of {count}: {item.title}"
    if not number:
        return text
    left = seconds / number * (count - number)
    return (
        f"{text}, about " + (f"{left / _MINUTE:.0f} min" if left > 2 * _MINUTE else f"{left:.0f} s") + " left"
    )


def _with_hint(error: AttribError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
