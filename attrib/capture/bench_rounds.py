"""Timing the two sides of a bench in interleaved plain blocks."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from attrib.capture.latencies import Latencies
from attrib.capture.measure import LEAD_IN, NS, Runner, orders, plan_protocol, run_block, warm_up
from attrib.capture.process import WorkerError
from attrib.model.manifest import Protocol

_BUDGET_S = 240.0
"""The blocks of one comparison take about this long at most; where a step takes seconds, there are fewer rounds."""

_FEWEST_ROUNDS = 4
_BUSY_SHARE = 0.10
"""Of one core while the other side runs: then the waiting side is no longer idle."""

Tell = Callable[[float, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to measure. `iterations`: steps in a block, None for as many as fill one; `warmup`: exact steps, or None."""

    rounds: int
    iterations: int | None
    warmup: int | None
    seed: int


def time_blocks(runners: Sequence[Runner], wanted: Wanted, tell: Tell) -> tuple[Protocol, Latencies]:
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
        _tried(runner, lambda side: warm_up(side, latencies, wanted.warmup, profiled=False))
    protocol = _protocol(runners, wanted)
    begin = time.monotonic()
    for number, order in enumerate(orders(runners, protocol), 1):
        for runner in order:
            _tried(runner, lambda side: run_block(side, "plain", number - 1, protocol, latencies))  # noqa: B023
        tell(number / protocol.rounds, (time.monotonic() - begin) * (protocol.rounds / number - 1))
    return protocol, latencies


def _tried(runner: Runner, act: Callable[[Runner], None]) -> None:
    try:
        act(runner)
    except WorkerError as error:
        runner.error = error
        raise


def _protocol(runners: Sequence[Runner], wanted: Wanted) -> Protocol:
    """The capture's own, without profiled blocks, and within the budget."""
    steps_ns = [runner.step_ns for runner in runners]
    planned = plan_protocol(steps_ns, rounds=wanted.rounds, iterations=wanted.iterations, seed=wanted.seed)
    round_s = sum(steps_ns) / NS * (planned.iterations + LEAD_IN)
    affordable = max(_FEWEST_ROUNDS, int(_BUDGET_S / round_s)) if round_s else wanted.rounds
    return msgspec.structs.replace(
        planned, rounds=min(wanted.rounds, affordable), profiled_rounds=0, profiled_iterations=0
    )


def notes_on(
    runners: Sequence[Runner], titles: Sequence[str], wanted: Wanted, protocol: Protocol
) -> Iterator[str]:
    """What the reader should know about how it was measured."""
    if protocol.rounds < wanted.rounds:
        yield f"a step takes so long that there were {protocol.rounds} rounds, not {wanted.rounds}"
    for runner, title in zip(runners, titles, strict=True):
        if not runner.warmed_up and wanted.warmup is None:
            yield f"{title} was still changing after {runner.warmup} warm-up steps"
        if runner.idle_cpu_share > _BUSY_SHARE:
            yield f"{title} used {runner.idle_cpu_share:.0%} of a core while the other one ran"
