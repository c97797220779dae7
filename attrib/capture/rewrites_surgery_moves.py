"""Transpose and Reshape pairs whose net effect is nothing, and neighbours that are one."""

from typing import Any

import numpy as np

from attrib.capture.rewrites_surgery import (
    constant,
    new_constant,
    permutation,
    redirect,
    static_shape,
    sweep,
)
from attrib.capture.rewrites_surgery_paths import Path, close, path_up, pointwise

VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})


def drop_transposes(graph: Any, node: Any) -> str:
    """Take out a Transpose that undoes one above it, or moves nothing; make one of two neighbours."""
    own = permutation(node)
    if own is None:
        return ""
    if own == tuple(range(len(own))):
        return _bypassed(graph, node, "Transpose that moves nothing")
    path = path_up(node, frozenset({"Transpose"}), pointwise)
    first = permutation(path.partner) if path else None
    if path is None or first is None or len(first) != len(own):
        return ""
    net = tuple(first[axis] for axis in own)
    if net == tuple(range(len(net))):
        return _untransposed(graph, node, path, own)
    if path.steps or not _alone(path.partner):
        return ""
    node.replace_input_with(0, path.source)
    _set_permutation(node, net)
    sweep([path.partner])
    return "Transpose merged into the next"


def _untransposed(graph: Any, node: Any, path: Path, perm: tuple[int, ...]) -> str:
    """The pair goes; constants on the way are laid out as the data now is."""
    rank = len(perm)
    for step, place in path.steps:
        others = [constant(value) for i, value in enumerate(step.inputs) if i != place and value is not None]
        if any(held is None or held.ndim > rank for held in others):
            return ""

    def retouch(step: Any, place: int) -> None:
        for i, value in enumerate(step.inputs):
            held = constant(value) if i != place else None
            if held is not None and held.size > 1:
                full = held.reshape((1,) * (rank - held.ndim) + held.shape).transpose(perm)
                step.replace_input_with(i, new_constant(graph, f"{value.name}/transposed", full))
        out = step.outputs[0]
        if out.shape is not None:
            out.shape = _permuted(out.shape, perm)

    return "Transpose pair" if close(graph, node, path, retouch) else ""


def _permuted(shape: Any, perm: tuple[int, ...]) -> Any:
    import onnx_ir as ir

    return ir.Shape([shape[axis] for axis in perm])


def _set_permutation(node: Any, perm: tuple[int, ...]) -> None:
    import onnx_ir as ir

    node.attributes["perm"] = ir.AttrInt64s("perm", perm)


def drop_views(graph: Any, node: Any) -> str:
    """Take out a Reshape, Flatten, Squeeze or Unsqueeze that undoes one above it; make one of two neighbours."""
    shape = static_shape(node.outputs[0])
    if shape is not None and static_shape(node.inputs[0]) == shape:
        return _bypassed(graph, node, "Reshape to its own shape")
    path = path_up(node, VIEWS, _pointwise_anywhere)
    if path is None:
        return ""
    if shape is not None and static_shape(path.source) == shape:
        return _unreshaped(graph, node, path)
    if path.steps or not _alone(path.partner):
        return ""
    return _merged(graph, node, path)


def _pointwise_anywhere(node: Any) -> int | None:
    """Like `pointwise`, where a constant that is not the same for all elements would have to be laid out anew."""
    place = pointwise(node)
    others = [constant(value) for i, value in enumerate(node.inputs) if i != place and value is not None]
    return place if all(held is not None and held.size == 1 for held in others) else None


def _unreshaped(graph: Any, node: Any, path: Path) -> str:
    rank = len(path.source.shape)
    for step, place in path.steps:
        others = (constant(value) for i, value in enumerate(step.inputs) if i != place and value is not None)
        if any(held is None or held.ndim > rank for held in others):
            return ""

    def retouch(step: Any, _place: int) -> None:
        step.outputs[0].shape = path.source.shape

    return "Reshape pair" if close(graph, node, path, retouch) else ""


def _merged(graph: Any, node: Any, path: Path) -> str:
    """One Reshape for two: whatever the first one makes of the data, the second one's shape decides."""
    shape = static_shape(node.outputs[0])
    asked = constant(node.inputs[1]) if node.op_type == "Reshape" else None
    if asked is not None and 0 not in asked:
        node.replace_input_with(0, path.source)
    elif shape is not None and 0 not in shape:
        _as_reshape(graph, node, path.source, shape)
    else:
        return ""  # a 0 copies a size of what is no longer read
    sweep([path.partner])
    return "Reshape merged into the next"


def _as_reshape(graph: Any, node: Any, source: Any, shape: tuple[int, ...]) -> None:
    """Put a Reshape of `source` in the node's place."""
    import onnx_ir as ir

    sizes = new_constant(graph, f"{node.outputs[0].name}/shape", np.array(shape, np.int64))
    fresh = ir.node("Reshape", [source, sizes], name=node.name, metadata_props=dict(node.metadata_props))
    graph.insert_before(node, fresh)
    made = fresh.outputs[0]
    made.name, made.type, made.shape = (
        f"{node.outputs[0].name}/gone",
        node.outputs[0].type,
        node.outputs[0].shape,
    )
    name = node.outputs[0].name
    redirect(graph, node.outputs[0], made)
    sweep([node])
    made.name = name


def _bypassed(graph: Any, node: Any, what: str) -> str:
    if not redirect(graph, node.outputs[0], node.inputs[0]):
        return ""
    sweep([node])
    return what


def _alone(node: Any) -> bool:
    value = node.outputs[0]
    return len(value.uses()) == 1 and not value.is_graph_output()
