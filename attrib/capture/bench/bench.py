"""Plain comparison of two configurations of one engine, in the protocol of a capture.

Either configuration has a worker process of its own and gets the same inputs; both are warmed up, and then their plain
blocks alternate in random order while the other worker waits. `attrib.capture.bench.launches` says how
long, and when the processes are started anew.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType

from attrib.capture.bench.ablation import Cut, cut_graph, optimized_graph
from attrib.capture.bench.launches import Blocks, Effort, Timed, measure
from attrib.capture.bench.profiles import ProfiledPair, ProfileKeeper, pair_of, profiled_plan
from attrib.capture.bench.sides import Opener, Plan, ReadySide
from attrib.capture.config.options import check_options
from attrib.capture.config.progress import Progress
from attrib.capture.session.measure import BlockRunner
from attrib.capture.session.worker_pool import Workers
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workers.messages import Open
from attrib.capture.workers.process import WorkerError
from attrib.capture.workload.differences import compare_outputs
from attrib.capture.workload.inputs import Arrays
from attrib.capture.workload.sources import Source
from attrib.model.capture_options import CaptureOptions
from attrib.model.disturbance import REASONS
from attrib.model.latency import LatencyTable
from attrib.model.manifest import ROLES, TOLERANCES, OutputDifference, Role
from attrib.rewrite.files import load_graph
from attrib.wording import counted

_BUSY_SHARE = 0.10
"""Of one core while the other side runs: then the waiting side is no longer idle."""

_MANY_FAULTS = 100
"""Page faults of a step: at one or two microseconds each, so many are felt in a step of some milliseconds."""

_TITLES = ("the baseline", "the variant")
VARIANT = "variant"


class BaselineError(WorkerError):
    """The configuration to compare with could not be run; it is started anew for the next comparison."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two configurations that were measured side by side.

    Attributes:
        baseline_ns: Plain steps of the baseline, a block for each round.
        variant_ns: Plain steps of the variant in the same rounds.
        outputs: How far the variant's outputs are from the baseline's, for those that both have.
        launches: Which start of the processes each round belongs to, from 0.
        iterations: Steps in a block.
        same: Both ran the same: the variant changed nothing.
        settings: What bears on the variant's speed, as its engine says it.
        baseline_settings: The same of the baseline.
        busy: Something else disturbed most rounds, however often they were measured.
        notes: What the reader should know.
        profiles: What was recorded beside it; None where nobody asked.
    """

    baseline_ns: Blocks
    variant_ns: Blocks
    outputs: tuple[OutputDifference, ...]
    launches: tuple[int, ...]
    iterations: int
    same: bool
    settings: dict[str, str]
    baseline_settings: dict[str, str]
    busy: bool = False
    notes: tuple[str, ...] = ()
    profiles: ProfiledPair | None = None


class Bench:
    """Compares configurations; workers and the temporary folder end with it.

    For either engine, the worker of the last baseline stays open for the first launch of the next comparison, while its
    options stay the same; exports and rewrites are kept.
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
                    progress=self._progress,
                )
                self._opener = Opener(self._workers, self._original, self._source)
        return self._workers, self._opener

    def compare(
        self,
        baseline: CaptureOptions,
        variant: CaptureOptions,
        role: Role,
        effort: Effort,
        *,
        profiled: bool = False,
    ) -> Comparison:
        """Measure two configurations of one engine side by side.

        Args:
            baseline: Options of the one to compare with.
            variant: Options of the other one.
            role: Which engine runs them.
            effort: How long. Where it does not say how many steps a block or the warm-up has, the original's hold.
            profiled: Record what ONNX Runtime's nodes take, too, in blocks of their own.

        Raises:
            UsageError: The options contradict each other, or cannot be had.
            BaselineError: The baseline could not be run.
            WorkerTimeout: The variant gave no answer in time.
            WorkerError: The variant could not be run.
        """
        for options in (baseline, variant):
            check_options(options)
        effort = replace(
            effort,
            iterations=effort.iterations or self._original.iterations,
            warmup=self._original.warmup if effort.warmup is None else effort.warmup,
        )
        workers, opener = self._open()
        try:
            with self._blamed_on_baseline(role):
                plans = [opener.plan(baseline, role)]
            plans.append(opener.plan(variant, role))
            if profiled:
                return self._record(
                    role, [profiled_plan(plan) for plan in plans], (baseline, variant), effort
                )
            return self._measure(role, plans, (baseline, variant), effort)
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

    def _launch(
        self, role: Role, plans: Sequence[Plan], options: Sequence[CaptureOptions], *, anew: bool
    ) -> tuple[ReadySide, ReadySide]:
        """Start both sides; unless it is to be anew, a baseline that is open stays.

        What is started loads at the same time, on which no time is measured.
        """
        workers, opener = self._open()
        workers.stop(VARIANT)
        known = self._baselines.get(role)
        baseline = None
        with self._blamed_on_baseline(role):
            if anew or known is None or known.plan != plans[0]:
                self._forget(role)
                baseline = opener.start(f"baseline-{role}", plans[0], options[0])
        variant = opener.start(VARIANT, plans[1], options[1])
        if baseline is not None:
            with self._blamed_on_baseline(role):
                opener.load(baseline)
        opener.load(variant)
        if baseline is not None:
            with self._blamed_on_baseline(role):
                self._baselines[role] = opener.finish(baseline)
        return self._baselines[role], opener.finish(variant)

    def _record(
        self, role: Role, plans: Sequence[Plan], options: Sequence[CaptureOptions], effort: Effort
    ) -> Comparison:
        """Measure two sides whose profiled sessions end with each launch, so that no later comparison has them."""
        temporary = self._open()[0].temporary
        keepers = [ProfileKeeper(temporary / f"{name}-profile.json") for name in ("baseline", "variant")]
        try:
            return self._measure(role, plans, options, effort, keepers)
        finally:
            self._forget(role)

    def _measure(
        self,
        role: Role,
        plans: Sequence[Plan],
        options: Sequence[CaptureOptions],
        effort: Effort,
        keepers: Sequence[ProfileKeeper] = (),
    ) -> Comparison:
        sides: list[ReadySide] = []
        # As in an A/A capture, a role only names the side: the baseline is the first.
        runners: list[BlockRunner] = []

        def launch() -> None:
            self._take_profiles(role, keepers, sides)
            sides[:] = self._launch(role, plans, options, anew=bool(sides))
            known = runners or [
                BlockRunner(name, side.worker) for name, side in zip(ROLES, sides, strict=True)
            ]
            for runner, side in zip(known, sides, strict=True):
                runner.worker = side.worker
            runners[:] = known

        try:
            timed = measure(runners, launch, effort, self._progress.update, profiled=bool(keepers))
        except WorkerError:
            with self._blamed_on_baseline(role):
                if runners and runners[0].error is not None:
                    raise runners[0].error from None
            raise
        first, second = sides
        with self._blamed_on_baseline(role):
            expected = first.outputs()
        precisions = (first.plan.precision, second.plan.precision)
        outputs, about = compare_by_name(expected, second.outputs(), precisions)
        self._take_profiles(role, keepers, sides)
        baseline_ns, variant_ns, launches = timed.paired()
        return Comparison(
            profiles=pair_of(keepers, sides, timed.latencies.table()) if keepers else None,
            baseline_ns=baseline_ns,
            variant_ns=variant_ns,
            launches=launches,
            outputs=outputs,
            iterations=timed.protocol.iterations,
            same=first.plan.same(second.plan),
            settings=second.settings,
            baseline_settings=first.settings,
            busy=timed.latencies.table().is_busy("plain"),
            notes=(*notes_on(timed, effort), *second.notes, *about),
        )

    def _take_profiles(
        self, role: Role, keepers: Sequence[ProfileKeeper], sides: Sequence[ReadySide]
    ) -> None:
        """Take what the processes of one launch recorded; nothing before the first."""
        if keepers and sides:
            with self._blamed_on_baseline(role):
                keepers[0].take(sides[0])
            keepers[1].take(sides[1])


def notes_on(timed: Timed, effort: Effort) -> Iterator[str]:
    """What the reader should know about how it was measured."""
    if timed.protocol.rounds < effort.rounds:
        yield f"a step takes so long that there were {timed.rounds} rounds, not {effort.rounds}"
    for title, runner in zip(_TITLES, timed.runners, strict=True):
        if not runner.warmed_up and effort.warmup is None:
            yield f"{title} was still changing after {runner.warmup} warm-up steps"
        if runner.idle_cpu_share > _BUSY_SHARE:
            yield f"{title} used {runner.idle_cpu_share:.0%} of a core while the other one ran"
    yield from _page_faults(timed.latencies.table())
    yield from _disturbances(timed.latencies.table())


def _page_faults(table: LatencyTable) -> Iterator[str]:
    """How many page faults a step of either side took, where one took many more than the other."""
    blocks = [block for block in table.every_block("plain") if block.counted]
    counts = [
        [count for block in blocks if block.role == role for count in block.step_faults] for role in ROLES
    ]
    if not all(counts):
        return
    baseline, variant = (sum(its) / len(its) for its in counts)
    if abs(baseline - variant) >= _MANY_FAULTS:
        yield f"a step of {_TITLES[0]} took {baseline:,.0f} page faults, one of {_TITLES[1]} {variant:,.0f}"


def _disturbances(table: LatencyTable) -> Iterator[str]:
    """What else used the machine, and what became of the rounds that it disturbed."""
    blocks = table.every_block("plain")
    reasons = Counter(REASONS[key] for block in blocks for key in block.disturbed)
    if not reasons:
        return
    clean, disturbed = table.clean_rounds("plain")
    rounds = counted(len(clean) + len(disturbed), "round")
    if table.is_busy("plain"):
        found = f"the machine was busy, and {len(disturbed)} of {rounds} stayed disturbed"
    elif disturbed:
        found = f"{len(disturbed)} of {rounds} stayed disturbed and do not count"
    else:
        again = {block.number for block in blocks if block.attempt}
        found = f"{len(again)} of {rounds} were disturbed and measured again"
    yield f"{found} ({', '.join(words for words, _ in reasons.most_common())})"


def compare_by_name(
    baseline: Arrays, variant: Arrays, precisions: tuple[str, str]
) -> tuple[tuple[OutputDifference, ...], tuple[str, ...]]:
    """Compare the outputs that both have: by name, or otherwise where no name is shared and their number is the same.

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
        compared = compare_outputs(baseline, variant, precision, _TITLES)
        return compared.rows, (compared.note,)
    ours, theirs = ({name: side[name] for name in shared} for side in (baseline, variant))
    return compare_outputs(ours, theirs, precision, _TITLES).rows, tuple(notes)
