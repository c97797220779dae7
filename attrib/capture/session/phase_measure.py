"""Warming up and measuring; after each round its steps are on the disk, so that nothing can take them away."""

from collections.abc import Callable

from attrib.capture.session.context import SessionContext
from attrib.capture.session.measure import plan_protocol, run_rounds, warm_up
from attrib.capture.workers.process import WorkerError
from attrib.model.manifest import LATENCY_PARTS


def warm_up_sides(context: SessionContext) -> None:
    """Run either side until its blocks agree."""
    for number, runner in enumerate(list(context.runners.values())):
        try:
            warm_up(runner, context.latencies, context.options.warmup)
        except WorkerError as error:
            context.fail_side(runner.role, error)
            continue
        context.sides.note_measured(runner)
        context.progress.update((number + 1) / len(context.runners))
        if not runner.warmed_up and context.options.warmup is None:
            context.warn(
                f"{context.sides.title(runner.role)} was still changing after {runner.warmup} warm-up steps:"
                " close other programs, or give more with --warmup"
            )
    context.check_some_side()


def measure(context: SessionContext) -> None:
    """Run the rounds that are missing: all of them, where nothing is measured yet."""
    runners = list(context.runners.values())
    checkpoint, missing = context.checkpoint, None
    if checkpoint and checkpoint.manifest.protocol:
        protocol = checkpoint.manifest.protocol
        missing = checkpoint.missing()
        checkpoint.drop_what_is_measured_again(len(context.record.launches))
        context.write_manifest()
    else:
        options = context.options
        protocol = plan_protocol(
            [runner.step_ns for runner in runners],
            rounds=options.rounds,
            iterations=options.iterations,
            seed=options.seed,
        )
    context.record.protocol = protocol
    run_rounds(
        runners,
        protocol,
        context.latencies,
        context.progress.update,
        missing=missing,
        after=_keeper_of_rounds(context),
    )
    for runner in runners:
        context.sides.note_measured(runner)
        if runner.error is not None:
            context.fail_side(runner.role, runner.error)
    context.check_some_side()


def _keeper_of_rounds(context: SessionContext) -> Callable[[], None]:
    """What puts the steps of each round on the disk, while no engine runs (10 to 40 ms, none of it measured)."""
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
