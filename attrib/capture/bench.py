"""Plain comparison of two configurations of one engine, in the protocol of a capture.

Either configuration has a worker process of its own and gets the same inputs; both are warmed up, and then their plain
blocks alternate in random order while the other worker waits. Nothing is profiled.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from attrib.capture.ablate import Cut, cut_graph, optimized_graph
from attrib.capture.bench_graphs import op_types
from attrib.capture.bench_outputs import compared
from attrib.capture.bench_rounds import Wanted, notes_on, time_blocks
from attrib.capture.bench_side import Opener, ReadySide
from attrib.capture.interrupts import Interrupts
from attrib.capture.measure import Runner
from attrib.capture.messages import Open
from attrib.capture.options import CaptureOptions, check_options
from attrib.capture.process import WorkerError
from attrib.capture.progress import Progress
from attrib.capture.sources import Source
from attrib.capture.workers import Workers
from attrib.model.manifest import ROLES, OutputDifference, Role

VARIANT = "variant"
_TITLES = ("the baseline", "the variant")
Blocks = tuple[tuple[int, ...], ...]


class BaselineError(WorkerError):
    """The configuration to compare with could not be run; it is started anew for the next comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two configurations that were measured side by side.

    Attributes:
        baseline_ns: Plain steps of the baseline, a block for each round.
        variant_ns: Plain steps of the variant in the same rounds.
        outputs: How far the variant's outputs are from the baseline's, for those that both have.
        rounds: Interleaved rounds.
        iterations: Steps in a block.
        same: Both ran the same: the variant changed nothing.
        settings: What bears on the variant's speed, as its engine says it.
        baseline_settings: The same of the baseline.
        notes: What the reader should know.
    """

    baseline_ns: Blocks
    variant_ns: Blocks
    outputs: tuple[OutputDifference, ...]
    rounds: int
    iterations: int
    same: bool
    settings: dict[str, str]
    baseline_settings: dict[str, str]
    notes: tuple[str, ...] = ()


class Bench:
    """Compares configurations; workers and the temporary folder end with it.

    The baseline's worker stays open while its options stay the same, for either engine; exports and rewrites are kept.
    """

    def __init__(
        self,
        original: CaptureOptions,
        source: Source,
        *,
        interrupts: Interrupts,
        progress: Progress,
        timeout_s: float | None = None,
    ) -> None:
        """Starts nothing.

        Args:
            original: The capture whose inputs everything gets.
            source: Its model.
            interrupts: What holds an interruption back while a process starts.
            progress: Who is told how far a comparison is.
            timeout_s: How long a worker may take for one answer; None for ever.
        """
        self._original = original
        self._source = source
        self._interrupts = interrupts
        self._progress = progress
        self._timeout_s = timeout_s
        self._baselines: dict[Role, ReadySide] = {}
        self._workers: Workers | None = None
        self._opener: Opener | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._interrupts.deferred():
            self.close()

    def close(self) -> None:
        """End every worker and remove what they wrote; a later comparison starts from nothing."""
        workers, self._workers, self._opener = self._workers, None, None
        self._baselines.clear()
        if workers is not None:
            workers.close()

    @property
    def inputs_sha256(self) -> str:
        """Hash of the inputs that everything gets, as a manifest has it; they are made for it."""
        return self._open()[1].inputs.sha256

    def _open(self) -> tuple[Workers, Opener]:
        if self._workers is None or self._opener is None:
            with self._interrupts.deferred():
                self._workers = Workers(
                    self._source,
                    self._interrupts,
                    timeout_s=self._timeout_s,
                    ort_python=self._original.ort_python,
                )
                self._opener = Opener(self._workers, self._original, self._source)
        return self._workers, self._opener

    def compare(
        self,
        baseline: CaptureOptions,
        variant: CaptureOptions,
        role: Role,
        *,
        rounds: int = 12,
        iterations: int | None = None,
        seed: int = 0,
    ) -> Comparison:
        """Measure two configurations of one engine side by side.

        Args:
            baseline: Options of the one to compare with.
            variant: Options of the other one.
            role: Which engine runs them.
            rounds: Interleaved rounds; fewer where steps take seconds, which a note says.
            iterations: Steps in a block; None for the original's, or as many as fill a block.
            seed: Of the order of the blocks.

        Raises:
            UsageError: The options contradict each other, or cannot be had.
            BaselineError: The baseline could not be run.
            WorkerTimeout: The variant gave no answer in time.
            WorkerError: The variant could not be run.
        """
        for options in (baseline, variant):
            check_options(options)
        own = self._original
        wanted = Wanted(rounds=rounds, iterations=iterations or own.iterations, warmup=own.warmup, seed=seed)
        workers, opener = self._open()
        try:
            first = self._baseline(baseline, role)
            second = opener.open(VARIANT, opener.plan(variant, role), variant)
            return self._measured(first, second, role, wanted)
        finally:
            workers.stop(VARIANT)

    def optimized_graph(self, options: CaptureOptions) -> Path:
        """The graph that ONNX Runtime makes for these options; see `attrib.capture.ablate`.

        Raises:
            WorkerError: The model cannot be made, or its graph cannot be saved.
        """
        return optimized_graph(*self._opening(options))

    def cut_graph(self, options: CaptureOptions, ran: Path, produced: tuple[str, ...]) -> Cut:
        """That graph with and without the nodes that make any of the values.

        Raises:
            WorkerError: It cannot be cut there.
        """
        return cut_graph(*self._opening(options), ran, produced)

    def ran(self, options: CaptureOptions) -> Counter[str]:
        """How many nodes of which op type the graph has that ONNX Runtime makes for these options.

        Raises:
            AttribError: There is no such graph.
        """
        return op_types(self.optimized_graph(options))

    def _opening(self, options: CaptureOptions) -> tuple[Workers, Open]:
        """What opens the model of these options in ONNX Runtime."""
        workers, opener = self._open()
        command = opener.plan(options, "onnxruntime").command
        assert isinstance(command, Open)  # noqa: S101  (a plan for ONNX Runtime)
        return workers, command

    def _baseline(self, options: CaptureOptions, role: Role) -> ReadySide:
        """The worker that is open, or a new one where it must run something else."""
        _, opener = self._open()
        name = f"baseline-{role}"
        with self._blamed_on_baseline(role):
            plan = opener.plan(options, role)
            known = self._baselines.get(role)
            if known is None or known.plan != plan:
                self._forget(role)
                self._baselines[role] = opener.open(name, plan, options)
            return self._baselines[role]

    @contextmanager
    def _blamed_on_baseline(self, role: Role) -> Iterator[None]:
        try:
            yield
        except WorkerError as error:
            self._forget(role)
            message = f"the configuration to compare with could not be run: {error}"
            raise BaselineError(message, hint=error.hint, details=error.details) from error

    def _forget(self, role: Role) -> None:
        """Stop a baseline's worker."""
        self._baselines.pop(role, None)
        if self._workers is not None:
            self._workers.stop(f"baseline-{role}")

    def _measured(self, first: ReadySide, second: ReadySide, role: Role, wanted: Wanted) -> Comparison:
        # As in an A/A capture, a role only names the side: the baseline is the first.
        runners = [Runner(name, side.worker) for name, side in zip(ROLES, (first, second), strict=True)]
        try:
            protocol, latencies = time_blocks(runners, wanted, self._progress.update)
        except WorkerError:
            with self._blamed_on_baseline(role):
                if runners[0].error is not None:
                    raise runners[0].error from None
            raise
        with self._blamed_on_baseline(role):
            expected = first.outputs()
        precisions = (first.plan.precision, second.plan.precision)
        outputs, about = compared(expected, second.outputs(), precisions)
        return Comparison(
            baseline_ns=latencies.blocks(ROLES[0], "plain"),
            variant_ns=latencies.blocks(ROLES[1], "plain"),
            outputs=outputs,
            rounds=protocol.rounds,
            iterations=protocol.iterations,
            same=first.plan.same(second.plan),
            settings=second.settings,
            baseline_settings=first.settings,
            notes=(*notes_on(runners, _TITLES, wanted, protocol), *second.notes, *about),
        )
