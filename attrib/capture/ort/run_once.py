"""Running a graph once on the workload's inputs, without optimization: what it computes, not how fast."""

from pathlib import Path
from typing import Any

import numpy as np

from attrib.capture.ort.feeds import feeds_of, match_inputs
from attrib.capture.workload.inputs import Arrays, load_inputs
from attrib.model.execution_providers import CPU_PROVIDER

CPU = (CPU_PROVIDER,)


def run_once(file: Path, inputs: Path, providers: tuple[str, ...] = CPU) -> Arrays:
    """Run a graph once; its outputs by name.

    Args:
        file: The graph, with its weights beside it.
        inputs: The workload's inputs, an `.npz`.
        providers: Execution providers in the order of their priority.

    Raises:
        AttribError: The graph takes other inputs.
    """
    session = _session(file, providers)
    feeds, _ = feeds_of(session, load_inputs(inputs), io_binding=False, any_floats=True)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, feeds.outputs()), strict=True))


def read_feeds(file: Path, inputs: Path) -> Arrays:
    """Read the workload's inputs under the names that a graph gives them, in the order of its inputs.

    Raises:
        AttribError: The graph takes other inputs.
    """
    signature = [(i.name, i.type, i.shape) for i in _session(file, CPU).get_inputs()]
    matched, _ = match_inputs(signature, load_inputs(inputs))
    return {name: matched[name] for name, _, _ in signature}


def _session(file: Path, providers: tuple[str, ...]) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return ort.InferenceSession(str(file), options, providers=list(providers))
