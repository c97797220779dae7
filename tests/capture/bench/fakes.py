"""Workers that answer without an engine: what they were asked is kept, and each can be told to fail."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from attrib.capture.workers.messages import (
    Export,
    Exported,
    Finish,
    Load,
    Loaded,
    Open,
    Opened,
    Optimize,
    Optimized,
    Outputs,
    Ready,
    Run,
    Steps,
    Written,
)
from attrib.capture.workers.process import WorkerError
from attrib.capture.workload.inputs import save_inputs
from attrib.model.disturbance import BlockEvidence
from attrib.model.manifest import PROFILE_ZERO, Rewrite

MS = 1_000_000


@dataclass(slots=True)
class Stage:
    """What the fakes do.

    Attributes:
        wall_ns: Duration of a step, by what `label` makes of the command that opened the model.
        fails: Kinds of command on which a worker fails, by worker's label; `dies` after so many blocks.
        inputs: What the model takes.
        outputs: What it computes, by label.
        log: `(label, command)` in order.
        started: Engines in the order in which they were started.
        running: Those that run.
        traffic: `(sent or received, label, kind of command)` of what was sent ahead, in order.
        evidence: What is seen beside the blocks of a label, in order; nothing after the last.
        opened: How many profiled sessions there were.
        fails_after: How often a label is opened before it fails, by label.
    """

    wall_ns: dict[str, int] = field(default_factory=dict)
    fails: dict[str, type] = field(default_factory=dict)
    inputs: dict[str, np.ndarray] = field(default_factory=lambda: {"x": np.ones((2, 3), np.float32)})
    outputs: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    log: list[tuple[str, object]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    running: list["FakeWorker"] = field(default_factory=list)
    on_start: Callable[["FakeWorker"], object] = lambda _: None
    traffic: list[tuple[str, str, type]] = field(default_factory=list)
    opened: int = 0
    fails_after: dict[str, int] = field(default_factory=dict)
    evidence: dict[str, list[BlockEvidence]] = field(default_factory=dict)
    fingerprints: list[str] = field(default_factory=lambda: ["same"])

    def of(self, kind: type) -> list[object]:
        """Commands of a kind, in order."""
        return [command for _, command in self.log if isinstance(command, kind)]


class FakeWorker:
    """Stands for `attrib.capture.workers.process.Worker`."""

    pid = 0

    def __init__(
        self, stage: Stage, engine: str, environment, interpreter, *, timeout_s=None, hear=None
    ) -> None:
        self.stage, self.engine, self.timeout_s = stage, engine, timeout_s
        self.interpreter, self.hear = interpreter, hear
        self.environment = environment
        self.label, self.waiting = engine, []
        stage.on_start(self)
        stage.started.append(engine)
        stage.running.append(self)

    profiling = False

    @property
    def facts(self) -> Ready:
        return Ready(version="1.0", package="onnxruntime", python=self.interpreter)

    def ready(self) -> str:
        return "1.0"

    def send(self, command) -> None:
        self.waiting.append(command)
        self.stage.traffic.append(("sent", self.label, type(command)))

    def receive(self, kind):
        command = self.waiting.pop(0)
        reply = self.ask(command, kind)
        self.stage.traffic.append(("received", self.label, type(command)))
        return reply

    def ask(self, command, kind):
        assert self in self.stage.running, "a worker that was stopped is asked"
        if isinstance(command, Load | Open):
            self.label = label(command)
            self.stage.fails_after[self.label] = left = self.stage.fails_after.get(self.label, 99) - 1
            if left < 0:
                raise WorkerError(f"{self.label} failed")
        self.stage.log.append((self.label, command))
        failing = self.stage.fails.get(self.label)
        if failing is not None and isinstance(command, failing):
            raise WorkerError(f"{self.label} failed")
        reply = getattr(self, type(command).__name__.lower())(command)
        assert isinstance(reply, kind)
        return reply

    def load(self, command: Load) -> Loaded:
        file = Path(command.folder) / "inputs.npz"
        save_inputs(file, self.stage.inputs)
        return Loaded(
            weights="random", fingerprint=self._fingerprint(), parameters=1, inputs=(), outputs=("y",),
            settings={"training": "false"}, threads=command.threads, inputs_file=str(file),
        )  # fmt: skip

    def _fingerprint(self) -> str:
        prints = self.stage.fingerprints
        return prints.pop(0) if len(prints) > 1 else prints[0]

    def export(self, command: Export) -> Exported:
        file = Path(command.folder) / "exported.onnx"
        write_graph(file, f"{command.exporter} {command.opset}")
        return Exported(
            model=str(file), opset=command.opset or 18, weight_bytes=4, fingerprint=self._fingerprint(), seconds=0
        )  # fmt: skip

    def optimize(self, command: Optimize) -> Optimized:
        (name,) = command.rewrites
        if name in self.stage.fails:
            raise WorkerError(f"{name} failed")
        file = Path(command.folder) / "rewritten-1.onnx"
        write_graph(Path(command.folder) / "given.onnx", "a copy")
        write_graph(file, f"{name} of {content(Path(command.model))}")
        entry = Rewrite(name=name, tool="fake 1", graph="onnx/rewritten-1.onnx")
        return Optimized(models=(str(file),), rewrites=(entry,), notes=(f"about {name}",))

    def open(self, command: Open) -> Opened:
        assert Path(command.inputs).is_file()
        self.profiling, self.folder = command.profiled, Path(command.folder)
        settings = {"execution_mode": "sequential"}
        if command.profiled:
            self.stage.opened += 1
            settings[PROFILE_ZERO] = str(self.stage.opened * MS)
        return Opened(
            providers=("CPUExecutionProvider",), outputs=("y",), settings=settings, threads=command.threads, warnings=(),
            optimized=str(self.folder / "optimized.onnx") if command.profiled else "",
        )  # fmt: skip

    def finish(self, command: Finish) -> Written:
        assert self.profiling
        self.profiling = False
        file = self.folder / "profile.json"
        file.write_text(f'[\n{{"cat" : "Node", "name" :"{self.label} of {self.interpreter}", "ts" :0}}\n]\n')
        return Written(files=(str(file),))

    def run(self, command: Run) -> Steps:
        assert not command.profiled or self.profiling, "a block is profiled whose session is not"
        count = command.iterations + command.lead_in
        walls = (self.stage.wall_ns.get(self.label, 10 * MS),) * count
        seen = self.stage.evidence.get(self.label, []) if command.lead_in else []
        return Steps(
            start_ns=tuple(range(count)), wall_ns=walls, lead_in=command.lead_in, idle_wall_ns=100,
            evidence=seen.pop(0) if seen else BlockEvidence(),
        )  # fmt: skip

    def outputs(self, command: Outputs) -> Written:
        save_inputs(Path(command.file), self.stage.outputs.get(self.label, {"y": np.arange(3.0)}))
        return Written(files=(command.file,))

    def stop(self) -> None:
        if self in self.stage.running:
            self.stage.running.remove(self)


def label(command: Load | Open) -> str:
    """A name for what a worker runs, that tests can tell without looking into folders."""
    if isinstance(command, Load):
        return f"torch {command.torch_mode} {command.threads}"
    binding = " bound" if command.io_binding else ""
    return f"{command.opt_level} {content(Path(command.model))}{binding}"


def write_graph(file: Path, text: str) -> None:
    """A graph whose text is its producer's name."""
    from onnx import helper

    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [])
    file.write_bytes(helper.make_model(graph, producer_name=json.dumps(text)).SerializeToString())


def content(file: Path) -> str:
    """What `write_graph` wrote."""
    import onnx

    return str(json.loads(onnx.load(str(file)).producer_name))
