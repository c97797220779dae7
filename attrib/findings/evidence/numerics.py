"""The numbers that the engines compute with: element types, denormal weights, and how far the outputs differ."""

import math
from typing import NamedTuple

from attrib.analysis.attribution.roofline.cost import SIZES
from attrib.findings.protocol import Evidence
from attrib.model.manifest import CHANGED_OUTPUTS, CHANGED_STATE, OutputDifference
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


class Mismatch(NamedTuple):
    """Why outputs differ, and what to do."""

    why: str
    fix: str


_UNKNOWN = Mismatch(
    "The engines may not do the same work, so that the difference in time may come from that.",
    "Find the reason before you read the times: check precision, TF32, the attention implementation and the"
    " export, one after the other, until the outputs agree.",
)
_STATE = Mismatch(
    "A step changes the model itself ({}), so that no two steps of PyTorch compute the same; the exported graph keeps the"
    " state that it was exported with.",
    "Make that state an input and an output of the model, so that both engines get the same in each step.",
)
_RANDOM = Mismatch(
    "Two steps of PyTorch on the same inputs give different outputs ({}): the model draws random numbers, or keeps something"
    " from one step to the next.",
    "Draw them outside, or keep it outside, and make it an input of the model; then both engines get the same.",
)
_FAST_PATH = Mismatch(
    "PyTorch takes its fast path for encoders: it leaves padded tokens out by nested tensors and gives zeros for them; the"
    " exported graph computes them. The engines do different work.",
    "Switch the fast path off, `torch.backends.mha.set_fastpath_enabled(False)`, or build the encoder with"
    " `enable_nested_tensor=False`; or compare without padding.",
)
_FROM_MASK = "_nested_tensor_from_mask"
"""What `nn.TransformerEncoder` calls to leave out the tokens that a mask hides (torch/nn/modules/transformer.py)."""


def why_outputs_differ(evidence: Evidence) -> Mismatch:
    """Why the outputs differ, as far as the capture saw it, and what to do."""
    torch = evidence.side("torch")
    settings = torch.settings if torch is not None else {}
    if names := settings.get(CHANGED_STATE):
        return _STATE._replace(why=_STATE.why.format(names))
    if names := settings.get(CHANGED_OUTPUTS):
        return _RANDOM._replace(why=_RANDOM.why.format(names))
    calls = evidence.work.get("torch", {}).values()
    return (
        _FAST_PATH if any(_FROM_MASK in op for call in calls for op in (call.op, *call.inner)) else _UNKNOWN
    )
