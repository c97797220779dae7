"""The measurement: warm-up until the blocks agree, then interleaved rounds of plain and, in a capture, profiled blocks."""

import math
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import product

from attrib.capture.session.latencies import Latencies
from attrib.capture.workers.messages import Run, Steps
from attrib.capture.workers.process import Worker, WorkerError
from attrib.model.latency import StepPhase
from attrib.model.manifest import Protocol, Role

AGREE = 0.05
"""Warm-up ends when the medians of the last three blocks lie within this share of each other."""

_AGREEING_BLOCKS = 3
_WARMUP_STEPS = 3
_WARMUP_BLOCKS = 12
_WARMUP_S = 4.0
_WARMUP_BLOCK_S = 0.05

_BLOCK_STEPS = 5
_FEWEST_STEPS = 3
_BLOCK_S = 0.1
_MOST_STEPS = 500
_BLOCK_LIMIT_S = 2.0
_PROFILED_STEPS = (2, 10)
_PROFILED_BLOCK_S = 0.03
LEAD_IN = 1
_PHASES: tuple[StepPhase, ...] = ("plain", "profiled")

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


def warm_up(runner: BlockRunner, latencies: Latencies, exact: int | None, *, profiled: bool = True) -> None:
    """Run blocks until the last ones agree, or a limit is reached; with `exact`, that many steps.

    The profiled session of ONNX Runtime is another one and is warmed up as well, where there is one. What the first step
    takes beyond the others does not count toward the limit: on a device it loads kernels and searches for algorithms.
    """
    size = max(1, math.ceil(exact / _AGREEING_BLOCKS)) if exact else _WARMUP_STEPS
    medians: list[float] = []
    begin = time.monotonic()
    while not _is_warm(medians, runner.warmup, exact, time.monotonic() - begin):
        steps = runner.run(min(size, exact - runner.warmup) if exact else size)
        latencies.add(runner.role, "warmup", 0, steps)
        begin += 0.0 if medians else (steps.wall_ns[0] - min(steps.wall_ns)) / NS
        runner.warmup += len(steps.wall_ns)
        medians.append(statistics.median(steps.wall_ns))
        if exact is None:
            size = max(_WARMUP_STEPS, min(1000, math.ceil(_WARMUP_BLOCK_S * NS / medians[-1])))
    if not medians:
        medians.append(statistics.median(runner.run(1).wall_ns))
    runner.step_ns = medians[-1]
    runner.warmed_up = agree(medians)
    if profiled:
        latencies.add(runner.role, "warmup", 0, runner.run(_WARMUP_STEPS, profiled=True))
        runner.traces.clear()  # a file that this block may have written is not used


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


def plan_protocol(step_ns: list[float], *, rounds: int, iterations: int | None, seed: int) -> Protocol:
    """Plan how many steps a block takes.

    5 steps; more, up to 500, to fill 100 ms of the faster side; fewer, down to 3, above 2 s of the slower side.
    """
    fast, slow = min(step_ns) / NS, max(step_ns) / NS
    wanted = min(_MOST_STEPS, max(_BLOCK_STEPS, math.ceil(_BLOCK_S / fast)))
    chosen = max(_FEWEST_STEPS, min(wanted, math.ceil(_BLOCK_LIMIT_S / slow)))
    low, high = _PROFILED_STEPS
    return Protocol(
        rounds=rounds,
        iterations=iterations or chosen,
        profiled_rounds=rounds,
        profiled_iterations=max(low, min(high, math.ceil(_PROFILED_BLOCK_S / slow))),
        seed=seed,
    )


def orders(runners: Sequence[BlockRunner], protocol: Protocol) -> list[list[BlockRunner]]:
    """The order of the sides in each round: random, but either order equally often.

    What the first of a round does to the second then falls on both alike, however few rounds there are.
    """
    chance = random.Random(protocol.seed)  # noqa: S311  (an order of blocks, no secret)
    first = chance.sample(list(runners), len(runners))
    turned = [number % 2 == 1 for number in range(protocol.rounds)]
    chance.shuffle(turned)
    return [first[::-1] if turn else first for turn in turned]


def run_rounds(
    runners: list[BlockRunner],
    protocol: Protocol,
    latencies: Latencies,
    tell: Callable[[float, float], None],
    *,
    missing: Mapping[StepPhase, Set[int]] | None = None,
    after: Callable[[], None] = lambda: None,
) -> None:
    """Run every round; a side whose worker fails is given up and the others go on.

    Args:
        runners: The sides.
        protocol: What to run.
        latencies: Where the steps go.
        tell: Called with the share that is done and the seconds left.
        missing: Numbers of the rounds to run, by phase; None for all of both.
        after: Called after each round, while no engine runs.
    """
    wanted = missing or {phase: set(range(protocol.rounds)) for phase in _PHASES}
    numbers = sorted(set().union(*wanted.values()))
    begin = time.monotonic()
    order = orders(runners, protocol)
    for finished, number in enumerate(numbers, 1):
        for phase, runner in product(_PHASES, order[number]):
            if runner.error is None and number in wanted[phase]:
                try:
                    run_block(runner, phase, number, protocol, latencies)
                except WorkerError as error:
                    runner.error = error
        after()
        done = finished / len(numbers)
        tell(done, (time.monotonic() - begin) * (1 / done - 1))


def run_block(
    runner: BlockRunner, phase: StepPhase, number: int, protocol: Protocol, latencies: Latencies
) -> None:
    """Run one block of one side, its lead-in first.

    Raises:
        WorkerError: The side's worker failed.
    """
    profiled = phase == "profiled"
    iterations = protocol.profiled_iterations if profiled else protocol.iterations
    steps = runner.run(iterations, lead_in=LEAD_IN, profiled=profiled)
    runner.profiled_blocks += profiled
    if number:
        runner.idle_cpu_ns += steps.idle_cpu_ns
        runner.idle_wall_ns += steps.idle_wall_ns
    latencies.add(runner.role, phase, number, steps)
