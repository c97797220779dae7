"""Tracing export (`dynamo=False`): the exporter that most published ONNX files came from; it writes names only."""

from pathlib import Path

import torch

from attrib.capture.export.dynamic_shapes import Dims
from attrib.capture.workload.build import Built
from attrib.capture.workload.flat_module import FlatModule

DEFAULT_OPSET = 17
"""The newest that ONNX Runtime's transformer fusions were written for."""


def export_torchscript(
    built: Built, output_names: list[str], opset: int | None, dims: Dims | None, file: Path
) -> int:
    """Write the graph with its weights beside it; returns its opset. Without `dims` every shape is static."""
    import onnx_ir

    chosen = opset or DEFAULT_OPSET
    traced = file.with_name("traced.onnx")
    torch.onnx.export(
        FlatModule(built),
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
