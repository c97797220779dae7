"""The numbers that the engines compute with: element types, denormal weights, and how far the outputs differ."""

import math

from attrib.analysis.attribution.roofline.cost import SIZES
from attrib.findings.protocol import Evidence
from attrib.model.manifest import OutputDifference
from attrib.model.tensor import Tensor

FLOAT, DOUBLE = "float", "double"
"""Element types as ONNX Runtime's profile and the graphs spell them."""

INSERTED_CASTS = ("InsertedPrecisionFreeCast_", "InsertedCast_")
"""Names that ONNX Runtime gives to the casts of its own (core/optimizer/insert_cast_transformer.cc)."""

DENORMAL_LIMIT = 0.001
"""Share of the weights: with fewer, hardly any product of a row and a column meets one."""

SETTING = "denormal_weights"
"""Where the PyTorch side notes how many weights are denormal."""


def bytes_of(tensor: Tensor | None) -> int:
    """Bytes of a tensor, one an element where its type has no known size; 0 where its shape is unknown."""
    return max(tensor.elements, 0) * SIZES.get(tensor.dtype, 1) if tensor is not None else 0


def denormal_share(evidence: Evidence) -> float | None:
    """Denormal weights over all weights; None where they were not counted."""
    manifest = evidence.manifest
    if manifest is None or not manifest.workload.parameters:
        return None
    counts = [side.settings.get(SETTING, "") for side in manifest.sides.values()]
    known = [int(count) for count in counts if count.isdecimal()]
    return max(known) / manifest.workload.parameters if known else None


def describe_difference(output: OutputDifference) -> str:
    """One output and how far the engines differ in it."""
    if output.reason:
        return f"{output.name}: {output.reason}"
    cosine = "" if math.isnan(output.cosine) else f", cosine {output.cosine:.6f}"
    return (
        f"{output.name}: largest difference {output.max_abs:.2g} ({output.max_rel:.2g} of the largest value, "
        f"tolerance {output.tolerance:.2g}){cosine}"
    )
