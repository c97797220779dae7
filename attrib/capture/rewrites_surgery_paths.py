"""The way up from a node to the partner that it undoes, through nodes that would compute the same without the pair."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from attrib.capture.rewrites_surgery import can_redirect, constant, redirect, sweep

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

    What lies on the way must be read by nobody else: it will hold something else afterwards.
    """
    steps: Steps = []
    value = node.inputs[0]
    while value is not None and (maker := value.producer()) is not None and maker.graph is node.graph:
        if maker.op_type in partners and not maker.domain:
            alone = not steps or _read_once(value)
            return Path(maker, maker.inputs[0], tuple(reversed(steps))) if alone else None
        place = step(maker) if _read_once(value) else None
        if place is None:
            return None
        steps.append((maker, place))
        value = maker.inputs[place]
    return None


def _read_once(value: Any) -> bool:
    return len(value.uses()) == 1 and not value.is_graph_output()


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
