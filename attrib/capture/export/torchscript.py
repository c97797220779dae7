"""Tracing export (`dynamo=False`): the exporter that most published ONNX files came from; it writes names only."""

from pathlib import Path
from typing import Any

import torch

from attrib.capture.export.dynamic_shapes import Dims
from attrib.capture.workload.build import Built, named_outputs

DEFAULT_OPSET = 17
"""The newest that ONNX Runtime's transformer fusions were written for."""


class Flat(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Takes positional tensors and returns a flat tuple, which is all that tracing can handle.

    The attribute's name becomes the first part of every node name, so it is removed again from the file.
    """

    ATTRIBUTE = "model"

    def __init__(self, built: Built) -> None:
        super().__init__()
        self.model = built.module
        self._names = None if built.positional else list(built.inputs)
        self.eval()  # the exporter puts the module back into the mode of its root

    def forward(self, *tensors: Any) -> Any:
        """One inference call on the inputs in order."""
        names = self._names
        call = self.model(*tensors) if names is None else self.model(**dict(zip(names, tensors, strict=True)))
        return tuple(named_outputs(call).values())


def export_torchscript(
    built: Built, output_names: list[str], opset: int | None, dims: Dims | None, file: Path
) -> int:
    """Write the graph with its weights beside it; returns its opset. Without `dims` every shape is static."""
    import onnx_ir

    chosen = opset or DEFAULT_OPSET
    traced = file.with_name("traced.onnx")
    torch.onnx.export(
        Flat(built),
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
