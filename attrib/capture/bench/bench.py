"""Plain comparison of two configurations of one engine, in the protocol of a capture.

Either configuration has a worker process of its own and gets the same inputs; both are warmed up, and then their plain
blocks alternate in random order while the other worker waits. Nothing is profiled.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import msgspec

from attrib.capture.bench.ablation import Cut, cut_graph, optimized_graph
from attrib.capture.bench.sides import Opener, ReadySide
from attrib.capture.config.options import check_options
from attrib.capture.config.progress import Progress
from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import (
    LEAD_IN,
    NS,
    BlockRunner,
    PairedBlocks,
    orders,
    plan_protocol,
    warm_up,
)
from attrib.capture.session.worker_pool import Workers
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workers.messages import Open
from attrib.capture.workers.process import WorkerError
from attrib.capture.workload.differences import compare_outputs
from attrib.capture.workload.inputs import Arrays
from attrib.capture.workload.sources import Source
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import ROLES, TOLERANCES, OutputDifference, Protocol, Role
from attrib.rewrite.files import load_graph

_BUDGET_S = 240.0
"""The blocks of one comparison take about this long at most; where a step takes seconds, there are fewer rounds."""

_FEWEST_ROUNDS = 4
_BUSY_SHARE = 0.10
"""Of one core while the other side runs: then the waiting side is no longer idle."""

Tell = Callable[[float, float], None]

_TITLES = ("the baseline", "the variant")
VARIANT = "variant"
Blocks = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to measure. `iterations`: steps in a block, None for as many as fill one; `warmup`: exact steps, or None."""

    rounds: int
    iterations: int | None
    warmup: int | None
    seed: int


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
        """Prepare a bench; nothing is started.

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
        with self._interrupts.defer():
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
            with self._interrupts.defer():
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
            with self._blamed_on_baseline(role):
                plan = opener.plan(baseline, role)
                known = self._baselines.get(role)
                if known is None or known.plan != plan:  # else the worker that is open runs it
                    self._forget(role)
                    self._baselines[role] = opener.open(f"baseline-{role}", plan, baseline)
            first = self._baselines[role]
            second = opener.open(VARIANT, opener.plan(variant, role), variant)
            return self._measure(first, second, role, wanted)
        finally:
            workers.stop(VARIANT)

    def optimized_graph(self, options: CaptureOptions) -> Path:
        """Save the graph that ONNX Runtime makes for these options; see `attrib.capture.bench.ablation`.

        Raises:
            WorkerError: The model cannot be made, or its graph cannot be saved.
        """
        return optimized_graph(*self._opening(options))

    def cut_graph(self, options: CaptureOptions, ran: Path, produced: tuple[str, ...]) -> Cut:
        """Write that graph with and without the nodes that make any of the values.

        Raises:
            WorkerError: It cannot be cut there.
        """
        return cut_graph(*self._opening(options), ran, produced)

    def count_ops(self, options: CaptureOptions) -> Counter[str]:
        """Count the nodes by op type of the graph that ONNX Runtime makes for these options.

        Raises:
            AttribError: There is no such graph.
        """
        graph = load_graph(self.optimized_graph(options)).graph
        return Counter(str(node.op_type) for node in graph.node)

    def _opening(self, options: CaptureOptions) -> tuple[Workers, Open]:
        """What opens the model of these options in ONNX Runtime."""
        workers, opener = self._open()
        command = opener.plan(options, "onnxruntime").command
        assert isinstance(command, Open)  # noqa: S101  (a plan for ONNX Runtime)
        return workers, command

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

    def _measure(self, first: ReadySide, second: ReadySide, role: Role, wanted: Wanted) -> Comparison:
        # As in an A/A capture, a role only names the side: the baseline is the first.
        runners = [BlockRunner(name, side.worker) for name, side in zip(ROLES, (first, second), strict=True)]
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
        outputs, about = compare_by_name(expected, second.outputs(), precisions)
        return Comparison(
            baseline_ns=_walls(latencies, ROLES[0]),
            variant_ns=_walls(latencies, ROLES[1]),
            outputs=outputs,
            rounds=protocol.rounds,
            iterations=protocol.iterations,
            same=first.plan.same(second.plan),
            settings=second.settings,
            baseline_settings=first.settings,
            notes=(*notes_on(runners, _TITLES, wanted, protocol), *second.notes, *about),
        )


def time_blocks(runners: Sequence[BlockRunner], wanted: Wanted, tell: Tell) -> tuple[Protocol, Latencies]:
    """Warm both sides up and run their blocks in turn.

    Args:
        runners: Both sides; the one that fails gets its `error`.
        wanted: How.
        tell: Called with the share that is done and the seconds left.

    Returns:
        How it was really measured, and the steps by the runners' roles.

    Raises:
        WorkerError: A side failed.
    """
    latencies = Latencies()
    for runner in runners:
        with _note_failure(runner):
            warm_up(runner, latencies, wanted.warmup, profiled=False)
    protocol = _plan_within_budget(runners, wanted)
    pairs = PairedBlocks(protocol, latencies)
    begin = time.monotonic()
    for number, order in enumerate(orders(runners, protocol), 1):
        pairs.measure(order, "plain", number - 1)
        for runner in order:
            if runner.error is not None:
                raise runner.error
        tell(number / protocol.rounds, (time.monotonic() - begin) * (protocol.rounds / number - 1))
    return protocol, latencies


def _walls(latencies: Latencies, role: Role) -> Blocks:
    """Wall times of one side's plain blocks that count, in the order of the rounds."""
    return tuple(tuple(block.tolist()) for block in latencies.table().blocks(role, "plain").values())


@contextmanager
def _note_failure(runner: BlockRunner) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        runner.error = error
        raise


def _plan_within_budget(runners: Sequence[BlockRunner], wanted: Wanted) -> Protocol:
    """Plan as a capture does, without profiled blocks, and with no more rounds than the budget has time for."""
    steps_ns = [runner.step_ns for runner in runners]
    planned = plan_protocol(steps_ns, rounds=wanted.rounds, iterations=wanted.iterations, seed=wanted.seed)
    round_s = sum(steps_ns) / NS * (planned.iterations + LEAD_IN)
    affordable = max(_FEWEST_ROUNDS, int(_BUDGET_S / round_s)) if round_s else wanted.rounds
    return msgspec.structs.replace(
        planned, rounds=min(wanted.rounds, affordable), profiled_rounds=0, profiled_iterations=0
    )


def notes_on(
    runners: Sequence[BlockRunner], titles: Sequence[str], wanted: Wanted, protocol: Protocol
) -> Iterator[str]:
    """What the reader should know about how it was measured."""
    if protocol.rounds < wanted.rounds:
        yield f"a step takes so long that there were {protocol.rounds} rounds, not {wanted.rounds}"
    for runner, title in zip(runners, titles, strict=True):
        if not runner.warmed_up and wanted.warmup is None:
            yield f"{title} was still changing after {runner.warmup} warm-up steps"
        if runner.idle_cpu_share > _BUSY_SHARE:
            yield f"{title} used {runner.idle_cpu_share:.0%} of a core while the other one ran"


def compare_by_name(
    baseline: Arrays, variant: Arrays, precisions: tuple[str, str]
) -> tuple[tuple[OutputDifference, ...], tuple[str, ...]]:
    """Compare the outputs that both have: by name, or by position where no name is shared and their number is the same.

    Args:
        baseline: Outputs by name.
        variant: Outputs by name.
        precisions: Of either side; the rougher one's tolerance applies.

    Returns:
        The differences, and what could not be compared.
    """
    precision = max(precisions, key=TOLERANCES.__getitem__)
    shared = [name for name in baseline if name in variant]
    notes = [f"{_TITLES[1]} has no output {name!r}" for name in baseline if name not in variant]
    notes += [f"{_TITLES[0]} has no output {name!r}" for name in variant if name not in baseline]
    if not shared and len(baseline) == len(variant):
        pairs = ", ".join(f"{own} with {other}" for own, other in zip(baseline, variant, strict=True))
        notes = [f"the outputs have other names and were compared by position: {pairs}"]
        return compare_outputs(baseline, variant, precision, _TITLES), tuple(notes)
    ours, theirs = ({name: side[name] for name in shared} for side in (baseline, variant))
    return compare_outputs(ours, theirs, precision, _TITLES), tuple(notes)
