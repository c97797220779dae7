"""Feeding one session: the inputs matched to what the graph takes, and the call that is timed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attrib.capture.inputs import Arrays
from attrib.errors import AttribError

TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int16)": np.int16,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
_BFLOAT16 = "tensor(bfloat16)"
_ORT_BFLOAT16 = 16
"""ONNX's number for bfloat16, which numpy does not know."""


Signature = list[tuple[str, str, list[Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class Feeds:
    """One step of a session, and its outputs; `preallocated`: every step writes them into the same memory."""

    step: Callable[[], object]
    outputs: Callable[[], list[Any]]
    preallocated: bool = False


def feeds_of(
    session: Any, inputs: Arrays, *, io_binding: bool, any_floats: bool = False
) -> tuple[Feeds, list[str]]:
    """The step of a session on these inputs, and what the user should know about how they were matched.

    Args:
        session: The session.
        inputs: The workload's inputs.
        io_binding: Bind inputs and outputs once, not in every step.
        any_floats: Inputs of another floating-point type than the graph's are converted to it.

    Raises:
        AttribError: The graph takes other inputs.
    """
    signature = [(i.name, i.type, i.shape) for i in session.get_inputs()]
    matched, notes = match_inputs(signature, converted(signature, inputs) if any_floats else inputs)
    values = {i.name: _value(matched[i.name], i.type) for i in session.get_inputs()}
    if io_binding:
        return _bound(session, values), notes
    return Feeds(lambda: session.run(None, values), lambda: list(session.run(None, values))), notes


def _value(array: Any, onnx_type: str) -> Any:
    if onnx_type != _BFLOAT16:
        return array
    import onnxruntime as ort

    # The workload stores bfloat16 as float32; the upper half of a float32 is the bfloat16.
    halves = (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(halves, _ORT_BFLOAT16)


def _bound(session: Any, values: dict[str, Any]) -> Feeds:
    """Inputs bound once, and outputs to memory of the size that a first run shows: every step gets these inputs."""
    binding = session.io_binding()
    for name, value in values.items():
        if isinstance(value, np.ndarray):
            binding.bind_cpu_input(name, np.asarray(value, order="C"))
        else:
            binding.bind_ortvalue_input(name, value)
    names = [output.name for output in session.get_outputs()]
    for name in names:
        binding.bind_output(name)
    session.run_with_iobinding(binding)
    first = binding.get_outputs()
    preallocated = all(value.is_tensor() for value in first)
    if preallocated:
        for name, value in zip(names, first, strict=True):
            binding.bind_ortvalue_output(name, _like(value))

    def outputs() -> list[Any]:
        session.run_with_iobinding(binding)
        return list(binding.copy_outputs_to_cpu())

    return Feeds(lambda: session.run_with_iobinding(binding), outputs, preallocated)


def _like(value: Any) -> Any:
    """Memory on the host for a tensor of the same size and type."""
    import onnxruntime as ort

    return ort.OrtValue.ortvalue_from_shape_and_type(value.shape(), value.element_type())


def converted(signature: Signature, inputs: Arrays) -> Arrays:
    """The inputs with the graph's own floating-point types, matched as `match_inputs` does."""
    types = {name: onnx_type for name, onnx_type, _ in signature}
    if not types.keys() & inputs.keys() and len(types) == len(inputs):
        types = dict(zip(inputs, types.values(), strict=True))
    return {name: _as_float(array, types.get(name, "")) for name, array in inputs.items()}


def _as_float(array: Any, onnx_type: str) -> Any:
    wanted = np.dtype(TYPES.get(onnx_type, np.float32 if onnx_type == _BFLOAT16 else array.dtype))
    both = array.dtype.kind == wanted.kind == "f"
    return array.astype(wanted, copy=False) if both else array


def match_inputs(signature: Signature, inputs: Arrays) -> tuple[Arrays, list[str]]:
    """Which input array goes to which graph input.

    1. Same names: by name. A graph may take fewer (an exporter drops inputs that the model does not use).
    2. Other names, but the same number, types and shapes in the same order: by order, with a warning.

    Raises:
        AttribError: Neither fits.
    """
    by_name = {name: inputs[name] for name, _, _ in signature if name in inputs}
    if len(by_name) == len(signature) and all(_fits(by_name[n], t, s) for n, t, s in signature):
        return by_name, []
    arrays = list(inputs.values())
    if len(by_name) == len(signature) or len(arrays) != len(signature):
        raise _mismatch(signature, inputs)
    if not all(_fits(array, t, s) for array, (_, t, s) in zip(arrays, signature, strict=True)):
        raise _mismatch(signature, inputs)
    pairs = ", ".join(f"{own} -> {name}" for own, (name, _, _) in zip(inputs, signature, strict=True))
    note = f"the ONNX file names its inputs otherwise; they were matched by order: {pairs}"
    return {name: array for (name, _, _), array in zip(signature, arrays, strict=True)}, [note]


def _fits(array: Any, onnx_type: str, shape: list[Any]) -> bool:
    if onnx_type == _BFLOAT16:
        onnx_type = "tensor(float)"
    if TYPES.get(onnx_type) != array.dtype or array.ndim != len(shape):
        return False
    # A dimension that is no number is dynamic.
    return all(
        not isinstance(want, int) or want == have for want, have in zip(shape, array.shape, strict=True)
    )


def _mismatch(signature: Signature, inputs: Arrays) -> AttribError:
    wants = ", ".join(f"{name} {kind[7:-1]}{_shape(shape)}" for name, kind, shape in signature)
    has = ", ".join(f"{name} {_onnx_name(array)}{_shape(array.shape)}" for name, array in inputs.items())
    return AttribError(
        f"the ONNX file's inputs do not match the workload's: the file takes {wants}; the workload gives {has}",
        hint="export the file with the same inputs, or change --batch-size, --seq-len or the factory's inputs",
    )


def _onnx_name(array: Any) -> str:
    names = {np.dtype(numpy_type): onnx_type[7:-1] for onnx_type, numpy_type in TYPES.items()}
    return names.get(array.dtype, str(array.dtype))


def _shape(shape: Any) -> str:
    return "[" + ",".join(str(size) for size in shape) + "]"
