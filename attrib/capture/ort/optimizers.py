"""Which graph optimizers this ONNX Runtime knows: it ignores other names without a word. Imported in a worker only."""

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import onnxruntime as ort

from attrib.capture.system.probe import MODEL
from attrib.errors import UsageError
from attrib.model.execution_providers import CPU_PROVIDER

_RAN = re.compile(rb"GraphTransformer (\w+) modified")
"""What ONNX Runtime logs of every transformer, `graph_transformer.cc`."""

_INFO = 1
_LEVEL = re.compile(r"(L\d)?")

RULES = frozenset({
    "CastChainElimination", "CastElimination", "ClipQuantRewrite", "ConvAddFusion", "ConvBNFusion", "ConvMulFusion",
    "DivMulFusion", "EliminateDropout", "EliminateIdentity", "EliminateSlice", "ExpandElimination", "FuseReluClip",
    "GemmSumFusion", "GemmTransposeFusion", "LabelEncoderFusion", "MatMul_BatchNormalization_Fusion",
    "NoopElimination", "NotWhereFusion", "Pad_Fusion", "PreShapeNodeElimination", "ReluQuantRewrite",
    "UnsqueezeElimination",
})  # fmt: skip
"""Rewrite rules of ONNX Runtime 1.20 to 1.31 (`graph_transformer_utils.cc`), which run inside a transformer and are not
logged by name."""


def find_optimizers(names: Iterable[str]) -> list[str]:
    """The optimizers of these names; a family without its level (`GeluFusion`) stands for all its levels.

    Raises:
        UsageError: This ONNX Runtime knows no such optimizer.
    """
    wanted = list(names)
    if not wanted:
        return []
    # ONNX Runtime itself says which it knows: it logs them while it opens a graph of one node.
    options = ort.SessionOptions()
    options.log_severity_level = _INFO
    with tempfile.TemporaryDirectory() as folder, _stderr_of(Path(folder) / "log") as read:
        ort.InferenceSession(MODEL, options, providers=[CPU_PROVIDER])
        log = read()
    known = frozenset(name.decode() for name in _RAN.findall(log)) | RULES
    found = []
    for name in wanted:
        family = [one for one in known if one.startswith(name) and _LEVEL.fullmatch(one[len(name) :])]
        if not family:
            near = get_close_matches(name, known, n=1)
            unchecked = (
                f"--session-option optimization.disable_specified_optimizers={name} is passed on unchecked"
            )
            raise UsageError(
                f"ONNX Runtime {ort.__version__} has no optimizer {name!r}",
                hint=f"did you mean {near[0]}?" if near else unchecked,
            )
        found += sorted(family)
    return found


@contextmanager
def _stderr_of(file: Path) -> Iterator[Callable[[], Any]]:
    """While this lasts, what native code writes to stderr goes into a file; yields how to read it."""
    own = os.dup(2)
    try:
        with file.open("wb") as target:
            os.dup2(target.fileno(), 2)
        yield file.read_bytes
    finally:
        os.dup2(own, 2)
        os.close(own)
