"""One side of a bench: a configuration that is loaded in a worker of its own and ready to be timed."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from attrib.capture.bench.graphs import BenchGraphs, MadeGraph
from attrib.capture.config.variables import variables_of
from attrib.capture.session.commands import (
    load_command,
    open_command,
    providers_of,
    recipe_of,
    weights_precision,
)
from attrib.capture.session.worker_pool import Workers
from attrib.capture.system.environment import thread_count
from attrib.capture.workers.messages import Load, Loaded, Open, Opened, Outputs, Recipe, Written
from attrib.capture.workers.process import Worker
from attrib.capture.workload.inputs import Arrays, inputs_hash, load_inputs
from attrib.capture.workload.sources import Source
from attrib.compress.registry import compressed_precision
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions
from attrib.model.manifest import TOLERANCES, Role
from attrib.rewrite.registry import lowest_precision

_LOADER = "loader"


class BenchInputs:
    """The inputs that every side gets; a PyTorch worker makes them when they are first needed."""

    def __init__(self, workers: Workers, original: CaptureOptions, source: Source) -> None:
        self._workers = workers
        self._original = original
        self._source = source
        self._made: Path | None = None

    @property
    def file(self) -> Path:
        """The `.npz`.

        Raises:
            WorkerError: The model cannot be built.
        """
        if self._made is not None:
            return self._made
        threads = thread_count(self._original.threads)
        command = load_command(self._original, self._source, threads, str(self._workers.folder(_LOADER)))
        command = msgspec.structs.replace(command, torch_mode="eager", autocast=None)
        worker = self._workers.start(_LOADER, "torch")
        try:
            worker.ready()
            return self._keep(worker.ask(command, Loaded))
        finally:
            self._workers.stop(_LOADER)

    @property
    def sha256(self) -> str:
        """Hash of the inputs, as a manifest has it."""
        return inputs_hash(load_inputs(self.file))

    def _keep(self, loaded: Loaded) -> Path:
        self._made = self._workers.temporary / "inputs.npz"
        shutil.copyfile(loaded.inputs_file, self._made)
        return self._made

    def accept(self, loaded: Loaded, recipe: Recipe) -> None:
        """Take the inputs that a PyTorch worker made where there are none yet; check that they are the same otherwise.

        Raises:
            AttribError: They are not.
        """
        if self._made is None and recipe == recipe_of(self._original, self._source):
            self._keep(loaded)
        elif not _same(load_inputs(self.file), load_inputs(Path(loaded.inputs_file))):
            raise AttribError(
                "the model got other inputs than the original",
                hint="seed what the factory draws from, so that each call gives the same inputs",
            )


def _same(first: Arrays, second: Arrays) -> bool:
    """Whether two sets of inputs are equal, but for the rounding of another precision."""
    if first.keys() != second.keys():
        return False
    for name, a in first.items():
        b = second[name]
        if a.shape != b.shape:
            return False
        if a.dtype == b.dtype and a.dtype.kind != "f":
            equal = np.array_equal(a, b)
        else:
            wide = a.astype(np.float64), b.astype(np.float64)
            equal = np.allclose(*wide, rtol=TOLERANCES["bf16"], atol=0.0, equal_nan=True)
        if not equal:
            return False
    return True


_OTHER_WEIGHTS = (
    "the model gets other weights each time it is built: seed the factory, or load them from a file"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a side is to run; two plans that are equal run the same.

    Attributes:
        command: What its worker is told, but for the folder.
        precision: The roughest precision that takes part.
        env: Environment variables of its worker.
        ort_python: The interpreter that runs ONNX Runtime; None for attrib's own.
        made: The graph; None for PyTorch.
    """

    command: Load | Open
    precision: str
    env: tuple[str, ...] = ()
    ort_python: Path | None = None
    made: MadeGraph | None = field(default=None, compare=False)

    @property
    def engine(self) -> Role:
        """Which engine runs it."""
        return "torch" if isinstance(self.command, Load) else "onnxruntime"

    def same(self, other: "Plan") -> bool:
        """Whether the other one runs the same: the same command, and graphs of the same bytes."""
        if self.made is None or other.made is None or not isinstance(other.command, Open):
            return self == other
        mine = msgspec.structs.replace(self.command, model=other.command.model)
        beside = (self.env, self.ort_python) == (other.env, other.ort_python)
        return beside and mine == other.command and self.made.same(other.made)


@dataclass(slots=True, eq=False, kw_only=True)
class ReadySide:
    """A side that is ready.

    Attributes:
        name: Its worker's name.
        plan: What it runs.
        worker: Its process.
        folder: Where it writes.
        settings: What bears on its speed, as in a manifest, and `threads`.
        notes: What the user should know about it.
        optimized: The graph that ONNX Runtime made and saved; None where it saved none.
    """

    name: str
    plan: Plan
    worker: Worker
    folder: Path
    settings: dict[str, str]
    notes: tuple[str, ...] = ()
    optimized: Path | None = None
    _outputs: Arrays | None = None

    def outputs(self) -> Arrays:
        """What it computes; run once."""
        if self._outputs is None:
            file = self.folder / "outputs.npz"
            self.worker.ask(Outputs(file=str(file)), Written)
            self._outputs = load_inputs(file)
        return self._outputs


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A side whose worker was started: `Opener.finish` waits until it is ready."""

    side: ReadySide
    options: CaptureOptions


class Opener:
    """Turns options into sides that are ready to be timed."""

    def __init__(self, workers: Workers, original: CaptureOptions, source: Source) -> None:
        self._workers = workers
        self._source = source
        self.inputs = BenchInputs(workers, original, source)
        self._graphs = BenchGraphs(workers, source)
        self._weights: dict[tuple[object, ...], str] = {}

    def plan(self, options: CaptureOptions, engine: Role) -> Plan:
        """What these options mean for an engine; its graph is made here.

        Raises:
            AttribError: There is no such graph.
        """
        threads = thread_count(options.threads)
        if engine == "torch":
            precision = compressed_precision(options.precision, options.compress)
            command = load_command(options, self._source, threads, "")
            return Plan(command=command, precision=precision, env=options.env)
        made = self._graphs.make(options, self.inputs.file)
        opening = open_command(options, made.file, self.inputs.file, threads, "")
        opening = msgspec.structs.replace(opening, profiled=False, any_floats=True)
        began = compressed_precision(weights_precision(options), options.compress)
        lowest = lowest_precision(began, options.optimize)
        return Plan(
            command=opening, precision=lowest, env=options.env, ort_python=options.ort_python, made=made
        )

    def open(self, name: str, plan: Plan, options: CaptureOptions) -> ReadySide:
        """Start a worker and load what is planned.

        Raises:
            WorkerError: It cannot be loaded.
        """
        opening = self.start(name, plan, options)
        self.load(opening)
        return self.finish(opening)

    def start(self, name: str, plan: Plan, options: CaptureOptions) -> Opening:
        """Start a worker. Two that are started, told to load, and only then waited for, share the wait."""
        folder = self._workers.folder(name)
        worker = self._workers.start(name, plan.engine, variables_of(plan.env), ort_python=plan.ort_python)
        side = ReadySide(name=name, plan=plan, worker=worker, folder=folder, settings={})
        return Opening(side=side, options=options)

    def load(self, opening: Opening) -> None:
        """Tell a worker that was started to load what is planned.

        Raises:
            WorkerError: Its engine cannot be imported.
        """
        side = opening.side
        side.worker.ready()
        side.worker.send(msgspec.structs.replace(side.plan.command, folder=str(side.folder)))

    def finish(self, opening: Opening) -> ReadySide:
        """Wait until a worker has loaded.

        Raises:
            WorkerError: It cannot be loaded.
        """
        side, command = opening.side, opening.side.plan.command
        if isinstance(command, Load):
            loaded = side.worker.receive(Loaded)
            self.inputs.accept(loaded, command.recipe)
            side.settings = _settings(loaded.settings, side.plan.precision, loaded.threads)
            side.notes = self._check_weights(
                loaded.fingerprint, command.recipe.precision, command.recipe.compress
            )
        else:
            self._note_session(side, side.worker.receive(Opened), opening.options)
        return side

    def _note_session(self, side: ReadySide, opened: Opened, options: CaptureOptions) -> None:
        made = side.plan.made
        assert made is not None  # noqa: S101  (a plan for ONNX Runtime has a graph)
        settings = opened.settings | made.chain.side_facts(options)["settings"]
        settings["providers"] = ",".join(opened.providers)
        side.optimized = Path(opened.optimized) if opened.optimized else None
        side.settings = _settings(settings, side.plan.precision, opened.threads)
        absent = [name for name in providers_of(options) if name not in opened.providers]
        missing = (f"{', '.join(absent)} could not be loaded: see `attrib doctor`",) if absent else ()
        weights = self._check_weights(made.fingerprint, weights_precision(options), options.compress)
        side.notes = (*made.notes, *opened.warnings, *missing, *weights)

    def _check_weights(self, fingerprint: str, *form: object) -> tuple[str, ...]:
        """A note where a model of the same precision and compression had other weights before."""
        if not fingerprint:
            return ()
        return () if self._weights.setdefault(form, fingerprint) == fingerprint else (_OTHER_WEIGHTS,)


def _settings(settings: Mapping[str, str], precision: str, threads: int) -> dict[str, str]:
    return {**settings, "precision": precision, "threads": str(threads)}
