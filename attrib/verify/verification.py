"""One run of `attrib verify`: the bench, what is measured with it, and the best configuration."""

import contextlib
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from attrib.capture.config.progress import NoProgress, Progress
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.system.environment import thread_count
from attrib.capture.workload.sources import resolve_source
from attrib.model.capture_options import CaptureOptions
from attrib.model.experiment import ExperimentResult
from attrib.verify.ablation import AblationBench, ablate, ablation_row
from attrib.verify.baseline import Baseline, Settings
from attrib.verify.best import BEST, Search, wins_of
from attrib.verify.builds import ProfilingBench, build_row, check_build, compare_builds
from attrib.verify.identity import check_inputs
from attrib.verify.measuring import ExperimentJob, Measuring
from attrib.verify.plan import Planned, Request
from attrib.verify.runner import ExperimentRunner
from attrib.verify.snippet import snippet_of


class VerifyBench(ProfilingBench, AblationBench, Protocol):
    """All that a run asks of its bench; `attrib.capture.bench.bench.Bench` is one."""


StartBench = Callable[
    [CaptureOptions, Settings, Progress, Interrupts], contextlib.AbstractContextManager[VerifyBench]
]


def real_bench(
    options: CaptureOptions, settings: Settings, progress: Progress, interrupts: Interrupts
) -> contextlib.AbstractContextManager[VerifyBench]:
    """Make the bench that runs both engines."""
    from attrib.capture.bench.bench import Bench

    source = resolve_source(options)
    return Bench(options, source, interrupts=interrupts, progress=progress, timeout_s=settings.timeout)


class Verification:
    """One run; it is a context manager that catches signals and stops the workers at its end."""

    def __init__(
        self, baseline: Baseline, progress: Progress | None = None, start_bench: StartBench = real_bench
    ) -> None:
        """Prepare a run.

        Args:
            baseline: The capture to verify.
            progress: Is told what runs.
            start_bench: Makes the bench; it is started only when something must be measured.
        """
        self._baseline = baseline
        self._progress = progress or NoProgress()
        self._start_bench = start_bench
        self._stack = contextlib.ExitStack()
        self._interrupts = Interrupts()
        self._running: VerifyBench | None = None

    def __enter__(self) -> "Verification":
        self._stack.enter_context(self._interrupts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._interrupts.defer(forget=True):
            self._stack.close()

    def perform(self, request: Request, *, best: bool = False) -> tuple[ExperimentResult, ...]:
        """Plan and measure; with `best`, stack what saves time and give the best configuration as the last result.

        Raises:
            UsageError: The user names what there is not.
            VerifyInterrupted: Ctrl-C or SIGTERM; results so far are kept.
        """
        baseline = self._baseline
        # `--best` alone does not measure the fixes of findings that change PyTorch.
        planned = baseline.plan(request) if request.names_experiments or not best else ()

        def measure_ablation(name: str) -> ExperimentResult:
            return ablate(baseline.analysis, self._bench(), baseline.setup, name)

        ablations = [
            ExperimentJob(row=ablation_row(baseline.analysis, name), measure=partial(measure_ablation, name))
            for name in request.ablate
        ]
        candidates = baseline.candidates() if best else ()
        known = {item.id for item in planned}
        every = (*planned, *(item for item in candidates if item.id not in known))
        results = self._runner.run([*map(self._measuring.job, every), *ablations])
        if not best:
            return results
        # Changes that the best configuration must not have are shown beside it, where they were measured before.
        shown = {BEST, *(result.id for result in results)}
        others = [
            result
            for result in baseline.results.all
            if result.changes_numbers and result.state == "measured" and result.id not in shown
        ]
        return (*results, *others, self._find_best(candidates))

    def against(self, python: Path) -> ExperimentResult:
        """Compare the captured ONNX Runtime with that of another interpreter, node by node; always measured anew.

        Raises:
            UsageError: There is no such interpreter.
            AttribError: Its ONNX Runtime cannot run the model, or not as the capture did.
            VerifyInterrupted: Ctrl-C or SIGTERM; an earlier result is kept.
        """
        baseline = self._baseline
        build = check_build(baseline.manifest, baseline.options, python)
        row = build_row(build)
        self._progress.phase(row.title)
        try:
            return self._runner.keep(compare_builds(self._bench(), baseline.setup, build))
        except KeyboardInterrupt as stop:
            raise self._runner.interruption() from stop

    def _find_best(self, candidates: tuple[Planned, ...]) -> ExperimentResult:
        """Stack the candidates that were measured and save time; an earlier answer is given again where it still holds."""
        settings, results = self._baseline.settings, self._baseline.results
        accepting = settings.accept_changed_numbers
        wins = wins_of(candidates, results.all, accept_changed_numbers=accepting)
        known = results.find(BEST)
        fresh = not self._runner.measured and not settings.again
        if known is not None and fresh and known.state == "measured" and known.changes_numbers == accepting:
            parts = {win.id for win in wins}
            if parts.issuperset(known.parts):
                return known

        def snippet(options: CaptureOptions) -> str:
            return snippet_of(options, thread_count(options.threads))

        return Search(self._measuring, self._runner, snippet).run(wins)

    @cached_property
    def _measuring(self) -> Measuring:
        return Measuring(self._baseline.setup, self._bench)

    @cached_property
    def _runner(self) -> ExperimentRunner:
        baseline = self._baseline
        again = baseline.settings.again
        return ExperimentRunner(
            baseline.results, self._progress, self._interrupts, prepare=self._bench, again=again
        )

    def _bench(self) -> VerifyBench:
        """Start the bench when it is first needed: a run that has all its results starts none."""
        if self._running is None:
            baseline = self._baseline
            bench = self._stack.enter_context(
                self._start_bench(baseline.options, baseline.settings, self._progress, self._interrupts)
            )
            check_inputs(baseline.manifest, bench.inputs_sha256)
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
    baseline = Baseline(root=Path(trace_dir), settings=Settings(**settings))
    with Verification(baseline) as verification:
        return verification.perform(request or Request(), best=best)


def against_ort(trace_dir: str | Path, python: str | Path, **settings: Any) -> ExperimentResult:
    """Measure and profile another ONNX Runtime beside the captured one, and write the result into the directory.

    Args:
        trace_dir: What `attrib profile` wrote.
        python: The interpreter of an environment with another version or package of ONNX Runtime.
        settings: Fields of `Settings`, e.g. `rounds=20`.

    Returns:
        Both steps, and in `builds` what changed node by node.

    Raises:
        UsageError: There is no such interpreter, or the user has to name the model.
        AttribError: Its ONNX Runtime cannot run the model, or not as the capture did.
    """
    with Verification(Baseline(root=Path(trace_dir), settings=Settings(**settings))) as verification:
        return verification.against(Path(python))
