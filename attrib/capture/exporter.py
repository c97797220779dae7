"""The exporter's worker: builds the same model from the same recipe and writes it as ONNX, weights beside the graph."""

import time
from collections.abc import Callable
from pathlib import Path

import torch

from attrib.capture.build import Built, build
from attrib.capture.export_dynamo import export_dynamo
from attrib.capture.export_torchscript import export_torchscript
from attrib.capture.failures import reason
from attrib.capture.messages import Export, Exported, Reply
from attrib.capture.silence import silence_libraries
from attrib.capture.weights import fingerprint
from attrib.errors import AttribError

EXPORTERS: dict[str, Callable[[Built, list[str], int | None, Path], int]] = {
    "dynamo": export_dynamo,
    "torchscript": export_torchscript,
}
"""Exporter name -> function that writes the file and returns its opset."""


class Engine:
    """Serves the one command of the exporter's worker."""

    def __init__(self) -> None:
        silence_libraries()
        self.version = str(torch.__version__)
        self.handlers: dict[type, Callable[..., Reply]] = {Export: self.export}

    def export(self, command: Export) -> Exported:
        """Build, export and save."""
        built = build(command.recipe)
        names = list(built.first_outputs())
        file = Path(command.folder) / "exported.onnx"
        begin = time.perf_counter()
        try:
            opset = EXPORTERS[command.exporter](built, names, command.opset, file)
        except Exception as error:
            other = next(name for name in EXPORTERS if name != command.exporter)
            raise AttribError(
                f"the {command.exporter} exporter cannot export this model: {reason(error)}",
                hint=f"--exporter {other}, or --onnx FILE with a graph of your own",
            ) from error
        return Exported(
            model=str(file),
            opset=opset,
            weight_bytes=sum(p.numel() * p.element_size() for p in built.module.parameters()),
            fingerprint=fingerprint(built.module),
            seconds=time.perf_counter() - begin,
        )
