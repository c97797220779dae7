"""Transpose and Reshape pairs whose net effect is nothing, and neighbors that are one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attrib.rewrite.surgery.graph import (
    can_redirect,
    constant,
    is_read_once,
    new_constant,
    permutation,
    redirect,
    static_shape,
    sweep,
)

_UNARY = frozenset({
    "Abs", "Cast", "Ceil", "Celu", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
    "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Sigmoid",
    "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Tanh", "ThresholdedRelu",
})  # fmt: skip
"""Ops of ONNX that compute each element from the same element of their first input."""

_BINARY = frozenset({"Add", "Sub", "Mul", "Div", "Pow"})
_MICROSOFT = frozenset({"FastGelu", "Gelu", "QuickGelu"})
_MOVES = frozenset({"Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"})

Steps = list[tuple[Any, int]]


@dataclass(frozen=True, slots=True)
class Path:
    """From `source`, through the partner, along `steps` (node and the input by which the data comes) to the last node."""

    partner: Any
    source: Any
    steps: tuple[tuple[Any, int], ...]


def path_up(node: Any, partners: frozenset[str], step: Callable[[Any], int | None]) -> Path | None:
    """The nearest node of an op in `partners` above `node`, along nodes that `step` accepts.

    What lies on the way must be read by nobody else: it will hold something else afterward.
    """
    steps: Steps = []
    value = node.inputs[0]
    while value is not None and (maker := value.producer()) is not None and maker.graph is node.graph:
        if maker.op_type in partners and not maker.domain:
            alone = not steps or is_read_once(value)
            return Path(maker, maker.inputs[0], tuple(reversed(steps))) if alone else None
        place = step(maker) if is_read_once(value) else None
        if place is None:
            return None
        steps.append((maker, place))
        value = maker.inputs[place]
    return None


def pointwise(node: Any) -> int | None:
    """By which input the data comes into a node that treats all elements alike; None for any other node.

    1. One input, or the other ones (limits, an exponent) are constants.
    2. Two operands, one of which is a constant.
    """
    if len(node.outputs) != 1:
        return None
    others = [i for i, value in enumerate(node.inputs) if value is not None and constant(value) is None]
    if len(others) != 1:
        return None
    known = _UNARY | _BINARY if not node.domain else _MICROSOFT if node.domain == "com.microsoft" else ()
    unary = others[0] == 0 and node.op_type in (*_UNARY, *_MICROSOFT)
    single = len([value for value in node.inputs if value is not None]) == 1 or node.op_type == "Clip"
    if node.op_type not in known or not ((unary and single) or node.op_type in _BINARY):
        return None
    return others[0]


def movement(node: Any) -> int | None:
    """By which input the data comes into a node that only moves it: such a node works on any type."""
    return 0 if node.op_type in _MOVES and not node.domain else None


def close(graph: Any, node: Any, path: Path, retouch: Callable[[Any, int], None]) -> bool:
    """Take out `node` and its partner: the path reads the source, and whoever read `node` reads the path.

    Args:
        graph: Their graph.
        node: The last of the pair.
        path: From `path_up`.
        retouch: Brings one node of the path to what it reads now: its constants and the type and shape of its output.
    """
    last = path.steps[-1][0].outputs[0] if path.steps else path.source
    if not can_redirect(graph, node.outputs[0], last):
        return False
    if path.steps:
        first, place = path.steps[0]
        first.replace_input_with(place, path.source)
    for step, place in path.steps:
        retouch(step, place)
        # The same name would say that it is the same tensor.
        step.outputs[0].name = f"{step.outputs[0].name}/{path.partner.op_type.lower()}"
    redirect(graph, node.outputs[0], last)
    sweep([node, path.partner])
    return True


VIEWS = frozenset({"Reshape", "Flatten", "Squeeze", "Unsqueeze"})


def drop_transposes(graph: Any, node: Any) -> str:
    """Take out a Transpose that undoes one above it, or moves nothing; make one of two neighbors."""
    import onnx_ir as ir

    own = permutation(node)
    if own is None:
        return ""
    if own == tuple(range(len(own))):
        return _bypass(graph, node, "Transpose that moves nothing")
    path = path_up(node, frozenset({"Transpose"}), pointwise)
    first = permutation(path.partner) if path else None
    if path is None or first is None or len(first) != len(own):
        return ""
    net = tuple(first[axis] for axis in own)
    if net == tuple(range(len(net))):
        return _drop_transpose_pair(graph, node, path, own)
    if path.steps or not is_read_once(path.partner.outputs[0]):
        return ""
    node.replace_input_with(0, path.source)
    node.attributes["perm"] = ir.AttrInt64s("perm", net)
    sweep([path.partner])
    return "Transpose merged into the next"


def _drop_transpose_pair(graph: Any, node: Any, path: Path, perm: tuple[int, ...]) -> str:
    """Take out the pair; constants on the way are laid out as the data now is."""
    import onnx_ir as ir

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
            out.shape = ir.Shape([out.shape[axis] for axis in perm])

    return "Transpose pair" if close(graph, node, path, retouch) else ""


def drop_views(graph: Any, node: Any) -> str:
    """Take out a Reshape, Flatten, Squeeze or Unsqueeze that undoes one above it; make one of two neighbors."""
    shape = static_shape(node.outputs[0])
    if shape is not None and static_shape(node.inputs[0]) == shape:
        return _bypass(graph, node, "Reshape to its own shape")
    path = path_up(node, VIEWS, pointwise_of_scalars)
    if path is None:
        return ""
    if shape is not None and static_shape(path.source) == shape:
        rank = len(path.source.shape)
        held = [
            constant(value)
            for step, place in path.steps
            for i, value in enumerate(step.inputs)
            if i != place and value is not None
        ]
        if any(array is None or array.ndim > rank for array in held):
            return ""

        def retouch(step: Any, _place: int) -> None:
            step.outputs[0].shape = path.source.shape

        return "Reshape pair" if close(graph, node, path, retouch) else ""
    if path.steps or not is_read_once(path.partner.outputs[0]):
        return ""
    return _merge_views(graph, node, path)


def pointwise_of_scalars(node: Any) -> int | None:
    """Like `pointwise`, where a constant that is not the same for all elements would have to be laid out anew."""
    place = pointwise(node)
    others = [constant(value) for i, value in enumerate(node.inputs) if i != place and value is not None]
    return place if all(held is not None and held.size == 1 for held in others) else None


def _merge_views(graph: Any, node: Any, path: Path) -> str:
    """Make one Reshape of two: whatever the first one makes of the data, the second one's shape decides."""
    import onnx_ir as ir

    old = node.outputs[0]
    shape = static_shape(old)
    asked = constant(node.inputs[1]) if node.op_type == "Reshape" else None
    if asked is not None and 0 not in asked:
        node.replace_input_with(0, path.source)
    elif shape is not None and 0 not in shape:
        sizes = new_constant(graph, f"{old.name}/shape", np.array(shape, np.int64))
        fresh = ir.node(
            "Reshape", [path.source, sizes], name=node.name, metadata_props=dict(node.metadata_props)
        )
        graph.insert_before(node, fresh)
        name, made = old.name, fresh.outputs[0]
        made.name, made.type, made.shape = f"{name}/gone", old.type, old.shape
        redirect(graph, old, made)
        sweep([node])
        made.name = name
    else:
        return ""  # a 0 copies a size of what is no longer read
    sweep([path.partner])
    return "Reshape merged into the next"


def _bypass(graph: Any, node: Any, what: str) -> str:
    if not redirect(graph, node.outputs[0], node.inputs[0]):
        return ""
    sweep([node])
    return what
