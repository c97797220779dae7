"""The measurement: warm-up until the blocks agree, then interleaved rounds of plain and, in a capture, profiled blocks.

A block that something else disturbed, as its evidence shows, is measured again together with its partner of the other side.
"""

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from attrib.analysis.attribution.judgement import launches_differ
from attrib.analysis.attribution.ledger.headline import headline
from attrib.capture.ort.profile_merge import LaunchProfile
from attrib.capture.session.latencies import Attempt, Latencies
from attrib.capture.system.disturbance import Reference, wait_until_quiet
from attrib.capture.workers.messages import Run, Steps
from attrib.capture.workers.process import Worker, WorkerError
from attrib.model.disturbance import disturbances
from attrib.model.latency import StepPhase
from attrib.model.manifest import ROLES, Protocol, Role

AGREE = 0.05
"""Warm-up ends when the medians of the last three blocks lie within this share of each other."""

_AGREEING_BLOCKS = 3
_WARMUP_STEPS = 3
_WARMUP_BLOCKS = 12
_WARMUP_S = 4.0
_WARMUP_BLOCK_S = 0.05
_NEARLY = 0.9
"""No more of a warm-up is said to be done before it is."""

_BLOCK_STEPS = 5
_FEWEST_STEPS = 3
_BLOCK_S = 0.1
_MOST_STEPS = 500
_BLOCK_LIMIT_S = 2.0
_PROFILED_STEPS = (2, 10)
_PROFILED_BLOCK_S = 0.03
LEAD_IN = 1
PHASES: tuple[StepPhase, ...] = ("plain", "profiled")

_ATTEMPTS = 3
_HOPELESS_ROUNDS = 2
"""After so many blocks in a row that stayed disturbed, the next ones are measured once: the machine will not be quiet."""
_LONGEST_WAIT_S = 3.0

MOST_TIMES, FIXED_ROUNDS = 1.5, 12
"""By default so many times what was taken when everything was measured in twelve rounds of one launch is the most."""

UNLIKE_TIMES = 3.0
"""What `MOST_TIMES` is where launches were not alike by evidence that is no duration of a step: states of a machine last for
minutes, and where memory lies is luck of a process. The interval of three launches is 4.3 standard errors, of six 2.6."""

FEWEST_ROUNDS = 6
FEWEST_LAUNCHES = 3
"""Two values say next to nothing about a spread: the 95 % interval of two launches is 12.7 standard errors wide."""
MOST_LAUNCHES = 6
_ROUNDS_OF_A_LAUNCH = 2

NS = 1_000_000_000


@dataclass(slots=True, eq=False)
class BlockRunner:
    """Runs the blocks of one side, and holds what is known of it by then.

    Attributes:
        role: Which side.
        worker: Its process.
        step_ns: Median step of the last warm-up block.
        warmup: Warm-up steps before the first round.
        warmed_up: The last blocks agreed.
        traces: Files of the profiled blocks, where the engine writes one a block.
        profiles: What ONNX Runtime's processes wrote at their ends, one a launch.
        others: What else a process wrote at its end, of the first launch.
        profiled_blocks: How many profiled blocks there were.
        idle_cpu_ns: Processor time used while the other side ran.
        idle_wall_ns: The wall time of that.
        error: Why the side had to be given up; None while it runs.
    """

    role: Role
    worker: Worker
    step_ns: float = 0.0
    warmup: int = 0
    warmed_up: bool = False
    traces: list[str] = field(default_factory=list)
    profiles: list[LaunchProfile] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    profiled_blocks: int = 0
    idle_cpu_ns: int = 0
    idle_wall_ns: int = 0
    error: WorkerError | None = None

    @property
    def idle_cpu_share(self) -> float:
        """Processor time while the other side ran, divided by that wall time."""
        return self.idle_cpu_ns / self.idle_wall_ns if self.idle_wall_ns else 0.0

    def run(self, iterations: int, *, lead_in: int = 0, profiled: bool = False) -> Steps:
        """Run one block."""
        steps = self.worker.ask(Run(iterations=iterations, lead_in=lead_in, profiled=profiled), Steps)
        if steps.trace:
            self.traces.append(steps.trace)
        return steps


def warm_up(
    runner: BlockRunner,
    latencies: Latencies,
    exact: int | None,
    *,
    profiled: bool = True,
    launch: int = 0,
    tell: Callable[[float], None] = lambda _: None,
) -> None:
    """Run blocks until the last ones agree, or a limit is reached; with `exact`, that many steps.

    The profiled session of ONNX Runtime is another one and is warmed up as well, where there is one. What the first step
    takes beyond the others does not count toward the limit: on a device it loads kernels and searches for algorithms.

    Args:
        runner: The side.
        latencies: Where the steps go.
        exact: How many steps; None until they agree.
        profiled: Warm up the profiled session, too.
        launch: Which launch its process belongs to.
        tell: Called after each block with the share that is done, as far as it can be foreseen.
    """
    size = max(1, math.ceil(exact / _AGREEING_BLOCKS)) if exact else _WARMUP_STEPS
    medians: list[float] = []
    begin, done = time.monotonic(), 0
    while not _is_warm(medians, done, exact, time.monotonic() - begin):
        steps = runner.run(min(size, exact - done) if exact else size)
        latencies.add(runner.role, "warmup", 0, steps, Attempt(launch=launch))
        begin += 0.0 if medians else (steps.wall_ns[0] - min(steps.wall_ns)) / NS
        done += len(steps.wall_ns)
        medians.append(statistics.median(steps.wall_ns))
        foreseen = max(len(medians) / (_AGREEING_BLOCKS + 1), (time.monotonic() - begin) / _WARMUP_S)
        tell(done / exact if exact else min(foreseen, _NEARLY))
        if exact is None:
            size = max(_WARMUP_STEPS, min(1000, math.ceil(_WARMUP_BLOCK_S * NS / medians[-1])))
    if not medians:
        medians.append(statistics.median(runner.run(1).wall_ns))
    runner.step_ns = medians[-1]
    runner.warmup, runner.warmed_up = done, agree(medians)
    if profiled:
        before = len(runner.traces)
        steps = runner.run(_WARMUP_STEPS, profiled=True)
        latencies.add(runner.role, "warmup", 0, steps, Attempt(launch=launch))
        del runner.traces[before:]  # a file that this block may have written is not used


def _is_warm(medians: list[float], steps: int, exact: int | None, seconds: float) -> bool:
    if exact is not None:
        return steps >= exact
    return agree(medians) or len(medians) >= _WARMUP_BLOCKS or seconds > _WARMUP_S


def agree(medians: list[float]) -> bool:
    """Whether the last three medians lie within 5 % of each other, or their own median of that of the three before.

    The second half is for a noisy machine, whose blocks never agree: there, what counts is that they have no trend.
    """
    last, before = medians[-_AGREEING_BLOCKS:], medians[-2 * _AGREEING_BLOCKS : -_AGREEING_BLOCKS]
    levels = [statistics.median(three) for three in (last, before) if len(three) == _AGREEING_BLOCKS]
    return any(
        len(values) == count and max(values) - min(values) <= AGREE * min(values)
        for values, count in ((last, _AGREEING_BLOCKS), (levels, 2))
    )


def plan_protocol(
    step_ns: list[float],
    *,
    rounds: int,
    iterations: int | None,
    seed: int,
    launches: int | None = 1,
    tolerance: float = 0.0,
) -> Protocol:
    """Plan how many steps a block takes, and how the rounds divide among launches.

    5 steps; more, up to 500, to fill 100 ms of the faster side; fewer, down to 3, above 2 s of the slower side.

    Args:
        step_ns: What a step of each side takes.
        rounds: Rounds at most, over all launches.
        iterations: Steps in a block; None to choose.
        seed: Decides the order of the blocks.
        launches: Starts of the engines' processes; None for as many as the tolerance needs.
        tolerance: Half interval of the difference, as a share of the slower step, that is narrow enough.

    Returns:
        The protocol, with the most rounds and launches that there will be.
    """
    fast, slow = min(step_ns) / NS, max(step_ns) / NS
    wanted = min(_MOST_STEPS, max(_BLOCK_STEPS, math.ceil(_BLOCK_S / fast)))
    chosen = max(_FEWEST_STEPS, min(wanted, math.ceil(_BLOCK_LIMIT_S / slow)))
    low, high = _PROFILED_STEPS
    most = launches or MOST_LAUNCHES
    each = math.ceil(rounds / most) if launches else max(_ROUNDS_OF_A_LAUNCH, math.ceil(rounds / most))
    return Protocol(
        rounds=rounds,
        iterations=iterations or chosen,
        profiled_rounds=rounds,
        profiled_iterations=max(low, min(high, math.ceil(_PROFILED_BLOCK_S / slow))),
        seed=seed,
        launches=math.ceil(rounds / each),
        fewest_launches=min(math.ceil(rounds / each), launches or FEWEST_LAUNCHES),
        rounds_per_launch=each,
        tolerance=tolerance,
    )


def orders(runners: Sequence[BlockRunner], protocol: Protocol) -> list[list[BlockRunner]]:
    """The order of the sides in each round: random, but either order equally often.

    What the first of a round does to the second then falls on both alike, however few rounds there are.
    """
    chance = random.Random(protocol.seed)  # noqa: S311  (an order of blocks, no secret)
    first = chance.sample(list(runners), len(runners))
    turned: list[bool] = []
    # Equally often in every launch as well, as far as its rounds are even.
    for start in range(0, protocol.rounds, protocol.rounds_per_launch):
        end = min(start + protocol.rounds_per_launch, protocol.rounds)
        of_launch = [number % 2 == 1 for number in range(start, end)]
        chance.shuffle(of_launch)
        turned += of_launch
    return [first[::-1] if turn else first for turn in turned]


@dataclass(slots=True, eq=False)
class PairedBlocks:
    """Measures the blocks of a round one after another, and again where something disturbed one of them.

    Attributes:
        protocol: How long a block is, and which rounds are of one launch.
        latencies: Where the steps go, those of disturbed blocks included.
        deadline: Until when blocks are measured again, on the monotonic clock.
        note: Called after each block.
    """

    protocol: Protocol
    latencies: Latencies
    deadline: float = math.inf
    note: Callable[[], None] = lambda: None
    _reference: Reference = field(default_factory=Reference)
    _hopeless: int = 0

    def measure(self, order: Sequence[BlockRunner], phase: StepPhase, number: int) -> None:
        """Measure one block of each side; a side whose worker fails gets its `error`, and is left out from then on.

        Args:
            order: The sides in the order in which they run.
            phase: Plain or profiled.
            number: The round.
        """
        reference = self._reference.measure()
        for again in range(_ATTEMPTS):
            attempt = Attempt(
                launch=number // self.protocol.rounds_per_launch,
                number=again,
                reference=reference,
            )
            disturbed = [runner for runner in order if self._run(runner, phase, number, attempt)]
            if not disturbed:
                self._hopeless = 0
                return
            if again == _ATTEMPTS - 1 or self._hopeless >= _HOPELESS_ROUNDS:
                break
            if (left := self.deadline - time.monotonic()) <= 0:
                break
            wait_until_quiet(min(_LONGEST_WAIT_S, left))
        self._hopeless += 1

    def _run(self, runner: BlockRunner, phase: StepPhase, number: int, attempt: Attempt) -> bool:
        """Run one block, its lead-in first; whether it was disturbed."""
        if runner.error is not None:
            return False
        profiled = phase == "profiled"
        iterations = self.protocol.profiled_iterations if profiled else self.protocol.iterations
        try:
            steps = runner.run(iterations, lead_in=LEAD_IN, profiled=profiled)
        except WorkerError as error:
            runner.error = error
            return False
        runner.profiled_blocks += profiled
        if number:
            runner.idle_cpu_ns += steps.idle_cpu_ns
            runner.idle_wall_ns += steps.idle_wall_ns
        self.latencies.add(runner.role, phase, number, steps, attempt)
        self.note()
        return bool(disturbances(steps.evidence))


def most_times(latencies: Latencies) -> float:
    """How many times what twelve rounds of one launch take is the most by default; what the engines took decides nothing."""
    return UNLIKE_TIMES if launches_differ(latencies.table()) else MOST_TIMES


def half_width(latencies: Latencies, fewest_launches: int = 1) -> float:
    """Half the interval of the difference that launches show, as a share of the slower step; infinite where not known yet.

    Args:
        latencies: The steps so far; what was disturbed does not count.
        fewest_launches: Launches that must have rounds that count.
    """
    table = latencies.table()
    plain = {role: table.blocks(role, "plain") for role in ROLES}
    found = headline(plain, table.launches())
    half, slower = found.half_width_ns, max(found.medians.values(), default=0)
    if half is None or not slower or found.latency.launches < fewest_launches:
        return math.inf
    return half / slower


def is_narrow(latencies: Latencies, protocol: Protocol, rounds: int) -> bool:
    """Whether the interval of the difference is narrow enough after so many rounds; not looked at before the fewest."""
    fewest = protocol.fewest_launches * protocol.rounds_per_launch if protocol.launches > 1 else FEWEST_ROUNDS
    if not protocol.tolerance or rounds < min(fewest, protocol.rounds):
        return False
    return half_width(latencies, protocol.fewest_launches) <= protocol.tolerance
