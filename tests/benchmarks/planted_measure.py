"""What a plant costs in truth: plain steps of one engine with it and without it, in interleaved blocks."""

from contextlib import ExitStack
from itertools import chain

from planted_score import Truth
from planted_site import Site
from plants.plant import Plant

from attrib.analysis.attribution.ledger.headline import paired_difference
from attrib.capture import CaptureOptions
from attrib.capture.bench.sides import Opener
from attrib.capture.session.latencies import Latencies
from attrib.capture.session.measure import BlockRunner, orders, plan_protocol, run_block, warm_up
from attrib.capture.session.worker_pool import Workers
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.workers.process import Worker
from attrib.capture.workload.sources import resolve_source
from attrib.model.manifest import ROLES, Role

MORE = 2
"""Rounds of a comparison for each of a capture: the truth must be better known than what is held against it."""


def measure_truth(plant: Plant, site: Site) -> Truth:
    """Run the planted engine with and without the plant, each in a process of its own, as often as the site says.

    `Bench.compare` gives both sides the same model and inputs; some plants are in the model or the inputs.
    """
    launched = [_launched(plant, site) for _ in range(site.size.launches)]
    blocks = [tuple(chain.from_iterable(side)) for side in zip(*launched, strict=True)]
    baseline, variant, cost = paired_difference(*blocks)
    return Truth(
        baseline_ns=baseline,
        variant_ns=variant,
        cost_ns=cost,
        plain_ns={"baseline": blocks[0], "variant": blocks[1]},
    )


def _launched(plant: Plant, site: Site) -> list[tuple[tuple[int, ...], ...]]:
    """Blocks of one pair of processes: without the plant and with it."""
    pairs = (site.baseline(plant.baseline), site.planted(plant))
    with ExitStack() as stack:
        interrupts = stack.enter_context(Interrupts())
        workers = [_opened(options, plant.side, interrupts, stack) for options in pairs]
        return _timed([BlockRunner(role, worker) for role, worker in zip(ROLES, workers, strict=True)], site)


def _opened(options: CaptureOptions, engine: Role, interrupts: Interrupts, stack: ExitStack) -> Worker:
    """A worker that is ready to run one of the two."""
    source = resolve_source(options)
    workers = Workers(source, interrupts)
    stack.callback(workers.close)
    opener = Opener(workers, options, source)
    return opener.open(engine, opener.plan(options, engine), options).worker


def _timed(runners: list[BlockRunner], site: Site) -> list[tuple[tuple[int, ...], ...]]:
    """Blocks of both, in the order of the rounds."""
    latencies = Latencies()
    for runner in runners:
        warm_up(runner, latencies, None, profiled=False)
    rounds = MORE * site.size.rounds
    protocol = plan_protocol([runner.step_ns for runner in runners], rounds=rounds, iterations=None, seed=0)
    for number, order in enumerate(orders(runners, protocol)):
        for runner in order:
            run_block(runner, "plain", number, protocol, latencies)
    return [latencies.blocks(role, "plain") for role in ROLES]
