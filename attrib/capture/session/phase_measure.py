"""Warming up and measuring; after each round its steps are on the disk, so that nothing can take them away."""

from collections.abc import Callable

from attrib.capture.session.context import State
from attrib.capture.session.measure import plan_protocol, run_rounds, warm_up
from attrib.capture.workers.process import WorkerError
from attrib.model.latency import StepPhase
from attrib.model.manifest import LATENCY_PARTS, Protocol


def warm_up_sides(state: State) -> None:
    """Run either side until its blocks agree."""
    for number, runner in enumerate(list(state.runners.values())):
        try:
            warm_up(runner, state.latencies, state.options.warmup)
        except WorkerError as error:
            state.fail_side(runner.role, error)
            continue
        state.sides.measured(runner)
        state.progress.update((number + 1) / len(state.runners))
        if not runner.warmed_up and state.options.warmup is None:
            state.warn(
                f"{state.sides.title(runner.role)} was still changing after {runner.warmup} warm-up steps:"
                " close other programs, or give more with --warmup"
            )
    state.check_some_side()


def measure(state: State) -> None:
    """Run the rounds that are missing."""
    runners = list(state.runners.values())
    state.record.protocol = _protocol(state)
    missing = _missing(state)
    run_rounds(
        runners,
        state.record.protocol,
        state.latencies,
        state.progress.update,
        missing=missing,
        after=_rounds_kept(state),
    )
    for runner in runners:
        state.sides.measured(runner)
        if runner.error is not None:
            state.fail_side(runner.role, runner.error)
    state.check_some_side()


def _protocol(state: State) -> Protocol:
    """As the rounds so far were measured; planned by the warm-up where there are none."""
    if state.kept and state.kept.manifest.protocol:
        return state.kept.manifest.protocol
    options = state.options
    return plan_protocol(
        [runner.step_ns for runner in state.runners.values()],
        rounds=options.rounds,
        iterations=options.iterations,
        seed=options.seed,
    )


def _missing(state: State) -> dict[StepPhase, set[int]] | None:
    if state.kept is None or state.kept.manifest.protocol is None:
        return None
    missing = state.kept.missing()
    state.kept.drop_what_is_measured_again(len(state.record.launches))
    state.write_manifest()
    return missing


def _rounds_kept(state: State) -> Callable[[], None]:
    """What to do after each round: put its steps on the disk, while no engine runs (10 to 40 ms, none of it measured)."""
    import pyarrow.parquet  # noqa: F401  (now, not between the first two rounds)

    before = state.latencies.rounds("plain")

    def keep() -> None:
        with state.interrupts.deferred():
            state.record.progressed(state.latencies.rounds("plain") - before)
            keep_new_steps(state)

    return keep


def keep_new_steps(state: State) -> None:
    """Write the steps that no file holds yet into a file of their own, and list it; none is ever written over."""
    steps = state.latencies.new()
    if not steps.rows:
        return
    own = f"{LATENCY_PARTS}{len(state.record.launches):03d}-"
    number = 1 + sum(name.startswith(own) for name in state.directory.files)
    with state.directory.create(f"{own}{number:03d}.parquet") as stream:
        steps.write(stream)
    state.latencies.written()
    state.write_manifest()
