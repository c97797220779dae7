"""PyTorch's two exporters: each writes the graph of a model with its weights beside it, and returns its opset.

`dynamo` (torch.export): every node carries its fx node and its module scopes. `torchscript` (tracing): the exporter that
most published ONNX files came from; it writes names only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from attrib.capture.export.dynamic_shapes import Dims
from attrib.capture.workload.build import Built
from attrib.capture.workload.flat_module import FlatModule

DEFAULT_OPSET = 17
"""Of the tracing exporter: the newest that ONNX Runtime's transformer fusions were written for."""


@dataclass(frozen=True, slots=True)
class OnnxExporter:
    """One exporter.

    Attributes:
        write: Writes the file and returns its opset.
        opsets: The first and the last that it wrote for BERT when it was tried (torch 2.13): what a user is told where
            another one did not work. Which ones a model allows, only an export shows.
    """

    write: Callable[[Built, list[str], int | None, Dims | None, Path], int]
    opsets: tuple[int, int]


def export_dynamo(
    built: Built, output_names: list[str], opset: int | None, dims: Dims | None, file: Path
) -> int:
    """Write the graph through torch.export; returns its opset. Without `dims` every shape is static."""
    args, kwargs = built.call()
    # The symbols are given in the form in which the inputs are passed.
    by_position, by_name = built.arguments.fill(tuple(dims.values())) if dims else ((), {})
    shapes = by_name or by_position
    program = torch.onnx.export(
        built.module,
        args,
        kwargs=kwargs or None,
        input_names=list(built.inputs),
        output_names=output_names,
        opset_version=opset,
        dynamic_shapes=shapes or None,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101  (None is what the TorchScript exporter returns)
    program.save(str(file), external_data=True)
    return int(program.model.opset_imports[""])


def export_torchscript(
    built: Built, output_names: list[str], opset: int | None, dims: Dims | None, file: Path
) -> int:
    """Write the graph of a trace; returns its opset. Without `dims` every shape is static."""
    import onnx_ir

    chosen = opset or DEFAULT_OPSET
    traced = file.with_name("traced.onnx")
    scripted = isinstance(built.module, torch.jit.ScriptModule)  # which needs no trace, and allows none
    torch.onnx.export(
        built.module if scripted else FlatModule(built),
        tuple(built.inputs.values()),
        str(traced),
        input_names=list(built.inputs),
        output_names=output_names,
        opset_version=chosen,
        dynamic_axes=dims,
        dynamo=False,
    )
    model = onnx_ir.load(traced)
    onnx_ir.save(model, file, external_data=f"{file.name}.data")
    del model
    for part in file.parent.glob("traced.onnx*"):
        part.unlink()
    return chosen


EXPORTERS = {
    "dynamo": OnnxExporter(export_dynamo, (17, 25)),
    "torchscript": OnnxExporter(export_torchscript, (14, 23)),
}
"""Exporter name -> how it is called. dynamo writes opset 18 and later; a conversion that fails leaves it at 18."""
