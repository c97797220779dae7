"""What ONNX Runtime's profiling costs per node, measured on a chain of nodes that do next to nothing."""

import ctypes
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from attrib.model.execution_providers import CPU_PROVIDER
from attrib.model.manifest import Overhead

_REPEATS = 3
_EVENTS = 12_000
"""Nodes that a repeat records: many short runs, or few long ones."""
_FEWEST_RUNS = 6
_WARMUP_SHARE = 4
"""One run in so many is not counted."""
_QUANTILE = 0.1
"""Other programs only ever add time: the quiet runs, and the quietest repeat, tell the cost."""
_INPUT = np.ones((1,), np.float32)


def measure_overhead(chain: Path, nodes: int, threads: int) -> Overhead:
    """Measure the cost of one profiled node: inside its own interval, between nodes, and outside the executor.

    Args:
        chain: The graph that `attrib.capture.session.phase_write` wrote; its folder takes the profile.
        nodes: Its length. Of a long chain a record costs more than of a short one, because the caches hold neither.
        threads: As in the capture: the profile's thread statistics are part of the cost.

    Plain and profiled sessions of one chain give the total exactly. Its part inside the nodes' intervals is what they
    last under the profiler beyond what a trivial node takes without it: half of the plain time per node, the other
    half being the executor's. Either half is far smaller than the profiler's cost.

    Between the nodes of a model the profiler costs more than here: its records are longer and find the caches full. So
    the plain time of a trivial node is returned too, as the most that the executor itself can need for one.

    The profile of a model grows for as long as it is captured, so that its records always go into fresh memory. To
    meet the same here, freed memory is given back first, and no profile is ended before all are made.
    """
    _give_back_memory()
    runs = max(_FEWEST_RUNS, _EVENTS // nodes)
    timed = []
    for _ in range(_REPEATS):
        plain_ns = _wall_ns(_session(chain, threads, None), runs) / nodes
        session = _session(chain, threads, chain.with_name("calibration"))
        timed.append((plain_ns, _wall_ns(session, runs) / nodes, session))
    found = [_overhead_of(*each, nodes=nodes) for each in timed]
    return min(found, key=lambda overhead: overhead.inside_ns + overhead.outside_ns)


def _overhead_of(plain_ns: float, profiled_ns: float, session: Any, *, nodes: int) -> Overhead:
    """What a profile says of the cost; plain and profiled time are those of a node."""
    profile = Path(session.end_profiling())
    events = json.loads(profile.read_text())
    profile.unlink()
    # The profile cuts durations to whole microseconds; on average half a microsecond is lost, which belongs to the
    # profiler's bias inside a node and is therefore left as it is.
    durations = [event["dur"] * 1000 for event in events if event.get("cat") == "Node"]
    runs, inner = (
        np.array([event["dur"] * 1000 for event in events if event.get("name") == name])
        for name in ("model_run", "SequentialExecutor::Execute")
    )
    first = len(durations) // nodes // _WARMUP_SHARE
    node_ns = _quiet(np.reshape(durations, (-1, nodes))[first:].mean(axis=1).tolist())
    around_ns = _quiet((runs - inner)[first:].tolist()) / nodes
    total = max(0.0, profiled_ns - plain_ns)
    inside = min(max(0.0, node_ns - plain_ns / 2), total)
    return Overhead(
        inside_ns=inside,
        outside_ns=total - inside,
        between_ns=plain_ns,
        # Setting up a run takes little without the profiler: no more than a tenth of what the run takes in all.
        session_ns=max(0.0, around_ns - plain_ns / 10),
        samples=len(durations),
    )


def _session(chain: Path, threads: int, profile: Path | None) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The chain must stay as it is: no pass may run.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return ort.InferenceSession(str(chain), options, providers=[CPU_PROVIDER])


def _wall_ns(session: Any, runs: int) -> float:
    feeds = {session.get_inputs()[0].name: _INPUT}
    walls = []
    for _ in range(runs):
        begin = time.perf_counter_ns()
        session.run(None, feeds)
        walls.append(time.perf_counter_ns() - begin)
    return _quiet(walls[runs // _WARMUP_SHARE :])


def _quiet(runs: Sequence[float]) -> float:
    return float(np.quantile(runs, _QUANTILE))


def _give_back_memory() -> None:
    """Give freed memory back to the system, where the C library can (glibc)."""
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is not None and hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
