"""What a plant costs in truth: plain steps of one engine with it and without it, in the protocol of `attrib verify`."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack

from planted_score import Truth
from planted_site import Site
from plants.plant import Plant

from attrib.analysis.attribution.judgement import machine_state
from attrib.analysis.attribution.ledger.headline import paired_difference
from attrib.capture import CaptureOptions
from attrib.capture.bench.launches import Effort, measure
from attrib.capture.bench.sides import Opener, Opening
from attrib.capture.session.measure import BlockRunner
from attrib.capture.session.worker_pool import Workers
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workers.process import Worker
from attrib.capture.workload.sources import resolve_source
from attrib.model.manifest import ROLES, Role

LAUNCHES, ROUNDS = 3, 12
"""Of each part. There are two at least, one before the captures and one after them: the truth must be better known than
what is held against it, and be of the same minutes, because what a plant costs depends on the state of the machine."""


def measure_truth(plant: Plant, site: Site, earlier: Truth | None) -> Truth:
    """Run the planted engine with and without the plant, each in a process of its own, started anew for every launch.

    `Bench.compare` gives both sides the same model and inputs; some plants are in the model or the inputs.

    Args:
        plant: The plant.
        site: Where the graphs are.
        earlier: The parts that were measured before, which this one joins.
    """
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        sides = [
            _Side(options, plant.side, interrupts, stack)
            for options in (site.baseline(plant.baseline), site.planted(plant))
        ]
        runners: list[BlockRunner] = []

        def launch() -> None:
            workers = started_together(sides)
            if not runners:
                runners.extend(map(BlockRunner, ROLES, workers))
            for runner, worker in zip(runners, workers, strict=True):
                runner.worker = worker

        timed = measure(runners, launch, Effort(rounds=ROUNDS, launches=LAUNCHES, tolerance=0.0))
    without, with_it, launches = timed.paired()
    state = machine_state(timed.latencies.table())
    return joined(
        earlier, without, with_it, launches, {one.caches for one in state.launches} if state else ()
    )


def joined(
    earlier: Truth | None,
    without: Sequence[Sequence[int]],
    with_it: Sequence[Sequence[int]],
    launches: Sequence[int],
    caches: Collection[str] = (),
) -> Truth:
    """One part more of the true cost.

    Args:
        earlier: The parts before; None for the first.
        without: Plain steps of this part without the plant, a sequence for each round, nanoseconds.
        with_it: The same with it.
        launches: The launch of each round, counted within this part.
        caches: States of the machine that its launches met; empty names are unknown ones.
    """
    before = earlier.plain_ns if earlier else {"baseline": (), "variant": ()}
    known = earlier.launches if earlier else ()
    first = max(known, default=-1) + 1
    numbers = (*known, *(first + launch for launch in launches))
    steps = {
        name: (*before[name], *(tuple(block) for block in blocks))
        for name, blocks in (("baseline", without), ("variant", with_it))
    }
    baseline, variant, cost = paired_difference(steps["baseline"], steps["variant"], numbers)
    return Truth(
        baseline_ns=baseline,
        variant_ns=variant,
        cost_ns=cost,
        plain_ns=steps,
        launches=numbers,
        parts=earlier.parts + 1 if earlier else 1,
        caches=tuple(sorted({*(earlier.caches if earlier else ()), *caches} - {""})),
    )


class _Side:
    """One of the two: its model, and the process that runs it now."""

    def __init__(
        self, options: CaptureOptions, engine: Role, interrupts: Interrupts, stack: ExitStack
    ) -> None:
        source = resolve_source(options)
        self._options = options
        self._engine = engine
        self._workers = Workers(source, interrupts)
        stack.callback(self._workers.close)
        self._opener = Opener(self._workers, options, source)
        self._plan = self._opener.plan(options, engine)

    def start(self) -> Opening:
        """End the process that runs, and start another one."""
        self._workers.stop(self._engine)
        return self._opener.start(self._engine, self._plan, self._options)

    def load(self, opening: Opening) -> None:
        """Tell it what to load."""
        self._opener.load(opening)

    def finish(self, opening: Opening) -> Worker:
        """Wait until it has."""
        return self._opener.finish(opening).worker


def started_together(sides: Sequence[_Side]) -> list[Worker]:
    """A new process for each side; they load at the same time."""
    openings = [side.start() for side in sides]
    for side, opening in zip(sides, openings, strict=True):
        side.load(opening)
    return [side.finish(opening) for side, opening in zip(sides, openings, strict=True)]
