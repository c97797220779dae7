"""How long two sides are measured: in rounds and launches, until the interval is narrow enough or the time is used up.

A launch starts the processes of both sides anew, because where their memory lies is luck that no round within one launch
shows. With several launches each has few rounds; with one, the rounds go on in it.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec

from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import LEAD_IN, NS, BlockRunner, orders, plan_protocol, run_block, warm_up
from attrib.capture.workers.process import WorkerError
from attrib.model.manifest import ROLES, Protocol

LAUNCHES = 3
"""Launches at least. The interval of two spans nine standard deviations of a launch to either side, of three two and a half;
each costs as long as both sides take to load and to warm up."""

FEWEST_ROUNDS = 6
_ROUNDS_AT_A_TIME = 2
"""Either order of the sides once: what differs between launches is not seen better by more rounds of one."""

_MORE_TIME = 1.5
_USUAL_ROUNDS, _LEAST_USUAL = 12, 4
_LONGEST_S = 240.0
"""A measurement may take 1.5 times as long as one launch with 12 rounds; with 4 or more, where 12 take longer than this."""

Blocks = tuple[tuple[int, ...], ...]
Tell = Callable[[float, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Plain steps of two sides in nanoseconds, a block for each round that counts, and the launch of each round."""

    baseline_ns: Blocks
    variant_ns: Blocks
    launches: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long two sides are measured.

    Attributes:
        rounds: Interleaved rounds at least, over all launches.
        launches: Starts of the processes at least; with 1 they are never started anew.
        max_time: Seconds that it may take; None for half as much again as one launch with the usual rounds.
        enough: Whether the figures so far are sure enough: asked after each launch, never before the least of both.
        iterations: Steps in a block; None for as many as fill one.
        warmup: Exact warm-up steps; None until the blocks agree.
        seed: Of the order of the blocks.
    """

    rounds: int = FEWEST_ROUNDS
    launches: int = LAUNCHES
    max_time: float | None = None
    enough: Callable[[Paired], bool] = lambda _: True
    iterations: int | None = None
    warmup: int | None = None
    seed: int = 0


@dataclass(slots=True)
class Timed:
    """Two sides that were measured.

    Attributes:
        effort: What was asked for.
        latencies: Every timed step, by the runners' roles.
        runners: The sides of each launch.
        launch_of: Launch of each round.
        protocol: How the blocks of the last launch were run; None before the first.
        ran_out: The time was used up before the figures were sure enough.
    """

    effort: Effort
    latencies: Latencies = field(default_factory=Latencies)
    runners: list[Sequence[BlockRunner]] = field(default_factory=list)
    launch_of: dict[int, int] = field(default_factory=dict)
    protocol: Protocol | None = None
    ran_out: bool = False

    @property
    def rounds(self) -> int:
        """Rounds that were run."""
        return len(self.launch_of)

    @property
    def iterations(self) -> int:
        """Steps in a block."""
        return self.protocol.iterations if self.protocol else 0

    @property
    def paired(self) -> Paired:
        """The blocks that count."""
        baseline, variant = (self.latencies.blocks(role, "plain") for role in ROLES)
        return Paired(baseline_ns=baseline, variant_ns=variant, launches=tuple(self.launch_of.values()))


def measure(
    launch: Callable[[bool], Sequence[BlockRunner]], effort: Effort, tell: Tell = lambda *_: None
) -> Timed:
    """Measure two sides in turns.

    Args:
        launch: Gives both sides, started; it is told whether they must be started anew. The side that fails gets its
            `error`.
        effort: How long.
        tell: Called with the share that is done and the seconds left.

    Raises:
        WorkerError: A side failed.
    """
    timed = Timed(effort)
    begin = time.monotonic()
    runners = _start(launch, timed)
    pace = _pace(effort, runners, time.monotonic() - begin)
    while True:
        _run_rounds(timed, runners, pace, tell)
        least = len(timed.runners) >= pace.launches and timed.rounds >= pace.rounds
        if least and effort.enough(timed.paired):
            return timed
        if least and time.monotonic() - begin + pace.more_s > pace.limit_s:
            timed.ran_out = True
            return timed
        if pace.launches > 1:
            started = time.monotonic()
            runners = _start(launch, timed)
            pace.launch_s = time.monotonic() - started


@dataclass(slots=True, kw_only=True)
class _Pace:
    """What a launch and a round cost in seconds, and how many there are at least, rounds over all launches."""

    launch_s: float
    round_s: float
    limit_s: float
    launches: int
    rounds: int

    @property
    def share(self) -> int:
        """Rounds at a time: of a launch, or where there is one, until it is asked again; either order equally often."""
        own = self.rounds / self.launches if self.launches > 1 else 0
        return max(_ROUNDS_AT_A_TIME, 2 * math.ceil(own / 2))

    @property
    def more_s(self) -> float:
        """What it takes to go on: a launch, or in the only one some rounds."""
        return self.share * self.round_s + (self.launch_s if self.launches > 1 else 0.0)

    def left(self, launches: int, rounds: int) -> tuple[float, float]:
        """The share that is done by so many launches and rounds, and the seconds that the rest takes."""
        every = max(self.rounds, self.launches * self.share, launches * self.share)
        starts = max(0, self.launches - launches)
        return min(1.0, rounds / every), starts * self.launch_s + max(0, every - rounds) * self.round_s


def _pace(effort: Effort, runners: Sequence[BlockRunner], launch_s: float) -> _Pace:
    """Plan by what the first launch took, and by the steps of its warm-up."""
    steps_ns = [runner.step_ns for runner in runners]
    planned = plan_protocol(steps_ns, rounds=1, iterations=effort.iterations, seed=effort.seed)
    round_s = max(1, sum(steps_ns)) / NS * (planned.iterations + LEAD_IN)
    affordable = int(_LONGEST_S / round_s)
    rounds = min(effort.rounds, max(FEWEST_ROUNDS, affordable))
    usual = min(max(_USUAL_ROUNDS, rounds), max(_LEAST_USUAL, affordable))
    limit_s = effort.max_time or _MORE_TIME * (launch_s + usual * round_s)
    pace = _Pace(launch_s=launch_s, round_s=round_s, limit_s=limit_s, launches=effort.launches, rounds=rounds)
    if effort.max_time is not None:
        launches = int(limit_s / (launch_s + pace.share * round_s))
        # Where there is no time for three launches, the only one has all rounds: two tell less than one.
        pace.launches = min(effort.launches, launches) if launches >= min(effort.launches, LAUNCHES) else 1
        pace.rounds = min(rounds, max(_ROUNDS_AT_A_TIME, int((limit_s - pace.launches * launch_s) / round_s)))
    return pace


def _start(launch: Callable[[bool], Sequence[BlockRunner]], timed: Timed) -> Sequence[BlockRunner]:
    """Start both sides, anew from the second launch on, and warm them up."""
    runners = launch(bool(timed.runners))
    timed.runners.append(runners)
    for runner in runners:
        with _note_failure(runner):
            warm_up(runner, timed.latencies, timed.effort.warmup, profiled=False)
    return runners


def _run_rounds(timed: Timed, runners: Sequence[BlockRunner], pace: _Pace, tell: Tell) -> None:
    """Run the rounds of one launch, or some more of the only one."""
    steps_ns, effort, first = [runner.step_ns for runner in runners], timed.effort, timed.rounds
    known = timed.protocol.iterations if timed.protocol else effort.iterations
    planned = plan_protocol(steps_ns, rounds=pace.share, iterations=known, seed=effort.seed + first)
    timed.protocol = msgspec.structs.replace(planned, profiled_rounds=0, profiled_iterations=0)
    for number, order in enumerate(orders(runners, timed.protocol), first):
        for runner in order:
            with _note_failure(runner):
                run_block(runner, "plain", number, timed.protocol, timed.latencies)
        timed.launch_of[number] = len(timed.runners) - 1
        tell(*pace.left(len(timed.runners), number + 1))


@contextmanager
def _note_failure(runner: BlockRunner) -> Iterator[None]:
    try:
        yield
    except WorkerError as error:
        runner.error = error
        raise
