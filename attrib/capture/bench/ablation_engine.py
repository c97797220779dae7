"""The worker of an ablation: writes the graph that ran with and without the chosen nodes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from attrib.capture.bench.ablation import return_through_identity, split, take_out
from attrib.capture.ort.run_once import run_once
from attrib.capture.workers.messages import Ablate, Ablated, Reply
from attrib.capture.workers.silence import silence_libraries
from attrib.capture.workload.inputs import Arrays
from attrib.errors import AttribError
from attrib.rewrite.files import copy_graph, load_graph


class AblationEngine:
    """Serves the one command of the worker."""

    def __init__(self) -> None:
        silence_libraries()
        self.version = str(onnx.__version__)
        self.handlers: dict[type, Callable[..., Reply]] = {Ablate: self.ablate}

    def ablate(self, command: Ablate) -> Ablated:
        """Write both graphs."""
        folder = Path(command.folder)
        baseline, variant = folder / "baseline.onnx", folder / "variant.onnx"
        copy_graph(Path(command.model), baseline, Path(command.origin))
        model = load_graph(baseline)
        produced = return_through_identity(model.graph, set(command.produced))
        baseline.write_bytes(model.SerializeToString())
        chosen, read = split(model.graph, produced)
        if not chosen:
            raise AttribError("the graph that runs now has none of these nodes")
        values = _recorded(model, read, command, folder)
        removed = take_out(model.graph, produced, values)
        variant.write_bytes(model.SerializeToString())
        return Ablated(
            baseline=str(baseline),
            variant=str(variant),
            removed=removed,
            fed=tuple(values),
            bytes=sum(array.nbytes for array in values.values()),
        )


def _recorded(model: Any, names: list[str], command: Ablate, folder: Path) -> Arrays:
    """What the named values hold in a run on the workload's inputs."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    returned = {output.name for output in probe.graph.output}
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in returned)
    file = folder / "probe.onnx"
    file.write_bytes(probe.SerializeToString())
    found = run_once(file, Path(command.inputs), command.providers)
    file.unlink()
    odd = next((name for name in names if found[name].dtype == np.object_), None)
    if odd is not None:
        raise AttribError(f"{odd!r} is no tensor of numbers, so it cannot be recorded")
    return {name: found[name] for name in names}
