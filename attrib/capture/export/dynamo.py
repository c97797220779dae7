"""torch.export-based export (`dynamo=True`): every node carries its fx node and its module scopes."""

from pathlib import Path

from attrib.capture.export.dynamic_shapes import Dims
from attrib.capture.workload.build import Built


def export_dynamo(
    built: Built, output_names: list[str], opset: int | None, dims: Dims | None, file: Path
) -> int:
    """Write the graph with its weights beside it; returns its opset. Without `dims` every shape is static."""
    import torch

    arguments = tuple(built.inputs.values()) if built.positional else ()
    program = torch.onnx.export(
        built.module,
        arguments,
        kwargs=None if built.positional else built.inputs,
        input_names=list(built.inputs),
        output_names=output_names,
        opset_version=opset,
        dynamic_shapes=_as_given(built, dims) if dims else None,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101  (None is what the TorchScript exporter returns)
    program.save(str(file), external_data=True)
    return int(program.model.opset_imports[""])


def _as_given(built: Built, dims: Dims) -> Dims | tuple[dict[int, str], ...]:
    """The symbols in the form in which the inputs are passed."""
    return tuple(dims.values()) if built.positional else dims
