"""What follows the last round: the profiles, the steps in one file, the outputs, and the profilers' cost."""

from attrib.capture.artefacts import DEVICE_TRACE, write_outputs, write_profiles
from attrib.capture.chain import CHAIN_NODES, write_chain
from attrib.capture.clocks import check_clocks
from attrib.capture.differences import compare_outputs, note_on_outputs
from attrib.capture.inputs import load_inputs
from attrib.capture.measure import Runner
from attrib.capture.messages import Calibrate, Calibrated, Finish, Outputs, Written
from attrib.capture.peaks_graphs import measure_peaks
from attrib.capture.process import WorkerError
from attrib.capture.rewrites import lowest_precision
from attrib.capture.state import State
from attrib.errors import AttribError
from attrib.model.manifest import LATENCY, LATENCY_PARTS, PROFILE_ZERO, ROLES, Role

OUTPUTS = "outputs.json"


def write_traces(state: State) -> None:
    """Write the profiles and the steps: from here on the report is whole, whatever happens."""
    for runner in list(state.runners.values()):
        try:
            written = runner.worker.ask(Finish(), Written)
        except WorkerError as error:
            state.fail_side(runner.role, error)
            continue
        write_trace(state, runner, written.files)
        check_side_clocks(state, runner.role)
    state.check_some_side()
    _finish_latencies(state)


def write_trace(state: State, runner: Runner, files: tuple[str, ...]) -> None:
    """One side's profile."""
    engine = state.sides.engines[runner.role]
    write_profiles(state.directory, state.sides.folder(runner.role), runner.traces, files, engine)
    state.traces_written.add(runner.role)


def _finish_latencies(state: State) -> None:
    """All steps in one file in place of those of the rounds; the manifest changes over at once."""
    began = state.began_ns
    state.latencies.keep(lambda row: row[1] != "profiled" or row[4] >= began)
    with state.interrupts.deferred():
        with state.directory.create(LATENCY) as stream:
            state.latencies.write(stream)
        state.directory.drop([name for name in state.directory.files if name.startswith(LATENCY_PARTS)])
        state.record.profiled(state.traces_written >= set(ROLES))
        state.write_manifest()


def check_side_clocks(state: State, role: Role) -> None:
    """Whether the two traces of ONNX Runtime on a device can be read together."""
    folder = state.sides.folder(role)
    profile, device = f"{folder}/profile.json.gz", f"{folder}/{DEVICE_TRACE}"
    if not {profile, device} <= set(state.directory.complete_files):
        return
    zero, root = int(state.record.sides[role].settings[PROFILE_ZERO]), state.directory.root
    try:
        found = check_clocks(root / profile, root / device, zero)
    except AttribError as error:
        state.warn(f"ONNX Runtime's clock and the device's were not compared: {error}")
        return
    state.sides.settled(role, found.settings)
    for warning in found.warnings:
        state.warn(warning)


def compare(state: State) -> None:
    """Compare what the two sides compute."""
    if state.directory.is_complete(OUTPUTS):
        return
    files = {role: state.workers.folder(role) / "outputs.npz" for role in ROLES}
    for role in [role for role in ROLES if role in state.runners]:
        try:
            state.workers[role].ask(Outputs(file=str(files[role])), Written)
        except WorkerError as error:
            state.fail_side(role, error)
    if len(state.runners) < len(ROLES):
        state.directory.missing(OUTPUTS, "only one engine ran")
        state.check_some_side()
        return
    values = [load_inputs(files[role]) for role in ROLES]
    precision = lowest_precision(state.options.precision, state.options.optimize)
    rows = compare_outputs(values[0], values[1], precision)
    write_outputs(state.directory, rows)
    if note := note_on_outputs(rows, state.options):
        state.warn(note)


def calibrate(state: State) -> None:
    """What the profilers cost, and what the machine can do."""
    for number, runner in enumerate(state.runners.values()):
        if state.record.sides[runner.role].overhead is None:
            _calibrate_side(state, runner)
        state.progress.update((number + 1) / len(state.runners))


def _calibrate_side(state: State, runner: Runner) -> None:
    chain = state.workers.folder(runner.role) / "chain.onnx"
    write_chain(chain)
    try:
        reply = runner.worker.ask(Calibrate(chain=str(chain), nodes=CHAIN_NODES), Calibrated)
    except WorkerError as error:
        state.warn(
            f"the profiler's cost could not be calibrated for {state.sides.title(runner.role)}: {error}"
        )
        return
    _measure_peaks(state, runner)
    state.sides.calibrated(runner.role, reply.overhead)


def _measure_peaks(state: State, runner: Runner) -> None:
    """What the machine can do at most, so that the report can say how far either engine is from that."""
    options, folder = state.options, state.workers.folder(runner.role)
    used = {options.precision, lowest_precision(options.precision, options.optimize)}
    try:
        state.sides.reached(runner.role, measure_peaks(runner.worker, folder, options.device, used))
    except WorkerError as error:
        state.warn(
            f"what this machine can do was not measured with {state.sides.title(runner.role)}: {error}"
        )


def complete_sides(state: State) -> None:
    """The end: each side that is left has everything."""
    state.record.environment = state.machine.end(state.record.environment)
    for role in state.runners:
        state.sides.complete(role)
