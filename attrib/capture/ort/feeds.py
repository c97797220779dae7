"""Feeding one session: the inputs matched to what the graph takes, and the call that is timed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from attrib.capture.workload.inputs import Arrays
from attrib.errors import AttribError
from attrib.model.execution_providers import uses_cuda

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


_NO_GRAPH = ("gpu_graph_id", "-1")
"""Configuration entry of a run that neither captures a CUDA graph nor replays one."""

Signature = list[tuple[str, str, list[Any]]]


class MemoryPlace(NamedTuple):
    """Memory as ONNX Runtime names it."""

    device: str = "cpu"
    number: int = 0


HOST = MemoryPlace()


@dataclass(frozen=True, slots=True, eq=False)
class Feeds:
    """One step of a session, and its outputs.

    Attributes:
        step: Returns when the outputs are there, on whatever device.
        outputs: The outputs of another step, on the host.
        preallocated: Every step writes them into the same memory.
        bound: Where inputs and outputs are bound; None where they are not.
    """

    step: Callable[[], object]
    outputs: Callable[[], list[Any]]
    preallocated: bool = False
    bound: MemoryPlace | None = None


def feeds_of(
    session: Any, inputs: Arrays, *, io_binding: bool, any_floats: bool = False, replays: bool | None = None
) -> tuple[Feeds, list[str]]:
    """The step of a session on these inputs, and what the user should know about how they were matched.

    Args:
        session: The session.
        inputs: The workload's inputs.
        io_binding: Bind inputs and outputs once, not in every step; on the device where the session has one.
        any_floats: Inputs of another floating-point type than the graph's are converted to it.
        replays: Of a session that can capture a CUDA graph: whether its steps replay one; None for other sessions.

    Raises:
        AttribError: The graph takes other inputs.
    """
    signature = [(i.name, i.type, i.shape) for i in session.get_inputs()]
    matched, notes = match_inputs(signature, convert_floats(signature, inputs) if any_floats else inputs)
    values = {
        name: bfloat16_value(matched[name]) if onnx_type == _BFLOAT16 else matched[name]
        for name, onnx_type, _ in signature
    }
    if replays is not None and not io_binding:
        raise AttribError(
            "a CUDA graph replays on the memory that it was captured with, and nothing is bound",
            hint="--cuda-graph binds inputs and outputs, or add --io-binding",
        )
    if not io_binding:
        return Feeds(lambda: session.run(None, values), lambda: list(session.run(None, values))), notes
    place = place_of(session)
    on_host = [name for name, value in values.items() if not isinstance(value, np.ndarray)]
    if place != HOST and on_host:
        why = "bfloat16 inputs cannot be bound on the device, so every step copies them"
        notes = [*notes, f"{why}: {', '.join(on_host)}"]
    return _bind(session, values, place, replays), notes


def place_of(session: Any) -> MemoryPlace:
    """Where the session's first provider keeps its tensors, as far as ONNX Runtime's Python can allocate there."""
    first = session.get_providers()[0]
    if not uses_cuda([first]):
        return HOST
    options = session.get_provider_options().get(first, {})
    return MemoryPlace("cuda", int(options.get("device_id", 0)))


def bfloat16_value(array: Any) -> Any:
    """An `OrtValue` of bfloat16 on the host, from floating-point numbers; the upper half of a float32 is the bfloat16."""
    import onnxruntime as ort

    halves = (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return ort.OrtValue.ortvalue_from_numpy_with_onnx_type(halves, _ORT_BFLOAT16)


def _bind(session: Any, values: dict[str, Any], place: MemoryPlace, replays: bool | None) -> Feeds:
    """Bind inputs once, and outputs to memory of the size that a first run shows: every step gets these inputs."""
    import onnxruntime as ort

    binding, names = session.io_binding(), [output.name for output in session.get_outputs()]
    _bind_inputs(binding, values, place)
    for name in names:
        binding.bind_output(name, *place)
    # A session that could replay a CUDA graph launches every kernel in a run with these options.
    eager: tuple[Any, ...] = ()
    if replays is not None:
        eager = (ort.RunOptions(),)
        eager[0].add_run_config_entry(*_NO_GRAPH)
    session.run_with_iobinding(binding, *eager)
    first = binding.get_outputs()
    preallocated = all(value.is_tensor() for value in first)
    if preallocated:
        for name, value in zip(names, first, strict=True):
            memory = ort.OrtValue.ortvalue_from_shape_and_type(value.shape(), value.element_type(), *place)
            binding.bind_ortvalue_output(name, memory)
    elif replays:
        raise AttribError("a CUDA graph needs outputs that are tensors", hint="leave out --cuda-graph")
    options = () if replays else eager

    def host_step() -> None:
        session.run_with_iobinding(binding, *options)

    def device_step() -> None:
        session.run_with_iobinding(binding, *options)
        # A run waits for its streams by default; an option of the session or of the provider may forbid that.
        binding.synchronize_outputs()

    step = host_step if place == HOST else device_step

    def outputs() -> list[Any]:
        step()
        return list(binding.copy_outputs_to_cpu())

    return Feeds(step, outputs, preallocated, place)


def _bind_inputs(binding: Any, values: dict[str, Any], place: MemoryPlace) -> None:
    import onnxruntime as ort

    for name, value in values.items():
        if not isinstance(value, np.ndarray):
            binding.bind_ortvalue_input(name, value)
        elif place == HOST:
            binding.bind_cpu_input(name, np.asarray(value, order="C"))
        else:
            on_device = ort.OrtValue.ortvalue_from_numpy(np.asarray(value, order="C"), *place)
            binding.bind_ortvalue_input(name, on_device)
    if place != HOST:
        binding.synchronize_inputs()


def convert_floats(signature: Signature, inputs: Arrays) -> Arrays:
    """The inputs with the graph's own floating-point types, matched as `match_inputs` does."""
    types = {name: onnx_type for name, onnx_type, _ in signature}
    if not types.keys() & inputs.keys() and len(types) == len(inputs):
        types = dict(zip(inputs, types.values(), strict=True))
    found = {}
    for name, array in inputs.items():
        onnx_type = types.get(name, "")
        wanted = np.dtype(TYPES.get(onnx_type, np.float32 if onnx_type == _BFLOAT16 else array.dtype))
        floats = array.dtype.kind == wanted.kind == "f"
        found[name] = array.astype(wanted, copy=False) if floats else array
    return found


def match_inputs(signature: Signature, inputs: Arrays) -> tuple[Arrays, list[str]]:
    """Assign each input array to an input of the graph.

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
    names = {np.dtype(numpy_type): onnx_type[7:-1] for onnx_type, numpy_type in TYPES.items()}
    has = ", ".join(
        f"{name} {names.get(array.dtype, array.dtype)}{_shape(array.shape)}" for name, array in inputs.items()
    )
    return AttribError(
        f"the ONNX file's inputs do not match the workload's: the file takes {wants}; the workload gives {has}",
        hint="export the file with the same inputs, or change --batch-size, --seq-len or the factory's inputs",
    )


def _shape(shape: Any) -> str:
    return "[" + ",".join(str(size) for size in shape) + "]"
