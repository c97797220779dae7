"""The exporter's worker: builds the same model from the same recipe and writes it as ONNX, weights beside the graph."""

import errno
import time
from collections.abc import Callable
from pathlib import Path

import torch

from attrib.capture.build import Built, build
from attrib.capture.export_dynamo import export_dynamo
from attrib.capture.export_torchscript import export_torchscript
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
            if is_full_disk(error):
                raise AttribError(
                    "the temporary folder is too small for the exported model",
                    hint="TMPDIR=/a/larger/disk attrib profile ...",
                ) from error
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


def reason(error: BaseException) -> str:
    """The exporter's own reason on one line.

    A dynamo error is pages long and chained: the innermost cause is what went wrong, and its first line says so.
    """
    innermost = _innermost(error)
    lines = [line.strip() for line in str(innermost).splitlines() if line.strip()]
    first = lines[0] if lines else ""
    return f"{type(innermost).__name__}: {first[:300]}" if first else type(innermost).__name__


def is_full_disk(error: BaseException) -> bool:
    """Whether there was no space left for a file."""
    innermost = _innermost(error)
    return isinstance(innermost, OSError) and innermost.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _innermost(error: BaseException) -> BaseException:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error
