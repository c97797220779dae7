"""Warming up and measuring; after each round its steps are on the disk, so that nothing can take them away.

The rounds divide among launches: for each one the engines' processes are started anew, because where memory lies is luck of
a process, and an interval from one pair of processes cannot know it. There are as many as a narrow interval needs, and
what is looked at is only its width, never where it lies.
"""

import math
import statistics
import time
from collections.abc import Callable

import msgspec

from attrib.capture.session.context import SessionContext
from attrib.capture.session.graphs import GraphChain
from attrib.capture.session.launches import launch_again
from attrib.capture.session.measure import (
    FIXED_ROUNDS,
    MOST_TIMES,
    NS,
    PHASES,
    PairedBlocks,
    half_width,
    is_narrow,
    most_times,
    orders,
    plan_protocol,
    warm_up,
)
from attrib.capture.workers.process import WorkerError
from attrib.model.latency import StepPhase
from attrib.model.manifest import LATENCY_PARTS, ROLES, Protocol


def warm_up_sides(context: SessionContext) -> None:
    """Run either side until its blocks agree."""
    begin, runners = time.monotonic(), list(context.runners.values())
    for number, runner in enumerate(runners):

        def tell(share: float, before: int = number) -> None:
            done = (before + share) / len(runners)
            context.progress.update(done, (time.monotonic() - begin) * (1 / done - 1))

        try:
            warm_up(runner, context.latencies, context.options.warmup, tell=tell)
        except WorkerError as error:
            context.fail_side(runner.role, error)
            continue
        context.sides.note_measured(runner)
        if not runner.warmed_up and context.options.warmup is None:
            context.warn(
                f"{context.sides.title(runner.role)} was still changing after {runner.warmup} warm-up steps:"
                " close other programs, or give more with --warmup"
            )
    context.check_some_side()


def measure(context: SessionContext, chain: GraphChain | None) -> None:
    """Measure launch after launch until the interval is narrow, the most rounds are measured, or time is up.

    Of a capture that goes on, what is missing: the rounds of a launch that has none get new processes, all others run in
    those that are there.

    Args:
        context: The capture.
        chain: What ONNX Runtime's processes open.
    """
    begin = time.monotonic()
    protocol, missing = _plan(context)
    context.record.protocol = protocol
    pace = _Pace(context, protocol, begin)
    pairs = PairedBlocks(protocol, context.latencies, note=pace.note_block)
    keep = _keeper_of_rounds(context)
    order = orders(list(context.runners.values()), protocol)
    fresh, ended = True, "rounds"
    for launch in range(protocol.launches):
        first = launch * protocol.rounds_per_launch
        numbers = range(first, min(first + protocol.rounds_per_launch, protocol.rounds))
        wanted = {phase: missing[phase].intersection(numbers) for phase in PHASES}
        if not any(wanted.values()):
            continue
        if not fresh and wanted["plain"].issuperset(numbers):
            if not pace.has_time(launch):
                ended = "time"
                break
            launch_again(context, chain, launch)
        fresh, pairs.deadline = False, pace.deadline
        for number in sorted(set().union(*wanted.values())):
            for phase in (phase for phase in PHASES if number in wanted[phase]):
                pairs.measure([r for r in order[number] if r.role in context.runners], phase, number)
            keep()
            pace.note_round(number)
            if protocol.launches == 1 and is_narrow(context.latencies, protocol, number + 1):
                break
        _note_runners(context)
        pace.note_launch()
        if is_narrow(context.latencies, protocol, number + 1):
            ended = "narrow"
            break
    _note_end(context, ended, time.monotonic() - begin)


def _plan(context: SessionContext) -> tuple[Protocol, dict[StepPhase, set[int]]]:
    """The protocol, and the rounds to measure by phase."""
    checkpoint, options = context.checkpoint, context.options
    if checkpoint and checkpoint.manifest.protocol:
        protocol, missing = checkpoint.manifest.protocol, checkpoint.missing()
        checkpoint.drop_what_is_measured_again(len(context.record.launches))
        context.write_manifest()
        return protocol, missing
    protocol = plan_protocol(
        [runner.step_ns for runner in context.runners.values()],
        rounds=options.rounds,
        iterations=options.iterations,
        seed=options.seed,
        launches=options.launches if len(context.runners) > 1 else 1,
        tolerance=options.tolerance / 100,
    )
    every = set(range(protocol.rounds))
    return protocol, {phase: set(every) for phase in PHASES}


class _Pace:
    """Whether there is time for more.

    Attributes:
        deadline: Until when a launch may end and disturbed blocks are measured again, on the monotonic clock.
    """

    def __init__(self, context: SessionContext, protocol: Protocol, begin: float) -> None:
        self._context = context
        self._protocol = protocol
        self._begin = begin
        self._before_s = begin - context.began
        steps = protocol.iterations + protocol.profiled_iterations + len(PHASES)
        self._round_s = sum(runner.step_ns for runner in context.runners.values()) / NS * steps
        self._times = MOST_TIMES
        self._took: list[float] = []
        self._last = begin
        self._rounds = 0
        self._blocks = 0

    @property
    def deadline(self) -> float:
        """Where nobody set one, it follows from how long a round takes, and from whether the machine changed so far."""
        allowed = self._context.options.max_time
        if allowed is None:
            allowed = self._times * (self._before_s + FIXED_ROUNDS * self._round_s) - self._before_s
        return self._begin + allowed

    def note_launch(self) -> None:
        """Note that a launch has ended."""
        now = time.monotonic()
        self._took.append(now - self._last)
        self._last = now
        self._times = most_times(self._context.latencies)
        if len(self._took) == 1:
            # Beside its steps a round has the profiler's work, and waits for the engines' threads to rest.
            measured = self._took[0] / self._protocol.rounds_per_launch
            self._round_s = min(measured, MOST_TIMES * self._round_s)

    def has_time(self, launch: int) -> bool:
        """Whether another launch ends in time; the fewest that say something are measured in any case."""
        if launch < self._protocol.fewest_launches or not self._took:
            return True
        # The first one found the processes started.
        later = self._took[1:] or [self._took[0] + self._before_s / 2]
        return time.monotonic() + statistics.fmean(later) <= self.deadline

    def note_block(self) -> None:
        """Note that a block was measured; one that was measured again makes a round no more than whole."""
        self._blocks += 1
        self._tell(self._rounds + min(self._blocks / (len(PHASES) * len(ROLES)), 1.0))

    def note_round(self, number: int) -> None:
        """Note that a round was measured."""
        self._rounds, self._blocks = number + 1, 0
        self._tell(self._rounds)

    def _tell(self, rounds: float) -> None:
        """Say how far it is: the most rounds that there may be, and the time that they would take."""
        done = rounds / self._protocol.rounds
        took = time.monotonic() - self._begin
        left = min(took * (1 / done - 1), max(self.deadline - time.monotonic(), 0.0))
        self._context.progress.update(done, left)


def _note_runners(context: SessionContext) -> None:
    """Note how the sides ran, and give up those that failed."""
    for runner in list(context.runners.values()):
        context.sides.note_measured(runner)
        if runner.error is not None:
            context.fail_side(runner.role, runner.error)
    context.check_some_side()


def _note_end(context: SessionContext, ended: str, seconds: float) -> None:
    """Note what was really measured, and why it was enough."""
    protocol = context.record.protocol
    assert protocol is not None  # noqa: S101  (planned before the first round)
    width = half_width(context.latencies)
    plain = {row[2] for row in context.latencies.rows if row[1] == "plain"}
    rounds = 1 + max(plain, default=-1)
    context.record.protocol = msgspec.structs.replace(
        protocol,
        rounds=rounds,
        profiled_rounds=rounds,
        launches=math.ceil(rounds / protocol.rounds_per_launch),
        half_width=round(width, 5) if math.isfinite(width) else None,
        ended=ended,
        seconds=round(protocol.seconds + seconds, 3),
    )


def _keeper_of_rounds(context: SessionContext) -> Callable[[], None]:
    """What puts the steps of each round on the disk, while no engine runs (10 to 40 ms, none of it measured)."""
    with context.interrupts.defer():
        import pyarrow.parquet  # noqa: F401  (now, not between the first two rounds)

    before = context.latencies.rounds("plain")

    def keep() -> None:
        with context.interrupts.defer():
            context.record.note_rounds(context.latencies.rounds("plain") - before)
            keep_new_steps(context)

    return keep


def keep_new_steps(context: SessionContext) -> None:
    """Write the steps that no file holds yet into a file of their own, and list it; none is ever written over."""
    steps = context.latencies.unwritten()
    if not steps.rows:
        return
    own = f"{LATENCY_PARTS}{len(context.record.launches):03d}-"
    number = 1 + sum(name.startswith(own) for name in context.directory.files)
    with context.directory.create(f"{own}{number:03d}.parquet") as stream:
        steps.write(stream)
    context.latencies.mark_written()
    context.write_manifest()
