"""ONNX Runtime inside its worker: a plain and, where wanted, a profiled session of the same file."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from attrib.capture.config.provider_options import option_pairs
from attrib.capture.ort.device_trace import (
    Recorder,
    cuda_settings,
    load_libraries,
    recorder_of,
    replays_graph,
)
from attrib.capture.ort.feeds import HOST, Feeds, feeds_of
from attrib.capture.ort.graph_values import GraphValues
from attrib.capture.ort.overhead import measure_overhead
from attrib.capture.ort.peaks import peaks_of
from attrib.capture.ort.placement import compiles, partitioned_level, placement_of, write_placement
from attrib.capture.ort.session import (
    LOG_SEVERITY,
    MODES,
    beyond_cpu,
    own_threads,
    save_partitioned,
    session_of,
    with_graph_where_possible,
)
from attrib.capture.system.probe import package_name
from attrib.capture.workers.messages import (
    Calibrate,
    Calibrated,
    CompareValues,
    Finish,
    IndexStep,
    MeasurePeaks,
    Open,
    Opened,
    Outputs,
    PeaksMeasured,
    Reply,
    Run,
    Steps,
    Written,
)
from attrib.capture.workers.silence import silence_libraries
from attrib.capture.workers.steps import freeze_heap, quiet_collector, steps_of, time_steps
from attrib.capture.workload.inputs import load_inputs, save_inputs
from attrib.errors import AttribError
from attrib.model.execution_providers import provider_row
from attrib.model.manifest import PROFILE_ZERO
from attrib.model.placement import PLACEMENT_FILE


class CacheWatch:
    """The providers' caches of compiled engines, read before a session is created and again by `state`."""

    def __init__(self, options: Mapping[str, Mapping[str, str]], providers: tuple[str, ...]) -> None:
        caching = [row for row in map(provider_row, providers) if row.cache_option]
        self._known = bool(caching)
        named = [row.cache_folder(options.get(row.name, {})) for row in caching]
        self._folders = [Path(folder) for folder in named if folder]
        self._before = self._files()

    def _files(self) -> set[Path]:
        return {file for folder in self._folders if folder.is_dir() for file in folder.rglob("*")}

    def state(self) -> str:
        """What the session found: `off`, `cold` (it was empty), `warm` (nothing was added) or `partly warm`.

        Called after the session exists. Empty where it is not known whether the providers keep one.
        """
        if not self._folders:
            return "off" if self._known else ""
        added = self._files() - self._before
        if not added:
            return "warm" if self._before else "cold"
        return "partly warm" if self._before else "cold"


class OrtEngine:
    """Serves the commands of the ONNX Runtime worker."""

    def __init__(self) -> None:
        silence_libraries()
        ort.set_default_logger_severity(LOG_SEVERITY)
        self.version = str(ort.__version__)
        self.package = package_name()
        self._values = GraphValues()
        self.handlers: dict[type, Callable[..., Reply]] = {
            Open: self.open,
            Run: self.run,
            Outputs: self.outputs,
            Calibrate: self.calibrate,
            MeasurePeaks: self.measure_peaks,
            IndexStep: self._values.index,
            CompareValues: self._values.compare,
            Finish: self.finish,
        }
        self._threads = 0
        self._plain: tuple[Any, Feeds] | None = None
        self._profiled: tuple[Any, Feeds] | None = None
        self._recorder: Recorder | None = None

    def open(self, command: Open) -> Opened:
        """Create the sessions with the same options; only one of them records a profile."""
        folder = Path(command.folder)
        cache = CacheWatch(command.provider_options, command.providers)
        libraries = load_libraries(
            command.providers, folder if command.profiled else None, first_step=command.first_step
        )
        before = _running_threads()
        plain = _create(lambda: session_of(command))
        feeds, notes = _feeds_of(plain.session, command)
        started, self._plain = _running_threads() - before, (plain.session, feeds)
        state, ran, graph = cache.state(), plain, ""
        if command.profiled:
            ran, graph = _create_profiled(command, plain.session, folder / "optimized.onnx")
            feeds, notes = _feeds_of(ran.session, command, profiled=True)
            self._profiled = ran.session, feeds
            self._recorder, unseen = recorder_of(ran.session, libraries)
            notes += unseen
        freeze_heap()
        self._threads = _intra_op_threads(ran.session, started)
        settings = _settings(ran.session, command, feeds)
        if beyond_cpu(command):
            settings["session_creation_ms"] = f"{plain.seconds * 1e3:.0f}"
            if ran is not plain:
                settings["profiled_session_creation_ms"] = f"{ran.seconds * 1e3:.0f}"
            # What the first session found in the cache, and what attrib told providers with threads of their own.
            told = ", ".join(option_pairs(own_threads(command)))
            known = {"compiled_engine_cache": state, "provider_threads": told}
            settings |= {name: value for name, value in known.items() if value}
        return Opened(
            providers=tuple(ran.session.get_providers()),
            outputs=tuple(output.name for output in ran.session.get_outputs()),
            optimized=graph,
            settings=settings,
            threads=self._threads,
            warnings=tuple(notes),
            **(_write_placement(command, ran.session, folder, saved=bool(graph)) if command.profiled else {}),
        )

    def run(self, command: Run) -> Steps:
        """Run one block on either session, its lead-in first."""
        chosen = self._profiled if command.profiled else self._plain
        if chosen is None:
            raise AttribError("the session is not open")
        step = chosen[1].step
        recorder = self._recorder if command.profiled else None
        with quiet_collector():
            lead = time_steps(step, command.lead_in)
            if recorder:
                timed, trace = recorder.record(step, command.iterations)
            else:
                timed, trace = time_steps(step, command.iterations), ""
        return steps_of(lead, timed, trace)

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
        """Measure what ONNX Runtime's profiling costs per node here."""
        with quiet_collector():
            return Calibrated(overhead=measure_overhead(Path(command.chain), command.nodes, self._threads))

    def measure_peaks(self, command: MeasurePeaks) -> PeaksMeasured:
        """Measure what the machine can do with the session's threads and providers."""
        if self._plain is None:
            raise AttribError("the session is not open")
        with quiet_collector():
            found = peaks_of(self._plain[0], self._threads, Path(command.folder), command.dtypes)
        return PeaksMeasured(peaks=found)

    def finish(self, _command: Finish) -> Written:
        """End profiling, which writes the profile."""
        if self._profiled is None:
            return Written(files=())
        session = self._profiled[0]
        return Written(files=(str(session.end_profiling()),))


@dataclass(frozen=True, slots=True)
class _Session:
    """A session, and how long its creation took."""

    session: Any
    seconds: float


def _create(create: Callable[[], Any]) -> _Session:
    begin = time.perf_counter()
    return _Session(create(), time.perf_counter() - begin)


def _create_profiled(command: Open, plain: Any, graph: Path) -> tuple[_Session, str]:
    """Create the session that records a profile; and its graph's file, empty where a provider compiled parts of it."""
    compiled = beyond_cpu(command) and compiles(placement_of(plain)[0])
    taken: list[_Session] = []

    def opening(file: Path | None) -> Any:
        taken.append(_create(lambda: session_of(command, profile=graph.with_name("profile"), graph=file)))
        return taken[-1].session

    _, saved = with_graph_where_possible(opening, graph, compiled=compiled)
    return taken[-1], str(graph) if saved else ""


def _feeds_of(session: Any, command: Open, *, profiled: bool = False) -> tuple[Feeds, list[str]]:
    """The session's steps. A replayed CUDA graph has no nodes, so the profiled session launches every kernel."""
    return feeds_of(
        session,
        load_inputs(Path(command.inputs)),
        io_binding=command.io_binding,
        any_floats=command.any_floats,
        replays=not profiled if replays_graph(session, command.provider_options) else None,
    )


def _write_placement(command: Open, session: Any, folder: Path, *, saved: bool) -> dict[str, str]:
    """Write the placement and, where there is no optimized graph, the one that was partitioned; their files, or why not.

    With the CPU provider alone there is nothing to tell: every node is its.
    """
    if not beyond_cpu(command):
        return {}
    placement, reason = placement_of(session)
    if placement is None:
        return {"no_placement": reason}
    file, partitioned = folder / PLACEMENT_FILE, folder / "partitioned.onnx"
    write_placement(placement, file)
    if saved:
        return {"placement": str(file)}
    try:
        save_partitioned(command, partitioned_level(command.opt_level), partitioned)
    except AttribError as error:
        return {"placement": str(file), "no_partitioned": str(error)}
    return {"placement": str(file), "partitioned": str(partitioned)}


def _running_threads() -> int:
    """Threads of this process; 0 where the system does not tell."""
    tasks = Path("/proc/self/task")
    return sum(1 for _ in tasks.iterdir()) if tasks.is_dir() else 0


def _intra_op_threads(session: Any, started: int) -> int:
    """Intra-op threads of a session whose creation started so many threads.

    A pool of n has n - 1 threads beside the caller's. Where 0 was asked for, ONNX Runtime chose, and does not say how many.
    """
    options = session.get_session_options()
    if options.intra_op_num_threads:
        return int(options.intra_op_num_threads)
    if options.execution_mode == ort.ExecutionMode.ORT_SEQUENTIAL:
        return started + 1
    inter = int(options.inter_op_num_threads)
    return (started - (inter - 1) if inter else started // 2) + 1


def _settings(session: Any, command: Open, feeds: Feeds) -> dict[str, str]:
    """The session's settings for the manifest, as they hold."""
    options = session.get_session_options()
    mode = next(name for name, value in MODES.items() if value == options.execution_mode)
    zero = {PROFILE_ZERO: str(session.get_profiling_start_time_ns())} if command.profiled else {}
    place = {} if feeds.bound in (None, HOST) else {"bound_on": feeds.bound.device}
    found = {
        "inter_op_threads": str(options.inter_op_num_threads),
        "execution_mode": mode,
        "io_binding": str(command.io_binding).lower(),
        "preallocated_outputs": str(feeds.preallocated).lower(),
    }
    return zero | found | place | cuda_settings(session)
