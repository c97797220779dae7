"""What the graph surgeries share: a model with its shapes, moving readers to another value, and running a file once."""

from collections.abc import Callable, Iterable
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.capture.workload.differences import TOLERANCES
from attrib.capture.workload.inputs import Arrays, load_inputs
from attrib.model.execution_providers import CPU_PROVIDER
from attrib.rewrite.files import INLINE, copy_graph, load_graph
from attrib.rewrite.registry import Job, Outcome

# Sizes of values that shape inference does not find: seen in a run, where they cannot be others in another run.
#
# The TorchScript exporter computes the shapes of its Reshape and Expand nodes by nodes, which inference does not follow.
# With static inputs, the sizes of a graph are the same in every run unless what decides them depends on the *contents* of
# an input.


_DECIDED_BY = {
    "ConstantOfShape": (0,), "Expand": (1,), "OneHot": (1,), "Pad": (1, 3), "Range": (0, 1, 2), "Reshape": (1,),
    "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Split": (1,), "Squeeze": (1,), "Tile": (1,), "TopK": (1,),
    "Unsqueeze": (1,), "Upsample": (1,),
}  # fmt: skip
"""Op -> the inputs whose contents decide the sizes of its result."""

_BY_CONTENTS = frozenset({
    "Compress", "If", "Loop", "MaxUnpool", "NonMaxSuppression", "NonZero", "Optional", "OptionalGetElement", "Scan",
    "StringSplit", "Unique",
})  # fmt: skip
"""Ops whose results have sizes that the contents of any input decide, or that hold graphs."""


def add_seen_shapes(model: Any, source: Path, inputs: Path) -> None:
    """Give the values of a model the sizes that they have in a run, where these are the only ones possible.

    Args:
        model: The model, read from `source`.
        source: Its file.
        inputs: The workload's inputs.
    """
    import onnx_ir as ir

    unknown = {
        value.name: value
        for node in model.graph
        for value in node.outputs
        if value.name and (value.shape is None or not value.shape.is_static())
    }
    if not unknown or not sizes_are_fixed(model.graph):
        return
    for name, sizes in _seen(source, inputs, list(unknown)).items():
        unknown[name].shape = ir.Shape(sizes)


def sizes_are_fixed(graph: Any) -> bool:
    """Whether no run can give a value of the graph other sizes: see the module's text."""
    inputs = [value for value in graph.inputs if not value.is_initializer()]
    if not all(value.shape is not None and value.shape.is_static() for value in inputs):
        return False
    by_contents = set(inputs)
    for node in graph:
        if (
            node.domain not in ("", "com.microsoft")
            or node.op_type in _BY_CONTENTS
            or "Sequence" in node.op_type
        ):
            return False
        decided = (node.inputs[i] for i in _DECIDED_BY.get(node.op_type, ()) if i < len(node.inputs))
        if any(value in by_contents for value in decided):
            return False
        if node.op_type not in ("Shape", "Size") and any(value in by_contents for value in node.inputs):
            by_contents.update(node.outputs)
    return True


def _seen(source: Path, inputs: Path, names: list[str]) -> dict[str, list[int]]:
    """The sizes of the named values when the graph runs on the workload's inputs."""
    from onnx import TensorProto, helper

    from attrib.rewrite.surgery.graph import run_file

    model = load_graph(source)
    found = {f"attrib/shape/{i}": name for i, name in enumerate(names)}
    for shape, name in found.items():
        model.graph.node.append(helper.make_node("Shape", [name], [shape]))
        model.graph.output.append(helper.make_tensor_value_info(shape, TensorProto.INT64, None))
    probe = source.with_name(f"{source.stem}-shapes.onnx")
    try:
        probe.write_bytes(model.SerializeToString())
        outputs = run_file(probe, inputs)
    finally:
        probe.unlink(missing_ok=True)
    return {name: outputs[shape].tolist() for shape, name in found.items()}


Array = npt.NDArray[Any]


def operate(job: Job, surgery: Callable[[Any], Outcome]) -> Outcome:
    """Load the graph with its shapes, let `surgery` change it in place, and write it.

    A graph in which nothing was changed is copied as it is, byte for byte.
    """
    import onnx_ir as ir

    model = load_model(job)
    before = _shape(model)
    outcome = surgery(model)
    if _shape(model) == before:
        copy_graph(job.source, job.target)
    else:
        ir.save(model, job.target, external_data=f"{job.target.name}.data", size_threshold_bytes=INLINE)
    return outcome


def load_model(job: Job) -> Any:
    """The graph to begin with, its values with the types and shapes that can be known for every run."""
    import onnx_ir as ir
    from onnx_ir.passes.common import ShapeInferencePass

    model = ir.load(job.source)
    ShapeInferencePass(check_type=False, strict_mode=False)(model)
    add_seen_shapes(model, job.source, job.inputs)
    return model


def _shape(model: Any) -> list[tuple[Any, ...]]:
    """What each node reads and makes, and what the graph returns."""
    nodes: list[tuple[Any, ...]] = [
        (node.op_type, *(value and value.name for value in (*node.inputs, *node.outputs)))
        for node in model.graph.all_nodes()
    ]
    return [*nodes, tuple(value.name for value in model.graph.outputs)]


def static_shape(value: Any) -> tuple[int, ...] | None:
    """The sizes of a value, where all of them are known."""
    if value is None or value.shape is None:
        return None
    return tuple(value.shape) if value.shape.is_static() else None


def constant(value: Any) -> Array | None:
    """What a value holds in every step: an initializer, a Constant, or a copy or transposition of one."""
    import onnx_ir as ir

    if value is None or (value.is_initializer() and value.is_graph_input()):
        return None
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is not None:
        return np.asarray(tensor.numpy())
    maker = value.producer()
    if maker is None or maker.op_type not in ("Identity", "Transpose") or maker.domain:
        return None
    held = constant(maker.inputs[0])
    if held is None or maker.op_type == "Identity":
        return held
    return held.transpose(permutation(maker))


def permutation(node: Any) -> tuple[int, ...] | None:
    """The permutation of a Transpose; without one it reverses the axes."""
    perm = node.attributes.get("perm")
    if perm is not None:
        return tuple(perm.as_ints())
    shape = node.inputs[0].shape
    return None if shape is None else tuple(reversed(range(len(shape))))


def can_redirect(graph: Any, old: Any, new: Any) -> bool:
    """Whether `new` can stand for `old` everywhere; as an output of the graph it must be able to take the name."""
    if not old.is_graph_output():
        return True
    ours = any(old is output for output in graph.outputs)
    maker = new.producer()
    return ours and maker is not None and maker.graph is graph and not new.is_graph_output()


def redirect(graph: Any, old: Any, new: Any) -> bool:
    """Let whatever reads `old` read `new`; an output of the graph keeps its name. False where that cannot be."""
    import onnx_ir as ir

    if not can_redirect(graph, old, new):
        return False
    if old.is_graph_output():
        name = old.name
        old.name = f"{name}/gone"
        new.name = name
        for i, output in enumerate(graph.outputs):
            if output is old:
                graph.outputs[i] = new
    ir.convenience.replace_all_uses_with(old, new)
    return True


def sweep(nodes: Iterable[Any]) -> None:
    """Remove nodes that nothing reads any more, what only they read, and their initializers."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        graph = node.graph
        if graph is None or any(out.uses() or out.is_graph_output() for out in node.outputs):
            continue
        inputs = [value for value in node.inputs if value is not None]
        graph.remove(node, safe=True)
        forget(inputs)
        waiting += [value.producer() for value in inputs if value.producer() is not None]


def forget(values: Iterable[Any]) -> None:
    """Remove initializers that nothing reads any more."""
    for value in values:
        needed = value.uses() or value.is_graph_output() or value.is_graph_input()
        if value.is_initializer() and not needed:
            value.graph.initializers.pop(value.name, None)


def new_constant(graph: Any, name: str, array: Array) -> Any:
    """An initializer under a name of its own."""
    import onnx_ir as ir

    fresh, number = name, 0
    while fresh in graph.initializers:
        number += 1
        fresh = f"{name}/{number}"
    tensor = ir.tensor(np.ascontiguousarray(array), name=fresh)
    value = ir.Value(name=fresh, type=ir.TensorType(tensor.dtype), shape=tensor.shape, const_value=tensor)
    graph.register_initializer(value)
    return value


def new_node(like: Any, op: str, inputs: list[Any], **attributes: Any) -> Any:
    """A node put in before `like`, with its origin; its output has no name or shape yet."""
    import onnx_ir as ir

    node = ir.node(op, inputs, attributes, metadata_props=dict(like.metadata_props))
    node.name = _fresh_name(like, op)
    node.doc_string = like.doc_string
    like.graph.insert_before(like, node)
    return node


def _fresh_name(like: Any, op: str) -> str:
    """`/encoder/MatMul` for `/encoder/Einsum`, else `node_Einsum_3/MatMul`; ONNX Runtime refuses a name that is taken."""
    own = like.name or like.op_type
    folder = own.removesuffix(like.op_type)
    name = f"{folder}{op}" if folder.endswith("/") else f"{own}/{op}"
    taken = {node.name for node in like.graph.all_nodes()}
    numbered = (f"{name}_{number}" for number in count(1))
    return next(fresh for fresh in chain([name], numbered) if fresh not in taken)


def run_file(file: Path, inputs: Path, providers: tuple[str, ...] = (CPU_PROVIDER,)) -> Arrays:
    """Run a graph once on the workload's inputs, unoptimized; its outputs by name."""
    import onnxruntime as ort

    from attrib.capture.ort.feeds import feeds_of

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(file), options, providers=list(providers))
    feeds, _ = feeds_of(session, load_inputs(inputs), io_binding=False, any_floats=True)
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, map(np.asarray, feeds.outputs()), strict=True))


def largest_difference(own: Arrays, other: Arrays) -> float:
    """The largest difference of any output, relative to the largest value of that output; NaN where only one has one."""
    return max((_difference(own[name], other[name]) for name in own if name in other), default=0.0)


def tolerance_of(file: Path) -> float:
    """How far two ways to compute the same graph may be apart, by the roughest type of a weight."""
    import onnx_ir as ir

    types = {value.dtype.name for value in ir.load(file).graph.initializers.values() if value.dtype}
    return TOLERANCES["bf16" if "BFLOAT16" in types else "fp16" if "FLOAT16" in types else "fp32"]


def _difference(own: Array, other: Array) -> float:
    a, b = own.astype(np.float64), other.astype(np.float64)
    both = np.isfinite(a) & np.isfinite(b)
    if a.shape != b.shape or not np.array_equal(a[~both], b[~both], equal_nan=True):
        return float("nan")
    scale = float(np.max(np.abs(a[both]), initial=0.0))
    apart = float(np.max(np.abs(a[both] - b[both]), initial=0.0))
    return apart / scale if scale else apart


def counted(count: int, noun: str) -> str:
    """`1 guard`, `3 guards`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
