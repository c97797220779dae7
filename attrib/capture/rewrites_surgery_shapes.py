"""Sizes of values that shape inference does not find: seen in a run, where they cannot be others in another run.

The TorchScript exporter computes the shapes of its Reshape and Expand nodes by nodes, which inference does not follow. With
static inputs, the sizes of a graph are the same in every run unless what decides them depends on the *contents* of an input.
"""

from pathlib import Path
from typing import Any

from attrib.capture.rewrites_files import load_graph

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

    from attrib.capture.rewrites_surgery import run_file

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
