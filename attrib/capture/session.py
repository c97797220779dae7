"""One capture from start to end: the workers, the phases, and what is kept whatever happens."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrib.capture.artefacts import (
    DEVICE_TRACE,
    write_graph,
    write_outputs,
    write_placement,
    write_profiles,
)
from attrib.capture.chain import CHAIN_NODES, write_chain
from attrib.capture.clocks import check_clocks
from attrib.capture.commands import (
    load_command,
    open_command,
    providers_of,
)
from attrib.capture.differences import compare_outputs, note_on_outputs
from attrib.capture.environment import describe_environment, thread_count
from attrib.capture.graph_chain import GraphChain
from attrib.capture.graphs import GraphMaker
from attrib.capture.handover import Handover, save_handover
from attrib.capture.inputs import inputs_hash, load_inputs
from attrib.capture.interpreter import without_paths
from attrib.capture.interrupts import Interrupts
from attrib.capture.latencies import Latencies
from attrib.capture.machine import MachineWatch, with_limits
from attrib.capture.measure import Runner, plan_protocol, run_rounds, warm_up
from attrib.capture.messages import (
    Calibrate,
    Calibrated,
    Finish,
    Loaded,
    Opened,
    Outputs,
    Written,
)
from attrib.capture.options import CaptureOptions
from attrib.capture.peaks_graphs import measure_peaks
from attrib.capture.process import WorkerError
from attrib.capture.progress import Progress
from attrib.capture.provider_options import CPU_PROVIDER
from attrib.capture.record import Ending, Record, workload_of
from attrib.capture.rewrites import lowest_precision
from attrib.capture.saved_models import SavedModels
from attrib.capture.sides import Sides
from attrib.capture.sources import Source
from attrib.capture.user_graph import check_user_graph
from attrib.capture.workers import Workers
from attrib.capture.writer import TraceDirectory
from attrib.errors import AttribError
from attrib.model.manifest import EXPORTED, OPTIMIZED, PROFILE_ZERO, ROLES, Role

LOADER = "loader"
_LAST_WORDS_S = 5.0


class Session:
    """One capture. `run` does it, `keep_what_is_complete` saves what an interruption left, `close` cleans up."""

    def __init__(
        self,
        options: CaptureOptions,
        source: Source,
        output: Path,
        interrupts: Interrupts,
        progress: Progress,
    ) -> None:
        self.options = options
        self.source = source
        self.progress = progress
        self.interrupts = interrupts
        self.threads = thread_count(options.threads)
        self._user_opset = check_user_graph(options.onnx) if options.onnx else 0
        folder = Path(options.save_models) if options.save_models else None
        self.saved_models = SavedModels(folder, output, force=options.force) if folder else None
        self.record = Record(command=without_paths(options.command))
        self.machine = MachineWatch()
        self.directory = TraceDirectory(output, force=options.force)
        self.workers = Workers(source, interrupts, ort_python=options.ort_python)
        self.graphs = GraphMaker(self.workers, source)
        self.runners: dict[Role, Runner] = {}
        self.latencies = Latencies()
        self.handover: Handover | None = None
        self.sides = Sides(options, self.threads, self.record)
        self._ending = Ending()
        self._traces_written: set[Role] = set()

    # Phases

    def run(self) -> None:
        """Run every phase; the manifest is brought up to date after each."""
        self.record.environment = with_limits(describe_environment())
        if self.source.note:
            self._warn(self.source.note)
        with self._phase("load"):
            if self.handover is not None:
                file = self.workers.temporary / "module.pt"
                save_handover(self.handover, file)
                self.source = dataclasses.replace(self.source, location=str(file))
                self.graphs = GraphMaker(self.workers, self.source)
            self._load(self._start_workers())
        with self._phase("export"):
            chain = self._graphs()
        with self._phase("sessions"):
            self._open_sessions(chain)
        with self._phase("warm-up"):
            self._warm_up()
        with self._phase("measure"):
            self._measure()
        with self._phase("outputs"):
            self._compare_outputs()
        with self._phase("calibrate"):
            self._calibrate()
        with self._phase("write"):
            self._write_traces()
            self._complete_sides()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        self.progress.phase(name)
        try:
            with self.record.phase(name) as ending:
                self._ending = ending
                yield
        finally:
            with self.interrupts.deferred():
                self._write_manifest()

    def _write_manifest(self) -> None:
        manifest = self.record.manifest()
        if manifest is not None and self.directory.complete_files:
            self.directory.write_manifest(manifest)

    def _warn(self, message: str) -> None:
        self.record.warn(message)
        self.progress.warn(message)

    def _start_workers(self) -> list[str]:
        """Start the engines; the names of those that build the model in PyTorch."""
        wanted: dict[str, str] = {str(role): engine for role, engine in self.sides.engines.items()}
        if "torch" not in wanted.values():
            wanted[LOADER] = "torch"
        for name, engine in wanted.items():
            self.workers.start(name, engine)
        return [name for name, engine in wanted.items() if engine == "torch"]

    def _load(self, loaders: list[str]) -> None:
        """Build the model where PyTorch runs; the exporter builds its own at the same time."""
        for name in loaders:
            folder = str(self.workers.folder(name))
            self.workers[name].send(load_command(self.options, self.source, self.threads, folder))
        if self.sides.running("onnxruntime"):
            self.graphs.begin(self.options)
        for name in loaders:
            version = self.workers[name].ready()
            loaded = self.workers[name].receive(Loaded)
            self._note_loaded(name, loaded, version)
        self.workers.stop(LOADER)

    def _note_loaded(self, name: str, loaded: Loaded, version: str) -> None:
        if self.record.workload is None:
            self.inputs_file = Path(loaded.inputs_file)
            self.fingerprint = loaded.fingerprint
            sha256 = inputs_hash(load_inputs(self.inputs_file))
            self.record.workload = workload_of(self.options, self.source, loaded, sha256)
            self.directory.write("inputs.npz", self.inputs_file.read_bytes())
        for role in ROLES:
            if role == name:
                settings = {"precision": self.options.precision} | loaded.settings
                self._start_side(role, version=version, settings=settings, threads=loaded.threads)

    def _start_side(self, role: Role, **facts: Any) -> None:
        """A side is ready to be measured."""
        self.sides.begin(role, **facts)
        self.runners[role] = Runner(role, self.workers[role])

    def _graphs(self) -> GraphChain | None:
        """The graph to run and those before it, which are kept as they come; None where there is none."""
        if not self.sides.running("onnxruntime"):
            return None
        try:
            chain, fingerprint = self.graphs.first(self.options, self._user_opset)
            self._check_weights(fingerprint)
            self._keep_graph(EXPORTED, chain.files[0])
            return self._rewritten(chain) if self.options.optimize else chain
        except WorkerError as error:
            for role in self.sides.running("onnxruntime"):
                self._fail_side(role, error)
            return None
        finally:
            self.graphs.end()

    def _check_weights(self, fingerprint: str) -> None:
        if fingerprint and fingerprint != self.fingerprint:
            self._warn(
                "the factory makes other weights each time it is called, so the two engines run different weights:"
                " seed it, or load the weights from a file"
            )

    def _rewritten(self, chain: GraphChain) -> GraphChain:
        optimized = self.graphs.rewritten(self.options, chain, self.inputs_file)
        for note in optimized.notes:
            self._warn(note)
        for file, rewrite in zip(optimized.models, optimized.rewrites, strict=True):
            self._keep_graph(rewrite.graph, Path(file))
        return chain.rewritten(optimized)

    def _keep_graph(self, path: str, file: Path, origin: Path | None = None) -> None:
        """A graph without its weights for the trace directory, and with them where the user wants that.

        The weights lie beside the graph, or in `origin`.
        """
        if path in self.directory.files:
            return  # the other side of an A/A capture ran the same one
        write_graph(self.directory, path, file)
        if self.saved_models is not None:
            self.saved_models.save(file, Path(path).name, origin or file.parent)

    def _fail_side(self, role: Role, error: AttribError) -> None:
        self._ending.fail(error)
        self.sides.fail(role, error)
        self.runners.pop(role, None)
        self.workers.stop(role)

    def _open_sessions(self, chain: GraphChain | None) -> None:
        if chain is None:
            return
        model = chain.files[-1]
        roles = self.sides.running("onnxruntime")
        for role in roles:
            self.workers[role].send(
                open_command(
                    self.options, model, self.inputs_file, self.threads, str(self.workers.folder(role))
                )
            )
        for role in roles:
            try:
                version = self.workers[role].ready()
                opened = self.workers[role].receive(Opened)
            except WorkerError as error:
                self._fail_side(role, error)
                continue
            self._note_opened(role, opened, version, chain)
            self._keep_what_ran(role, opened, model.parent)

    def _keep_what_ran(self, role: Role, opened: Opened, origin: Path) -> None:
        """The graph that ran, and who took which of its nodes."""
        if opened.optimized:
            self._keep_graph(OPTIMIZED, Path(opened.optimized), origin)
        else:
            compiled = ", ".join(name for name in opened.providers if name != CPU_PROVIDER)
            self.directory.missing(
                OPTIMIZED,
                f"{compiled} compiled parts of the graph, and ONNX Runtime cannot save such a graph",
            )
        write_placement(self.directory, self.sides.folder(role), opened)

    def _note_opened(self, role: Role, opened: Opened, version: str, chain: GraphChain) -> None:
        for message in opened.warnings:
            self._warn(message)
        if absent := [name for name in providers_of(self.options) if name not in opened.providers]:
            self._warn(
                f"{', '.join(absent)} could not be loaded, so ONNX Runtime ran on {', '.join(opened.providers)}:"
                " see `attrib doctor`"
            )
        facts = chain.side(self.options)
        facts["settings"] = opened.settings | facts["settings"]
        facts |= self._who_ran(role)
        self._start_side(role, version=version, providers=opened.providers, threads=opened.threads, **facts)

    def _who_ran(self, role: Role) -> dict[str, str]:
        """Which package of ONNX Runtime ran, and under which Python where it is not attrib's own."""
        ready = self.workers[role].facts
        if ready is None:
            return {}
        if self.options.ort_python is None:
            return {"package": ready.package}
        self.record.ran_elsewhere(ready.package or "onnxruntime", ready.version)
        return {"package": ready.package, "interpreter": ready.python}

    def _warm_up(self) -> None:
        for number, runner in enumerate(list(self.runners.values())):
            try:
                warm_up(runner, self.latencies, self.options.warmup)
            except WorkerError as error:
                self._fail_side(runner.role, error)
                continue
            self.sides.measured(runner)
            self.progress.update((number + 1) / len(self.runners))
            if not runner.warmed_up and self.options.warmup is None:
                self._warn(
                    f"{self.sides.title(runner.role)} was still changing after {runner.warmup} warm-up steps:"
                    " close other programs, or give more with --warmup"
                )
        self._check_some_side()

    def _check_some_side(self) -> None:
        if not self.runners:
            errors = [f"{self.sides.title(role)}: {error}" for role, error in self.sides.failures.items()]
            raise AttribError("neither engine could be measured: " + "; ".join(errors))

    def _measure(self) -> None:
        options = self.options
        runners = list(self.runners.values())
        self.record.protocol = plan_protocol(
            [runner.step_ns for runner in runners],
            rounds=options.rounds,
            iterations=options.iterations,
            seed=options.seed,
        )
        run_rounds(runners, self.record.protocol, self.latencies, self.progress.update)
        for runner in runners:
            self.sides.measured(runner)
            if runner.error is not None:
                self._fail_side(runner.role, runner.error)
        self._check_some_side()
        self._write_latencies()

    def _write_latencies(self) -> None:
        with self.directory.create("latency.parquet") as stream:
            self.latencies.write(stream)

    def _compare_outputs(self) -> None:
        if len(self.runners) < len(ROLES):
            self.directory.missing("outputs.json", "only one engine ran")
            return
        files = {role: self.workers.folder(role) / "outputs.npz" for role in ROLES}
        for role in ROLES:
            self.workers[role].ask(Outputs(file=str(files[role])), Written)
        values = [load_inputs(files[role]) for role in ROLES]
        precision = lowest_precision(self.options.precision, self.options.optimize)
        rows = compare_outputs(values[0], values[1], precision)
        write_outputs(self.directory, rows)
        if note := note_on_outputs(rows, self.options):
            self._warn(note)

    def _calibrate(self) -> None:
        for number, runner in enumerate(self.runners.values()):
            chain = self.workers.folder(runner.role) / "chain.onnx"
            write_chain(chain)
            try:
                reply = runner.worker.ask(Calibrate(chain=str(chain), nodes=CHAIN_NODES), Calibrated)
            except WorkerError as error:
                self._warn(
                    f"the profiler's cost could not be calibrated for {self.sides.title(runner.role)}: {error}"
                )
                continue
            self.sides.calibrated(runner.role, reply.overhead)
            self._measure_peaks(runner)
            self.progress.update((number + 1) / len(self.runners))

    def _measure_peaks(self, runner: Runner) -> None:
        """What the machine can do at most, so that the report can say how far either engine is from that."""
        options, folder = self.options, self.workers.folder(runner.role)
        used = {options.precision, lowest_precision(options.precision, options.optimize)}
        try:
            self.sides.reached(runner.role, measure_peaks(runner.worker, folder, options.device, used))
        except WorkerError as error:
            self._warn(
                f"what this machine can do was not measured with {self.sides.title(runner.role)}: {error}"
            )

    def _write_traces(self) -> None:
        for runner in self.runners.values():
            written = runner.worker.ask(Finish(), Written)
            self._write_trace(runner, written.files)
            self._check_clocks(runner.role)

    def _write_trace(self, runner: Runner, files: tuple[str, ...]) -> None:
        engine = self.sides.engines[runner.role]
        write_profiles(self.directory, self.sides.folder(runner.role), runner.traces, files, engine)
        self._traces_written.add(runner.role)

    def _check_clocks(self, role: Role) -> None:
        """Whether the two traces of ONNX Runtime on a device can be read together."""
        folder = self.sides.folder(role)
        profile, device = f"{folder}/profile.json.gz", f"{folder}/{DEVICE_TRACE}"
        if not {profile, device} <= set(self.directory.complete_files):
            return
        zero, root = int(self.record.sides[role].settings[PROFILE_ZERO]), self.directory.root
        try:
            found = check_clocks(root / profile, root / device, zero)
        except AttribError as error:
            self._warn(f"ONNX Runtime's clock and the device's were not compared: {error}")
            return
        self.sides.settled(role, found.settings)
        for warning in found.warnings:
            self._warn(warning)

    def _complete_sides(self) -> None:
        self.record.environment = self.machine.end(self.record.environment)
        for role in self.runners:
            self.sides.complete(role)

    # Endings

    def keep_what_is_complete(self) -> None:
        """After an interruption or a failure: write what the finished blocks gave, as far as that goes quickly."""
        if self.latencies.rows and "latency.parquet" not in self.directory.files:
            self._quietly(self._write_latencies)
        for runner in self.runners.values():
            if runner.profiled_blocks and runner.role not in self._traces_written:
                written = runner.worker.last_words(Finish(), Written, _LAST_WORDS_S)
                files = written.files if written else ()
                self._quietly(functools.partial(self._write_trace, runner, files))
        self._quietly(self._write_manifest)
        self.directory.discard_if_empty()

    @staticmethod
    def _quietly(write: Callable[[], None]) -> None:
        """The first error is the one to report; what follows from it is not."""
        with contextlib.suppress(AttribError, OSError):
            write()

    def close(self) -> None:
        """Stop the workers and remove the temporary folder; can be called twice."""
        self.workers.close()
