"""torch.export-based export (`dynamo=True`): every node carries its fx node and its module scopes."""

from pathlib import Path

from attrib.capture.build import Built


def export_dynamo(built: Built, output_names: list[str], opset: int | None, file: Path) -> int:
    """Write the graph with static shapes, weights beside it; returns its opset."""
    import torch

    arguments = tuple(built.inputs.values()) if built.positional else ()
    program = torch.onnx.export(
        built.module,
        arguments,
        kwargs=None if built.positional else built.inputs,
        input_names=list(built.inputs),
        output_names=output_names,
        opset_version=opset,
        dynamo=True,
        verbose=False,
    )
    assert program is not None  # noqa: S101  (None is what the TorchScript exporter returns)
    program.save(str(file), external_data=True)
    return int(program.model.opset_imports[""])
