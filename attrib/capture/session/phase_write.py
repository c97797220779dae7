"""What follows the last round: the profiles, the steps in one file, the outputs, and the profilers' cost."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from attrib.capture.session.artifacts import DEVICE_TRACE, SideProfiles, write_outputs, write_profiles
from attrib.capture.session.context import SessionContext
from attrib.capture.session.launches import take_profile
from attrib.capture.session.measure import BlockRunner
from attrib.capture.system.peaks import SIDES, product_file, stream_file
from attrib.capture.workers.messages import (
    Calibrate,
    Calibrated,
    MeasurePeaks,
    Outputs,
    PeaksMeasured,
    Written,
)
from attrib.capture.workers.process import Worker, WorkerError
from attrib.capture.workload.differences import compare_outputs, note_on_outputs
from attrib.capture.workload.inputs import load_inputs
from attrib.errors import AttribError
from attrib.model.capture_options import Device
from attrib.model.manifest import LATENCY, LATENCY_PARTS, OPTIMIZED, PROFILE_ZERO, ROLES, Role
from attrib.model.roofline import Peaks
from attrib.rewrite.registry import lowest_precision
from attrib.traces import read_kineto, read_ort_profile
from attrib.traces.recording.clocks import RESIDUAL_LIMIT_NS, join_clocks
from attrib.units import format_ns

OUTPUTS = "outputs.json"
CHAIN_NODES = (200, 3000)
"""Length of the chain on which recording is calibrated: that of the model's graph, within these."""

CLOCK_RESIDUAL = "clock_residual_ns"
"""Key of a side's settings: how far a run reaches out of the range recorded around it, at worst."""

DEVICE_EVENTS = "device_events"
"""Key of a side's settings: how many kernels, copies and fills were recorded around ONNX Runtime's runs."""

_DTYPES = {"fp32": "float", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}
_ONNX_TYPES = {"float": 1, "float16": 10, "bfloat16": 16}
_UINT8, _INT8, _INT32 = 2, 3, 6


def write_traces(context: SessionContext) -> None:
    """Write the profiles and the steps: from here on the report is whole, whatever happens."""
    for runner in list(context.runners.values()):
        try:
            take_profile(context, runner)
        except WorkerError as error:
            context.fail_side(runner.role, error)
            continue
        write_trace(context, runner)
        check_side_clocks(context, runner.role)
    context.check_some_side()
    # The profiled steps of an earlier launch go with its profiles.
    began = context.began_ns
    context.latencies.keep(lambda row: row[1] != "profiled" or row[4] >= began)
    # All steps in one file in place of those of the rounds; the manifest changes over at once.
    with context.interrupts.defer():
        with context.directory.create(LATENCY) as stream:
            context.latencies.write(stream)
        context.directory.drop([name for name in context.directory.files if name.startswith(LATENCY_PARTS)])
        context.record.note_profiles(context.traces_written >= set(ROLES))
        context.write_manifest()


def write_trace(context: SessionContext, runner: BlockRunner) -> None:
    """Write what the processes of one side recorded."""
    write_profiles(
        context.directory,
        context.sides.folder(runner.role),
        SideProfiles(context.sides.engines[runner.role], runner.traces, runner.profiles, runner.others),
    )
    context.traces_written.add(runner.role)


def compare(context: SessionContext) -> None:
    """Compare the outputs of the two sides."""
    if context.directory.is_complete(OUTPUTS):
        return
    files = {role: context.workers.folder(role) / "outputs.npz" for role in ROLES}
    for role in [role for role in ROLES if role in context.runners]:
        try:
            context.workers[role].ask(Outputs(file=str(files[role])), Written)
        except WorkerError as error:
            context.fail_side(role, error)
    if len(context.runners) < len(ROLES):
        context.directory.note_missing(OUTPUTS, "only one engine ran")
        context.check_some_side()
        return
    values = [load_inputs(files[role]) for role in ROLES]
    precision = lowest_precision(context.options.precision, context.options.optimize)
    compared = compare_outputs(values[0], values[1], precision)
    write_outputs(context.directory, compared.rows)
    for note in (compared.note, note_on_outputs(compared.rows, context.options)):
        if note:
            context.warn(note)


def calibrate(context: SessionContext) -> None:
    """Measure what the profilers cost, and what the machine can do."""
    for number, runner in enumerate(context.runners.values()):
        if context.record.sides[runner.role].overhead is None:
            _calibrate_side(context, runner)
        context.progress.update((number + 1) / len(context.runners))


def _calibrate_side(context: SessionContext, runner: BlockRunner) -> None:
    chain = context.workers.folder(runner.role) / "chain.onnx"
    length = _chain_length(context)
    write_chain(chain, length)
    try:
        reply = runner.worker.ask(Calibrate(chain=str(chain), nodes=length), Calibrated)
    except WorkerError as error:
        context.warn(
            f"the profiler's cost could not be calibrated for {context.sides.title(runner.role)}: {error}"
        )
        return
    # What the machine can do at most, so that the report can say how far either engine is from that.
    options, folder = context.options, context.workers.folder(runner.role)
    used = {options.precision, lowest_precision(options.precision, options.optimize)}
    try:
        peaks = measure_peaks(runner.worker, folder, options.device, used)
        context.sides.note_peaks(runner.role, peaks)
    except WorkerError as error:
        context.warn(
            f"what this machine can do was not measured with {context.sides.title(runner.role)}: {error}"
        )
    context.sides.note_overhead(runner.role, reply.overhead)


def complete_sides(context: SessionContext) -> None:
    """Complete each side that is left: it has everything."""
    context.record.environment = context.machine.end(context.record.environment)
    for role in context.runners:
        context.sides.complete(role)


def check_side_clocks(context: SessionContext, role: Role) -> None:
    """Check whether the two traces of ONNX Runtime on a device can be read together."""
    folder = context.sides.folder(role)
    profile, device = f"{folder}/profile.json.gz", f"{folder}/{DEVICE_TRACE}"
    if not {profile, device} <= set(context.directory.complete_files):
        return
    zero, root = int(context.record.sides[role].settings[PROFILE_ZERO]), context.directory.root
    try:
        found = check_clocks(root / profile, root / device, zero)
    except AttribError as error:
        context.warn(f"ONNX Runtime's clock and the device's were not compared: {error}")
        return
    context.sides.note_settings(role, found.settings)
    for warning in found.warnings:
        context.warn(warning)


class ClockCheck(NamedTuple):
    """How well two clocks agree: for the settings of the side, and as warnings to the user."""

    settings: dict[str, str]
    warnings: tuple[str, ...] = ()


def check_clocks(profile: Path, device: Path, zero_ns: int) -> ClockCheck:
    """Compare the profile of ONNX Runtime with the device's trace that was recorded around its runs.

    Args:
        profile: The profile.
        device: The Kineto trace.
        zero_ns: Epoch time of the profile's zero.

    Raises:
        AttribError: One of them cannot be read.
    """
    table = read_kineto(device)
    join = join_clocks(read_ort_profile(profile), zero_ns, table)
    work = table.device_work().size
    settings = {
        CLOCK_RESIDUAL: str(join.residual_ns),
        "clock_residual_median_ns": str(join.typical_ns),
        "recorded_runs": str(join.ranges.size),
        DEVICE_EVENTS: str(work),
    }
    warnings = []
    if not work:
        warnings.append(
            "no kernel of ONNX Runtime was recorded, so its nodes' times are times to enqueue: CUPTI may be in use by"
            " another tool or not permitted (NVreg_RestrictProfilingToAdminUsers=0)"
        )
    if join.unpaired or not join.ranges.size:
        warnings.append(
            f"{join.unpaired} of {join.unpaired + join.ranges.size} recorded runs are not in ONNX Runtime's profile:"
            " capture again with fewer --iterations"
        )
    elif not join.agrees:
        beyond = int((join.outside_ns > RESIDUAL_LIMIT_NS).sum())
        warnings.append(
            f"the clocks of ONNX Runtime's profile and the device's trace disagree by {format_ns(join.residual_ns)} in"
            f" {beyond} of {join.ranges.size} runs, so kernels may be laid to the wrong node: capture again on a quiet"
            " machine"
        )
    return ClockCheck(settings, tuple(warnings))


def _chain_length(context: SessionContext) -> int:
    """As many nodes as the optimized graph has, within `CHAIN_NODES`; the fewest where no graph was kept."""
    from onnx import load

    least, most = CHAIN_NODES
    if not context.directory.is_complete(OPTIMIZED):
        return least
    graph = load(context.directory.root / OPTIMIZED, load_external_data=False).graph
    return min(max(len(graph.node), least), most)


def write_chain(file: Path, length: int) -> None:
    """Write alternating Neg and Abs nodes on one element; the parent does it, because a worker may lack onnx."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Neg" if i % 2 else "Abs", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}")
        for i in range(length)
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ("v0", f"v{length}")]
    graph = helper.make_graph(nodes, "calibration", ends[:1], ends[1:])
    _save(file, graph)


def measure_peaks(worker: Worker, folder: Path, device: Device, precisions: Collection[str]) -> Peaks:
    """Let a worker measure what the machine can do; `folder` takes the graphs that ONNX Runtime needs for it.

    Raises:
        WorkerError: It could not.
    """
    dtypes = tuple(sorted({"float", *(_DTYPES[precision] for precision in precisions)}))
    write_graphs(folder, dtypes)
    return worker.ask(MeasurePeaks(device=device, folder=str(folder), dtypes=dtypes), PeaksMeasured).peaks


def write_graphs(folder: Path, dtypes: Collection[str]) -> None:
    """Write the graphs that ONNX Runtime is measured on; the parent does it, because a worker may lack onnx.

    The second factor is a constant, as the weights of a model are, which the worker supplies.
    """
    from onnx import helper

    for dtype in dtypes:
        for side in SIDES:
            _save(product_file(folder, dtype, side), _product_graph(dtype, side))
    ends = [helper.make_tensor_value_info(name, _ONNX_TYPES["float"], ["n"]) for name in ("x", "y")]
    _save(
        stream_file(folder),
        helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "stream", ends[:1], ends[1:]),
    )


def _product_graph(dtype: str, side: int) -> Any:
    from onnx import TensorProto, helper

    integer = dtype == "int8"
    left, right, result = (_UINT8, _INT8, _INT32) if integer else (_ONNX_TYPES[dtype],) * 3
    weight = TensorProto(name="b", data_type=right, dims=[side, side], data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value="supplied")
    node = helper.make_node("MatMulInteger" if integer else "MatMul", ["a", "b"], ["c"])
    ends = [helper.make_tensor_value_info(n, t, [side, side]) for n, t in (("a", left), ("c", result))]
    return helper.make_graph([node], "product", ends[:1], ends[1:], [weight])


def _save(file: Path, graph: Any) -> None:
    from onnx import helper

    # Old enough for every ONNX Runtime that attrib supports.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    file.write_bytes(model.SerializeToString())
