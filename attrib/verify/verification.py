"""One run of `attrib verify`: the capture's evidence, what to try, the bench, and the results in the directory."""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

from attrib.api import Analysis, load
from attrib.capture.environment import thread_count
from attrib.capture.interrupts import Interrupts
from attrib.capture.options import CaptureOptions
from attrib.capture.progress import NoProgress, Progress
from attrib.capture.sources import resolve_source
from attrib.errors import AttribError
from attrib.findings import RULES
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import EXPORTED, ROLES, Manifest
from attrib.verify.bench_like import BenchLike
from attrib.verify.best import BEST, Search, wins_of
from attrib.verify.original import check_graph, check_inputs, options_of, recorded_options
from attrib.verify.plan import Offer, Planned, Request, offers, plan
from attrib.verify.protocol import Experiment, Situation
from attrib.verify.results import Results
from attrib.verify.runner import Runner, Setup
from attrib.verify.snippet import snippet_of

TIMEOUT_S = 600.0
"""An experiment that exports BERT-large and compiles it takes some minutes; one that hangs never ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a run measures, and what the user names of the capture.

    Attributes:
        model: The model, where it is not built in.
        onnx: The ONNX file, where the capture ran one.
        text: The sentences of the capture.
        rounds: Interleaved rounds; None for the capture's.
        iterations: Steps in a block; None for the capture's.
        timeout: Seconds for one experiment.
        again: Measure what has a result, too.
        accept_changed_numbers: The best configuration may change the numbers.
    """

    model: str | None = None
    onnx: Path | None = None
    text: tuple[str, ...] = ()
    rounds: int | None = None
    iterations: int | None = None
    timeout: float = TIMEOUT_S
    again: bool = False
    accept_changed_numbers: bool = False


StartBench = Callable[
    [CaptureOptions, Settings, Progress, Interrupts], contextlib.AbstractContextManager[BenchLike]
]


def real_bench(
    options: CaptureOptions, settings: Settings, progress: Progress, interrupts: Interrupts
) -> contextlib.AbstractContextManager[BenchLike]:
    """The bench that runs both engines."""
    from attrib.capture.bench import Bench

    source = resolve_source(options)
    return Bench(options, source, interrupts=interrupts, progress=progress, timeout_s=settings.timeout)


@dataclass(eq=False, kw_only=True)
class Verification:
    """A trace directory to verify. Enter it before anything is measured.

    Attributes:
        root: The directory.
        settings: How to measure.
        progress: Is told what runs.
        experiments: What may be tried.
    """

    root: Path
    settings: Settings = field(default_factory=Settings)
    progress: Progress = field(default_factory=NoProgress)
    experiments: tuple[Experiment, ...] | None = None
    start_bench: StartBench | None = None

    def __post_init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._interrupts = Interrupts()
        self._running: BenchLike | None = None

    def __enter__(self) -> "Verification":
        self._stack.enter_context(self._interrupts)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._interrupts.deferred(forget=True):
            self._stack.close()

    @cached_property
    def analysis(self) -> Analysis:
        """What the directory says."""
        return load(self.root)

    @cached_property
    def manifest(self) -> Manifest:
        """What the capture says of itself.

        Raises:
            AttribError: attrib did not capture the directory, so that nobody knows what ran.
        """
        manifest = self.analysis.directory.manifest
        if manifest is None:
            hint = "record it with `attrib profile`, which writes down how"
            raise AttribError(
                f"{self.root}: attrib did not capture it, so it does not know what ran", hint=hint
            )
        return manifest

    @cached_property
    def options(self) -> CaptureOptions:
        """The capture's own options, with what the user named; see `options_of`."""
        settings = self.settings
        found = options_of(self.manifest, model=settings.model, onnx=settings.onnx, text=settings.text)
        if found.onnx is not None:
            check_graph(self.analysis.directory.graphs().get(EXPORTED), found.onnx)
        return found

    @cached_property
    def results(self) -> Results:
        """What was measured so far."""
        return Results(self.root, self.manifest, self.analysis.directory.experiments())

    def offers(self, *, named: bool = True) -> tuple[Offer, ...]:
        """Every experiment in this situation; unless `named`, without asking for what only the user can name."""
        options = self.options if named else recorded_options(self.manifest)
        return offers(self._situation(options), self._experiments, RULES, self.analysis.document.findings)

    @property
    def _experiments(self) -> tuple[Experiment, ...]:
        if self.experiments is not None:
            return self.experiments
        from attrib.verify.experiments import EXPERIMENTS

        return EXPERIMENTS

    def _situation(self, options: CaptureOptions) -> Situation:
        found = self.analysis
        return Situation(
            options=options,
            manifest=self.manifest,
            evidence=found.evidence,
            chain=found.chain,
            trails=found.trails,
        )

    def plan(self, request: Request, extra: Iterable[Planned] = ()) -> tuple[Planned, ...]:
        """What to run, in its order.

        Raises:
            UsageError: The user names what there is not.
        """
        return (*plan(self.offers(), request, RULES, self.analysis.document.findings), *extra)

    def candidates(self) -> tuple[Planned, ...]:
        """What the best configuration may be made of: every change of ONNX Runtime that keeps the numbers."""
        everything = self.plan(Request(everything=True))
        accepted = self.settings.accept_changed_numbers
        return tuple(
            item for item in everything
            if item.variant is not None
            and item.experiment.side == "onnxruntime"
            and (accepted or not item.experiment.changes_numbers)
        )  # fmt: skip

    def perform(self, request: Request, *, best: bool = False) -> tuple[ExperimentResult, ...]:
        """Plan, measure, and with `best` stack what saves time: the last result is the best configuration.

        Raises:
            UsageError: The user names what there is not.
            VerifyInterrupted: Ctrl-C or SIGTERM; results so far are kept.
        """
        planned = self.plan(request)
        candidates = self.candidates() if best else ()
        known = {item.id for item in planned}
        results = self.run((*planned, *(item for item in candidates if item.id not in known)))
        return (*results, self.best(candidates)) if best else results

    def why_nothing(self, request: Request) -> str:
        """Why a request gives no experiment."""
        unproved = {rule.id: rule.unproved for rule in RULES if rule.id in request.findings}
        if unproved:
            told = "; ".join(
                f"{name}: {why or 'its experiments do not apply here'}" for name, why in unproved.items()
            )
            return f"nothing to measure: {told}"
        if request.everything:
            return "nothing to measure: no experiment applies here (--list says why)"
        return "nothing to measure: no failed finding has an experiment (--all tries every one that applies)"

    def run(self, planned: Iterable[Planned]) -> tuple[ExperimentResult, ...]:
        """Measure what is due, and give every result.

        Raises:
            VerifyInterrupted: Ctrl-C or SIGTERM; results so far are kept.
        """
        return self._runner.run(tuple(planned))

    def best(self, candidates: Iterable[Planned]) -> ExperimentResult:
        """Stack the candidates that were measured and save time."""
        candidates = tuple(candidates)
        accept = self.settings.accept_changed_numbers
        wins = wins_of(candidates, self.results.all, accept_changed_numbers=accept)
        known = self.results.find(BEST)
        if known is not None and self._still_holds(known, {win.id for win in wins}):
            return known
        return Search(self._runner, self.progress, self._snippet).run(wins)

    def _still_holds(self, known: ExperimentResult, wins: set[str]) -> bool:
        """Whether the best configuration found earlier is made of what would be stacked now."""
        runner = self._runner
        fresh = not runner.measured and not self.settings.again
        same = known.changes_numbers == self.settings.accept_changed_numbers
        return fresh and same and known.state == "measured" and wins.issuperset(known.parts)

    def _snippet(self, options: CaptureOptions) -> str:
        return snippet_of(options, thread_count(options.threads))

    @cached_property
    def _runner(self) -> Runner:
        settings, recorded = self.settings, self.options
        document = self.analysis.document
        medians = {"torch": document.latency.torch_ns, "onnxruntime": document.latency.onnxruntime_ns}
        setup = Setup(
            options=recorded,
            captured_ns={role: found.median for role in ROLES if (found := medians[role]) is not None},
            rounds=settings.rounds or recorded.rounds,
            iterations=settings.iterations or recorded.iterations,
            seed=recorded.seed,
        )
        return Runner(setup, self.results, self._bench, self.progress, self._interrupts, again=settings.again)

    def _bench(self) -> BenchLike:
        """The bench, started when it is first needed: a run whose results are all there starts none."""
        if self._running is None:
            start = self.start_bench or real_bench
            self.progress.phase("load")
            bench = self._stack.enter_context(
                start(self.options, self.settings, self.progress, self._interrupts)
            )
            check_inputs(self.manifest, bench.inputs_sha256)
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
    with Verification(root=Path(trace_dir), settings=Settings(**settings)) as verification:
        return verification.perform(request or Request(), best=best)
