"""The ONNX Runtime side, inside its worker: a plain and, where wanted, a profiled session of the same file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from attrib.capture.failures import first_line
from attrib.capture.inputs import load_inputs, save_inputs
from attrib.capture.messages import (
    Calibrate,
    Calibrated,
    Finish,
    Open,
    Opened,
    Outputs,
    Reply,
    Run,
    Steps,
    Written,
)
from attrib.capture.ort_feeds import Feeds, feeds_of
from attrib.capture.ort_optimizers import disabled
from attrib.capture.ort_options import EXECUTION_MODES, set_options
from attrib.capture.ort_overhead import measure_overhead
from attrib.capture.silence import silence_libraries
from attrib.capture.steps import freeze_heap, quiet_collector, time_steps
from attrib.errors import AttribError
from attrib.model.manifest import PROFILE_ZERO

LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MODES = dict(
    zip(EXECUTION_MODES, (ort.ExecutionMode.ORT_SEQUENTIAL, ort.ExecutionMode.ORT_PARALLEL), strict=True)
)
_ERRORS_ONLY = 3
_LARGE = 1_500_000_000
"""Above this, folded weights could push the optimized graph over protobuf's 2 GB: they go into a file beside it."""


class Engine:
    """Serves the commands of the ONNX Runtime worker."""

    def __init__(self) -> None:
        silence_libraries()
        ort.set_default_logger_severity(_ERRORS_ONLY)
        self.version = str(ort.__version__)
        self.handlers: dict[type, Callable[..., Reply]] = {
            Open: self.open,
            Run: self.run,
            Outputs: self.outputs,
            Calibrate: self.calibrate,
            Finish: self.finish,
        }
        self._threads = 0
        self._plain: tuple[Any, Feeds] | None = None
        self._profiled: tuple[Any, Feeds] | None = None

    def open(self, command: Open) -> Opened:
        """Create the sessions with the same options; only one of them records a profile."""
        optimized = Path(command.folder) / "optimized.onnx"
        before = _running_threads()
        plain, feeds, notes = _opened(command, None)
        started, self._plain = _running_threads() - before, (plain, feeds)
        session = plain
        if command.profiled:
            session, feeds, notes = _opened(command, optimized)
            self._profiled = session, feeds
        freeze_heap()
        settings = _settings(session, command, feeds)
        self._threads = _intra_op_threads(session, started)
        return Opened(
            providers=tuple(session.get_providers()),
            outputs=tuple(output.name for output in session.get_outputs()),
            optimized=str(optimized),
            settings=settings,
            threads=self._threads,
            warnings=tuple(notes),
        )

    def run(self, command: Run) -> Steps:
        """One block on either session, its lead-in first."""
        chosen = self._profiled if command.profiled else self._plain
        if chosen is None:
            raise AttribError("the session is not open")
        step = chosen[1].step
        with quiet_collector():
            starts, walls = time_steps(step, command.lead_in + command.iterations)
        return Steps(start_ns=tuple(starts), wall_ns=tuple(walls), lead_in=command.lead_in)

    def outputs(self, command: Outputs) -> Written:
        """Write the outputs of one plain step."""
        if self._plain is None:
            raise AttribError("the session is not open")
        session, feeds = self._plain
        names = [output.name for output in session.get_outputs()]
        values = dict(zip(names, map(np.asarray, feeds.outputs()), strict=True))
        save_inputs(Path(command.file), values)
        return Written(files=(command.file,))

    def calibrate(self, command: Calibrate) -> Calibrated:
        """What ONNX Runtime's profiling costs per node here."""
        with quiet_collector():
            return Calibrated(overhead=measure_overhead(Path(command.chain), command.nodes, self._threads))

    def finish(self, _command: Finish) -> Written:
        """End profiling, which writes the profile."""
        if self._profiled is None:
            return Written(files=())
        session = self._profiled[0]
        return Written(files=(str(session.end_profiling()),))


def _opened(command: Open, optimized: Path | None) -> tuple[Any, Feeds, list[str]]:
    """A session that is ready to run; with a file for the optimized graph, the profiled one."""
    session = _session(command, _options(command, optimized))
    inputs = load_inputs(Path(command.inputs))
    feeds, notes = feeds_of(session, inputs, io_binding=command.io_binding, any_floats=command.any_floats)
    return session, feeds, notes


def _running_threads() -> int:
    """Threads of this process; 0 where the system does not tell."""
    tasks = Path("/proc/self/task")
    return sum(1 for _ in tasks.iterdir()) if tasks.is_dir() else 0


def _intra_op_threads(session: Any, started: int) -> int:
    """Intra-op threads of a session whose creation started so many threads.

    A pool of n has n - 1 threads beside the caller's. Where 0 was asked for, ONNX Runtime chose, and tells nobody.
    """
    options = session.get_session_options()
    if options.intra_op_num_threads:
        return int(options.intra_op_num_threads)
    if options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL:
        return started + 1
    inter = int(options.inter_op_num_threads)
    return (started - (inter - 1) if inter else started // 2) + 1


def _settings(session: Any, command: Open, feeds: Feeds) -> dict[str, str]:
    options = session.get_session_options()
    mode = next(name for name, value in MODES.items() if value == options.execution_mode)
    zero = {PROFILE_ZERO: str(session.get_profiling_start_time_ns())} if command.profiled else {}
    return zero | {
        "inter_op_threads": str(options.inter_op_num_threads),
        "execution_mode": mode,
        "io_binding": str(command.io_binding).lower(),
        "preallocated_outputs": str(feeds.preallocated).lower(),
    }


def _options(command: Open, optimized: Path | None) -> Any:
    """The session's options: attrib's own, those that the user set, and those that the profile needs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = command.threads
    options.graph_optimization_level = LEVELS[command.opt_level]
    options.log_severity_level = _ERRORS_ONLY
    # A parallel executor with one thread runs one node after another.
    parallel = command.session_options.get("execution_mode") == "parallel"
    options.inter_op_num_threads = command.threads if parallel else 1
    set_options(options, command.session_options, MODES)
    if optimized is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(optimized.with_name("profile"))
        options.optimized_model_filepath = str(optimized)
        if _size_with_weights(Path(command.model)) > _LARGE:
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", f"{optimized.name}.data"
            )
    return options


def _size_with_weights(model: Path) -> int:
    return sum(part.stat().st_size for part in model.parent.glob(f"{model.name}*"))


def _session(command: Open, options: Any) -> Any:
    missing = [name for name in command.providers if name not in ort.get_available_providers()]
    if missing:
        known = ", ".join(ort.get_available_providers())
        raise AttribError(
            f"this onnxruntime has no {', '.join(missing)}", hint=f"--provider with one of: {known}"
        )
    without = disabled(command.disabled_optimizers)
    # Where a session cannot be created, onnxruntime tries once more, with the optimizers that were to be left out.
    extra = {"disabled_optimizers": without, "enable_fallback": 0} if without else {}
    try:
        return ort.InferenceSession(command.model, options, providers=list(command.providers), **extra)
    except Exception as error:
        raise _refused(command, first_line(error)) from error


def _refused(command: Open, why: str) -> AttribError:
    """Why there is no session, with the way out where it is known."""
    if command.precision == "bf16" and "NOT_IMPLEMENTED" in why:
        return AttribError(
            f"ONNX Runtime cannot run this model in bfloat16 on {', '.join(command.providers)}: {why}",
            hint="--precision fp32 or fp16, or a provider with bfloat16 kernels (--device cuda)",
        )
    hint = next((way for sign, way in _WAYS_OUT.items() if sign in why), "")
    return AttribError(f"ONNX Runtime cannot load the graph: {why}", hint=hint)


_WAYS_OUT = {
    "replace the existing tensor": "--opt-level basic: ONNX Runtime stumbles over names that it gave this graph when it"
    " optimized it before",
    "bound to different types": "the exporter mixed up the types: --exporter dynamo, --attention eager, or --opset 16",
}
"""Part of ONNX Runtime's message -> what mends it."""
