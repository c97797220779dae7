"""Engines that compute nothing, for worker processes that are real: pipes, files, signals and silence are as ever.

A worker that is started with `START` serves the true protocol and writes true, small traces; the user's directory can
tell it to hang or to need memory, see `Stage`.
"""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from attrib.capture.workers import worker
from attrib.capture.workers.messages import (
    Calibrate,
    Calibrated,
    Command,
    Export,
    Exported,
    Finish,
    Load,
    Loaded,
    MeasurePeaks,
    Open,
    Opened,
    Outputs,
    PeaksMeasured,
    Reply,
    Run,
    Steps,
    Written,
)  # fmt: skip
from attrib.capture.workers.steps import time_steps
from attrib.capture.workload.inputs import save_inputs
from attrib.model.manifest import PROFILE_ZERO, InputSpec, Overhead
from attrib.model.roofline import Peaks
from attrib.model.tensor import Tensor

HERE = str(Path(__file__).parent)
START = (
    f"import sys; sys.path.append(sys.argv.pop(1)); sys.path.append({HERE!r});"
    " import fault_engines; fault_engines.main()"
)
GRAPH = "ATTRIB_TEST_GRAPH"
TROUBLE = "ATTRIB_TEST_TROUBLE"
"""`ENGINE COMMAND WHAT` in the environment: what goes wrong there; `hang`, `memory`, `full`."""

_STEP_S = {"torch": 0.0005, "onnxruntime": 0.0004}


def main() -> None:
    """A worker's whole life, with these engines in place of the real ones."""
    worker.importlib.import_module = lambda _name: _Module()  # type: ignore[assignment]
    worker.main()


class FakeEngine:
    """Answers every command after a moment."""

    version = "1.0"

    def __init__(self, name: str) -> None:
        self.name = name
        self.handlers: dict[type, Callable[..., Reply]] = {
            kind: self._troubled(method)
            for kind, method in {
                Load: self.load, Export: self.export, Open: self.open, Run: self.run, Outputs: self.outputs,
                Calibrate: self.calibrate, MeasurePeaks: self.peaks, Finish: self.finish,
            }.items()
        }  # fmt: skip
        self.folder = Path()
        self.blocks = self.steps = 0
        self.zero = time.time_ns()
        self.runs: list[tuple[int, int]] = []

    def _troubled(self, method: Callable[..., Reply]) -> Callable[..., Reply]:
        engine, command, what = (os.environ.get(TROUBLE, "") + "  ").split(" ")[:3]

        def served(given: Command) -> Reply:
            if (engine, command) == (self.name, type(given).__name__):
                _TROUBLES[what]()
            return method(given)

        return served

    def load(self, command: Load) -> Loaded:
        self.folder = Path(command.folder)
        file = self.folder / "inputs.npz"
        save_inputs(file, {"x": np.ones((2, 3), np.float32)})
        return Loaded(
            weights="random", fingerprint="same", parameters=1, outputs=("y",), settings={"device": "cpu"},
            inputs=(InputSpec(name="x", tensor=Tensor("float", (2, 3))),), threads=command.threads,
            inputs_file=str(file),
        )  # fmt: skip

    def export(self, command: Export) -> Exported:
        file = Path(command.folder) / "exported.onnx"
        file.write_bytes(_graph())
        return Exported(model=str(file), opset=18, weight_bytes=4, fingerprint="same", seconds=0.0)

    def open(self, command: Open) -> Opened:
        self.folder = Path(command.folder)
        file = self.folder / "optimized.onnx"
        file.write_bytes(_graph())
        return Opened(
            providers=("CPUExecutionProvider",), outputs=("y",), optimized=str(file), threads=command.threads,
            settings={PROFILE_ZERO: str(self.zero), "io_binding": "false", "execution_mode": "sequential"},
        )  # fmt: skip

    def run(self, command: Run) -> Steps:
        count = command.lead_in + command.iterations
        timed = time_steps(lambda: time.sleep(_STEP_S[self.name]), count)
        trace = ""
        if command.profiled:
            spans = list(zip(timed.starts, timed.walls, strict=True))[command.lead_in :]
            self.runs += spans
            trace = self._block(spans) if self.name == "torch" else ""
        return Steps(
            start_ns=tuple(timed.starts),
            wall_ns=tuple(timed.walls),
            lead_in=command.lead_in,
            idle_wall_ns=1,
            trace=trace,
        )

    def _block(self, spans: list[tuple[int, int]]) -> str:
        """A Kineto file of one profiled block: a range around each step, and one operator in it."""
        base = spans[0][0]
        events = []
        for start, wall in spans:
            ts, dur = (start - base) / 1000 + 1, wall / 1000 - 2
            events += [
                _event("user_annotation", f"attrib.step#{self.steps}", ts, dur),
                _event("cpu_op", "aten::relu", ts + 5, dur - 10),
            ]
            self.steps += 1
        file = self.folder / f"block-{self.blocks}.json"
        self.blocks += 1
        file.write_text(json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": base, "traceEvents": events}))
        return str(file)

    def outputs(self, command: Outputs) -> Written:
        save_inputs(Path(command.file), {"y": np.arange(3.0)})
        return Written(files=(command.file,))

    def calibrate(self, _command: Calibrate) -> Calibrated:
        return Calibrated(overhead=Overhead(inside_ns=1.0, samples=1))

    def peaks(self, _command: MeasurePeaks) -> PeaksMeasured:
        return PeaksMeasured(peaks=Peaks(device="cpu", threads=1))

    def finish(self, _command: Finish) -> Written:
        if self.name == "torch":
            return Written(files=())
        events = []
        for start, wall in self.runs:
            ts, dur = (start - self.zero) // 1000 + 1, wall // 1000 - 2
            events += [
                _event("Session", "model_run", ts, dur),
                _event("Session", "SequentialExecutor::Execute", ts + 1, dur - 2),
                _event("Node", "relu_kernel_time", ts + 5, dur - 10)
                | {"args": {"op_name": "Relu", "provider": "CPUExecutionProvider", "node_index": "0"}},
            ]
        file = self.folder / "profile.json"
        file.write_text(json.dumps(events))
        return Written(files=(str(file),))


class _Module:
    """What stands in for every module that defines an engine."""

    def __getattr__(self, _name: str) -> Callable[[], FakeEngine]:
        import sys

        return lambda: FakeEngine(sys.argv[1])


def _event(category: str, name: str, ts: float, dur: float) -> dict[str, object]:
    return {"ph": "X", "cat": category, "name": name, "pid": 7, "tid": 7, "ts": ts, "dur": dur, "args": {}}


def graph() -> bytes:
    """One node; made by the launcher, so that no worker needs to import onnx."""
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 3]) for name in ("x", "y")]
    made = helper.make_graph([helper.make_node("Relu", ["x"], ["y"], name="relu")], "g", ends[:1], ends[1:])
    opsets = [helper.make_opsetid("", 18)]
    return bytes(helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString())


def _graph() -> bytes:
    return bytes.fromhex(os.environ[GRAPH])


def _hang() -> None:
    time.sleep(600)


def _need_memory() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    np.ones(1 << 32)


def _fill() -> None:
    import errno

    raise OSError(errno.ENOSPC, "No space left on device")


_TROUBLES = {"hang": _hang, "memory": _need_memory, "full": _fill}
