"""Helpers for the surgeries: loading a model with its shapes, redirecting values, removing nodes, comparing outputs."""

import functools
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.errors import AttribError
from attrib.model.manifest import TOLERANCES
from attrib.rewrite.files import INLINE, copy_graph, load_graph
from attrib.rewrite.registry import Arrays, Job, Outcome

Array = npt.NDArray[Any]

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


def add_seen_shapes(model: Any, job: Job) -> None:
    """Give the values of a model the sizes that they have in a run, where every run must give the same.

    The TorchScript exporter computes the shapes of its Reshape and Expand nodes by nodes, which shape inference does not
    follow.

    Args:
        model: The model, read from the job's source.
        job: The rewrite, which can run the source.
    """
    import onnx_ir as ir
    from onnx import TensorProto, helper

    unknown = {
        value.name: value
        for node in model.graph
        for value in node.outputs
        if value.name and (value.shape is None or not value.shape.is_static())
    }
    if not unknown or not sizes_are_fixed(model.graph):
        return
    probe = load_graph(job.source)
    asked = {f"attrib/shape/{i}": value for i, value in enumerate(unknown.values())}
    for name, value in asked.items():
        probe.graph.node.append(helper.make_node("Shape", [value.name], [name]))
        probe.graph.output.append(helper.make_tensor_value_info(name, TensorProto.INT64, None))
    outputs = run_probe(job, lambda file: file.write_bytes(probe.SerializeToString()))
    for name, value in asked.items():
        value.shape = ir.Shape(outputs[name].tolist())


def run_probe(job: Job, write: Callable[[Path], object]) -> Arrays:
    """Run another form of the job's source once on the workload's inputs; its outputs by name.

    Args:
        job: The rewrite.
        write: Writes the graph; it lies beside the source for a moment, whose weights it may read.
    """
    probe = job.source.with_name(f"{job.target.stem}-probe.onnx")
    try:
        write(probe)
        return job.run(probe)
    finally:
        probe.unlink(missing_ok=True)
        probe.with_name(f"{probe.name}.data").unlink(missing_ok=True)


def sizes_are_fixed(graph: Any) -> bool:
    """Whether no run can give a value of the graph other sizes.

    With inputs of static shapes that is so unless the *contents* of an input decide the size of some value.
    """
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


def operate(job: Job, change: Callable[[Any], Outcome]) -> Outcome:
    """Load the graph with its shapes, let `change` work on it in place, and write it.

    A graph in which nothing was changed is copied as it is, byte for byte.
    """
    import onnx_ir as ir

    model = load_model(job)
    before = _structure(model)
    outcome = change(model)
    if _structure(model) == before:
        copy_graph(job.source, job.target)
    else:
        ir.save(model, job.target, external_data=f"{job.target.name}.data", size_threshold_bytes=INLINE)
    return outcome


def surgery(change: Callable[[Any, Job], Outcome]) -> Callable[[Job], Outcome]:
    """Make a rewrite of a function that changes a loaded model in place; see `operate`."""

    @functools.wraps(change)
    def rewrite(job: Job) -> Outcome:
        return operate(job, lambda model: change(model, job))

    return rewrite


def load_model(job: Job) -> Any:
    """Load the graph of a job, its values with the types and shapes that are the same in every run."""
    import onnx_ir as ir
    from onnx_ir.passes.common import ShapeInferencePass

    model = ir.load(job.source)
    ShapeInferencePass(check_type=False, strict_mode=False)(model)
    add_seen_shapes(model, job)
    return model


def _structure(model: Any) -> list[tuple[Any, ...]]:
    """What each node reads and makes, and what the graph takes and returns: equal for two models of the same nodes."""
    nodes: list[tuple[Any, ...]] = [
        (node.op_type, *(value and value.name for value in (*node.inputs, *node.outputs)))
        for node in model.graph.all_nodes()
    ]
    ends = (model.graph.inputs, model.graph.outputs)
    return [*nodes, *(tuple(value.name for value in its) for its in ends)]


def type_name(value: Any) -> str:
    """The element type of a value, e.g. `FLOAT16`; empty where it is not known."""
    return value.dtype.name if value is not None and value.dtype is not None else ""


def holds_graph(node: Any) -> bool:
    """Whether a node has a graph inside, as If and Loop do."""
    import onnx_ir as ir

    kinds = (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS)
    return any(attribute.type in kinds for attribute in node.attributes.values())


def is_read_once(value: Any) -> bool:
    """Whether one node alone reads a value, and nobody outside the graph."""
    return len(value.uses()) == 1 and not value.is_graph_output()


def static_shape(value: Any) -> tuple[int, ...] | None:
    """The sizes of a value, where all of them are known."""
    if value is None or value.shape is None:
        return None
    return tuple(value.shape) if value.shape.is_static() else None


def constant(value: Any) -> Array | None:
    """The array that a value holds in every step: an initializer, a Constant, or a copy or transposition of one."""
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
    """Let all readers of `old` read `new`; an output of the graph keeps its name. False where that is not possible."""
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
    """Add an initializer to a graph, under a name that is free."""
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
    """Insert a node before `like`, with its origin; its output has no name or shape yet."""
    import onnx_ir as ir

    node = ir.node(op, inputs, attributes, metadata_props=dict(like.metadata_props))
    # `/encoder/MatMul` for `/encoder/Einsum`, else `node_Einsum_3/MatMul`; ONNX Runtime refuses a name that is taken.
    own = like.name or like.op_type
    folder = own.removesuffix(like.op_type)
    name = f"{folder}{op}" if folder.endswith("/") else f"{own}/{op}"
    taken = {other.name for other in like.graph.all_nodes()}
    numbered = (f"{name}_{number}" for number in count(1))
    node.name = next(fresh for fresh in chain([name], numbered) if fresh not in taken)
    node.doc_string = like.doc_string
    like.graph.insert_before(like, node)
    return node


def largest_difference(own: Arrays, other: Arrays) -> float:
    """The largest difference of any output, relative to the largest value of that output; NaN where shapes differ.

    It is NaN, too, where only one of the two outputs has a NaN or an infinity.
    """
    found = [0.0]
    for name in own.keys() & other.keys():
        a, b = own[name].astype(np.float64), other[name].astype(np.float64)
        both = np.isfinite(a) & np.isfinite(b)
        if a.shape != b.shape or not np.array_equal(a[~both], b[~both], equal_nan=True):
            return float("nan")
        scale = float(np.max(np.abs(a[both]), initial=0.0))
        apart = float(np.max(np.abs(a[both] - b[both]), initial=0.0))
        found.append(apart / scale if scale else apart)
    return max(found)


def check_outputs(job: Job, doing: str) -> float:
    """Compare what a rewrite's two graphs give on the workload's inputs; the largest relative difference of an output.

    Args:
        job: The rewrite, whose target is written.
        doing: What it does, for the error, e.g. `folding the batch norms`.

    Raises:
        AttribError: It is more than the precision of the weights allows.
    """
    apart, allowed = largest_difference(job.run(job.source), job.run(job.target)), tolerance_of(job.source)
    if not apart <= allowed:
        raise AttribError(
            f"{doing} changes an output by {apart:.2g} of its largest value on the workload's inputs, more than its"
            f" precision allows ({allowed:g})"
        )
    return apart


def tolerance_of(file: Path) -> float:
    """The largest relative difference allowed between two ways to compute a graph, by the roughest type of a weight."""
    import onnx_ir as ir

    types = {value.dtype.name for value in ir.load(file).graph.initializers.values() if value.dtype}
    return TOLERANCES["bf16" if "BFLOAT16" in types else "fp16" if "FLOAT16" in types else "fp32"]


def list_counts(counts: Counter[str]) -> str:
    """`1 Cast pair, 2 Reshape pair`, or `nothing`."""
    return ", ".join(f"{number} {what}" for what, number in sorted(counts.items())) or "nothing"
