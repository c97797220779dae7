"""The ONNX Runtime side, inside its worker: one plain and one profiled session of the same file."""

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
        self._command: Open | None = None
        self._plain: tuple[Any, Feeds] | None = None
        self._profiled: tuple[Any, Feeds] | None = None

    def open(self, command: Open) -> Opened:
        """Create both sessions with the same options; only one of them records a profile."""
        self._command = command
        optimized = Path(command.folder) / "optimized.onnx"
        inputs = load_inputs(Path(command.inputs))
        warnings: list[str] = []
        sessions = []
        for profiled in (False, True):
            session = _session(command, _options(command, optimized if profiled else None))
            feeds, notes = feeds_of(session, inputs, io_binding=command.io_binding)
            sessions.append((session, feeds))
            warnings = notes
        self._plain, self._profiled = sessions
        freeze_heap()
        session = sessions[1][0]
        return Opened(
            providers=tuple(session.get_providers()),
            outputs=tuple(output.name for output in session.get_outputs()),
            optimized=str(optimized),
            settings=self._settings(session),
            warnings=tuple(warnings),
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
        assert self._command is not None  # noqa: S101  (the parent calibrates only a side that ran)
        with quiet_collector():
            threads = self._command.threads
            return Calibrated(overhead=measure_overhead(Path(command.chain), command.nodes, threads))

    def finish(self, _command: Finish) -> Written:
        """End profiling, which writes the profile."""
        if self._profiled is None:
            return Written(files=())
        session = self._profiled[0]
        return Written(files=(str(session.end_profiling()),))

    def _settings(self, session: Any) -> dict[str, str]:
        assert self._command is not None  # noqa: S101  (called by open alone)
        return {
            PROFILE_ZERO: str(session.get_profiling_start_time_ns()),
            "inter_op_threads": "1",
            "execution_mode": "sequential",
            "io_binding": str(self._command.io_binding).lower(),
        }


def _options(command: Open, optimized: Path | None) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = command.threads
    options.inter_op_num_threads = 1
    options.graph_optimization_level = LEVELS[command.opt_level]
    options.log_severity_level = _ERRORS_ONLY
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
    try:
        return ort.InferenceSession(command.model, options, providers=list(command.providers))
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
