"""One run of `attrib verify`: the bench, what is measured with it, and the best configuration."""

import contextlib
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from attrib.capture.config.options import CaptureOptions
from attrib.capture.config.progress import NoProgress, Progress
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.system.environment import thread_count
from attrib.capture.workload.sources import resolve_source
from attrib.model.experiment import ExperimentResult
from attrib.verify.ablation import AblationBench, ablate, ablation_row
from attrib.verify.baseline import Settings, Subject
from attrib.verify.best import BEST, Search, wins_of
from attrib.verify.identity import check_inputs
from attrib.verify.measuring import Job, Measuring
from attrib.verify.plan import Planned, Request
from attrib.verify.runner import Runner
from attrib.verify.snippet import snippet_of

StartBench = Callable[
    [CaptureOptions, Settings, Progress, Interrupts], contextlib.AbstractContextManager[AblationBench]
]


def real_bench(
    options: CaptureOptions, settings: Settings, progress: Progress, interrupts: Interrupts
) -> contextlib.AbstractContextManager[AblationBench]:
    """The bench that runs both engines."""
    from attrib.capture.bench.bench import Bench

    source = resolve_source(options)
    return Bench(options, source, interrupts=interrupts, progress=progress, timeout_s=settings.timeout)


class Verification:
    """A run; enter it before anything is measured, so that signals and workers end in good order."""

    def __init__(
        self, subject: Subject, progress: Progress | None = None, start_bench: StartBench = real_bench
    ) -> None:
        """Prepare a run.

        Args:
            subject: What to verify.
            progress: Is told what runs.
            start_bench: Makes the bench, which is started when something must be measured.
        """
        self._subject = subject
        self._progress = progress or NoProgress()
        self._start_bench = start_bench
        self._stack = contextlib.ExitStack()
        self._interrupts = Interrupts()
        self._running: AblationBench | None = None

    def __enter__(self) -> "Verification":
        self._stack.enter_context(self._interrupts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._interrupts.deferred(forget=True):
            self._stack.close()

    def perform(self, request: Request, *, best: bool = False) -> tuple[ExperimentResult, ...]:
        """Plan, measure, and with `best` stack what saves time: the last result is the best configuration.

        Raises:
            UsageError: The user names what there is not.
            VerifyInterrupted: Ctrl-C or SIGTERM; results so far are kept.
        """
        subject = self._subject
        # Whoever asks for the best configuration alone does not ask what the findings' fixes give in PyTorch.
        planned = subject.plan(request) if request.names_experiments or not best else ()
        ablations = [self._ablation(name) for name in request.ablate]
        candidates = subject.candidates() if best else ()
        known = {item.id for item in planned}
        every = (*planned, *(item for item in candidates if item.id not in known))
        results = self._runner.run([*map(self._measuring.job, every), *ablations])
        return (*results, *self._other_numbers(results), self._best(candidates)) if best else results

    def _other_numbers(self, results: Iterable[ExperimentResult]) -> list[ExperimentResult]:
        """What was measured before of changes that the best configuration must not have: to be shown beside it."""
        shown = {result.id for result in results}
        measured = [r for r in self._subject.results.all if r.changes_numbers and r.state == "measured"]
        return [result for result in measured if result.id not in shown | {BEST}]

    def _ablation(self, name: str) -> Job:
        subject = self._subject
        row = ablation_row(subject.analysis, name)
        return Job(row=row, measure=lambda: ablate(subject.analysis, self._bench(), subject.setup, name))

    def _best(self, candidates: tuple[Planned, ...]) -> ExperimentResult:
        """Stack the candidates that were measured and save time."""
        results = self._subject.results
        wins = wins_of(candidates, results.all, accept_changed_numbers=self._accepting)
        known = results.find(BEST)
        if known is not None and self._still_holds(known, {win.id for win in wins}):
            return known
        return Search(self._measuring, self._runner, self._snippet).run(wins)

    def _still_holds(self, known: ExperimentResult, wins: set[str]) -> bool:
        """Whether the best configuration found earlier is made of what would be stacked now."""
        fresh = not self._runner.measured and not self._subject.settings.again
        same = known.changes_numbers == self._accepting
        return fresh and same and known.state == "measured" and wins.issuperset(known.parts)

    @property
    def _accepting(self) -> bool:
        return self._subject.settings.accept_changed_numbers

    @staticmethod
    def _snippet(options: CaptureOptions) -> str:
        return snippet_of(options, thread_count(options.threads))

    @cached_property
    def _measuring(self) -> Measuring:
        return Measuring(self._subject.setup, self._bench)

    @cached_property
    def _runner(self) -> Runner:
        subject = self._subject
        again = subject.settings.again
        return Runner(subject.results, self._progress, self._interrupts, prepare=self._bench, again=again)

    def _bench(self) -> AblationBench:
        """The bench, started when it is first needed: a run whose results are all there starts none."""
        if self._running is None:
            subject = self._subject
            bench = self._stack.enter_context(
                self._start_bench(subject.options, subject.settings, self._progress, self._interrupts)
            )
            check_inputs(subject.manifest, bench.inputs_sha256)
            self._running = bench
        return self._running


def run(
    trace_dir: str | Path, request: Request | None = None, *, best: bool = False, **settings: Any
) -> tuple[ExperimentResult, ...]:
    """Apply fixes to a captured model, measure each beside the original, and write the results into the directory.

    Args:
        trace_dir: What `attrib profile` wrote.
        request: What to try; by default what the failed findings name.
        best: Try everything that keeps the numbers, stack what saves time, and give that as the last result.
        settings: Fields of `Settings`, e.g. `model="mine.py:factory"`, `rounds=20`.

    Raises:
        UsageError: Something is named that there is not, or the user has to name the model.
        AttribError: The capture cannot be repeated here.
    """
    subject = Subject(root=Path(trace_dir), settings=Settings(**settings))
    with Verification(subject) as verification:
        return verification.perform(request or Request(), best=best)
