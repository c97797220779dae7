"""How long two sides are measured: as a capture is, in rounds and launches, until the interval is narrow or time is up."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import (
    FEWEST_ROUNDS,
    FIXED_ROUNDS,
    LEAD_IN,
    NS,
    PHASES,
    BlockRunner,
    PairedBlocks,
    is_narrow,
    most_times,
    orders,
    plan_protocol,
    warm_up,
)
from attrib.capture.workers.process import WorkerError
from attrib.model.manifest import ROLES, Protocol

_FEWEST_FIXED = 4
_LONGEST_S = 240.0
"""By default a comparison takes at most `most_times` what one launch takes with 12 rounds, or with as many as fit in so
long, but 4: what every comparison took before there were launches."""

Blocks = tuple[tuple[int, ...], ...]
Tell = Callable[[float, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long two sides are measured.

    Attributes:
        rounds: Interleaved rounds at most, over all launches.
        launches: Starts of the processes; None for as many as the tolerance needs.
        tolerance: Half interval of the difference, as a share of the slower step, that is narrow enough.
        max_time: Seconds after which no further launch begins, where the fewest are measured; None for a default.
        iterations: Steps in a block; None for as many as fill one.
        warmup: Exact warm-up steps; None until the blocks agree.
        seed: Of the order of the blocks.
    """

    rounds: int = FIXED_ROUNDS
    launches: int | None = None
    tolerance: float = 0.02
    max_time: float | None = None
    iterations: int | None = None
    warmup: int | None = None
    seed: int = 0


@dataclass(slots=True, kw_only=True)
class Timed:
    """Two sides that were measured, or are.

    Attributes:
        runners: Both sides.
        latencies: Every timed step, by the runners' roles.
        protocol: How; the most launches and rounds that there may be.
        launches: Starts of the processes so far.
        rounds: Rounds so far.
        ended: Why there are no more rounds.
    """

    runners: Sequence[BlockRunner]
    latencies: Latencies
    protocol: Protocol
    launches: int = 1
    rounds: int = 0
    ended: Literal["", "narrow", "rounds", "time"] = ""

    def paired(self) -> tuple[Blocks, Blocks, tuple[int, ...]]:
        """Plain steps of both sides in nanoseconds, a block for each round that counts, and the launch of each."""
        table = self.latencies.table()
        sides = [table.blocks(role, "plain") for role in ROLES]
        numbers = [number for number in sides[0] if number in sides[1]]
        first, second = (tuple(tuple(side[number].tolist()) for number in numbers) for side in sides)
        of_round = table.launches()
        return first, second, tuple(of_round[number] for number in numbers)

    def is_narrow(self) -> bool:
        """Whether the interval is narrow enough; looked at after each launch, or where there is one, after each round."""
        protocol = self.protocol
        if protocol.launches > 1 and self.rounds % protocol.rounds_per_launch:
            return False
        return is_narrow(self.latencies, protocol, self.rounds)


def measure(
    runners: Sequence[BlockRunner],
    launch: Callable[[], None],
    effort: Effort,
    tell: Tell = lambda *_: None,
    *,
    profiled: bool = False,
) -> Timed:
    """Measure two sides in turns.

    Args:
        runners: Both sides; the one that fails gets its `error`.
        launch: Gives both a process, from the second time on a new one.
        effort: How long.
        tell: Called with the share that is done and the seconds left at most.
        profiled: Follow the plain blocks of each round with profiled ones, as a capture does.

    Raises:
        WorkerError: A side failed.
    """
    begin, latencies = time.monotonic(), Latencies()
    _start(runners, launch, effort, latencies, profiled=profiled)
    timed = Timed(runners=runners, latencies=latencies, protocol=_plan(runners, effort, profiled=profiled))
    protocol = timed.protocol
    launch_s = time.monotonic() - begin

    def deadline() -> float:
        return begin + _allowed_s(timed, effort, launch_s)

    pairs = PairedBlocks(protocol, latencies, deadline())
    for number, order in enumerate(orders(runners, protocol)):
        if number == timed.launches * protocol.rounds_per_launch:
            took = (time.monotonic() - begin) / timed.launches
            if timed.launches >= protocol.fewest_launches and time.monotonic() + took > deadline():
                timed.ended = "time"
                return timed
            _start(runners, launch, effort, latencies, profiled=profiled)
            timed.launches += 1
            pairs.deadline = deadline()
        for phase in PHASES if profiled else PHASES[:1]:
            pairs.measure(order, phase, number)
            for runner in order:
                if runner.error is not None:
                    raise runner.error
        timed.rounds = number + 1
        tell(*_progress(timed.rounds / protocol.rounds, time.monotonic() - begin, pairs.deadline - begin))
        if timed.is_narrow():
            timed.ended = "narrow"
            return timed
    timed.ended = "rounds"
    return timed


def _start(
    runners: Sequence[BlockRunner],
    launch: Callable[[], None],
    effort: Effort,
    latencies: Latencies,
    *,
    profiled: bool,
) -> None:
    """Start both sides and warm them up."""
    launch()
    for runner in runners:
        try:
            warm_up(runner, latencies, effort.warmup, profiled=profiled)
        except WorkerError as error:
            runner.error = error
            raise


def _plan(runners: Sequence[BlockRunner], effort: Effort, *, profiled: bool) -> Protocol:
    """Plan as a capture does, without profiled blocks unless asked; where steps take seconds, there are fewer rounds."""

    def planned(rounds: int) -> Protocol:
        protocol = plan_protocol(
            [runner.step_ns for runner in runners],
            rounds=rounds,
            iterations=effort.iterations,
            seed=effort.seed,
            launches=effort.launches,
            tolerance=effort.tolerance,
        )
        if profiled:
            return protocol
        return msgspec.structs.replace(protocol, profiled_rounds=0, profiled_iterations=0)

    protocol = planned(effort.rounds)
    affordable = int(_LONGEST_S / _round_s(runners, protocol))
    if affordable < effort.rounds:
        protocol = planned(min(effort.rounds, max(FEWEST_ROUNDS, affordable)))
    return protocol


def _round_s(runners: Sequence[BlockRunner], protocol: Protocol) -> float:
    """What a round takes, seconds."""
    steps = protocol.iterations + LEAD_IN
    if protocol.profiled_rounds:
        steps += protocol.profiled_iterations + LEAD_IN
    return max(1.0, sum(runner.step_ns for runner in runners)) / NS * steps


def _allowed_s(timed: Timed, effort: Effort, launch_s: float) -> float:
    """Seconds from the begin after which no launch begins and nothing is measured again, as far as it is known by now."""
    if effort.max_time is not None:
        return effort.max_time
    round_s = _round_s(timed.runners, timed.protocol)
    fixed = min(FIXED_ROUNDS, max(_FEWEST_FIXED, int(_LONGEST_S / round_s)))
    return most_times(timed.latencies) * (launch_s + fixed * round_s)


def _progress(done: float, took_s: float, allowed_s: float) -> tuple[float, float]:
    """The share that is done, of the most rounds that there may be, and the seconds left at most."""
    return done, min(took_s * (1 / done - 1), max(0.0, allowed_s - took_s))
