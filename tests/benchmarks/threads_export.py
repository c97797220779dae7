"""The exports of the threads' benchmark, by PyTorch alone: nothing of attrib is in what is timed by hand."""

import contextlib
import io
from pathlib import Path
from typing import Any

import torch
from mapping_models import Made


def exported(made: Made, folder: Path, exporter: str, *, opset: int | None = None, **options: Any) -> Path:
    """Export a model with its example inputs; the file lies in `folder` and holds its weights."""
    module, inputs = made
    names = isinstance(inputs, dict)
    file = folder / f"{exporter}-{opset or 0}.onnx"
    if options.get("training") == "preserve":
        options["training"] = torch.onnx.TrainingMode.PRESERVE
    if exporter == "torchscript":
        options |= {"dynamo": False, "opset_version": opset or 18}
    else:
        options |= {"dynamo": True, "opset_version": opset, "external_data": False, "verbose": False}
    args = () if names else tuple(inputs)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(module.eval(), args, file, kwargs=inputs if names else None, **options)
    return file
