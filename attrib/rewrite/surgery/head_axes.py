"""Along which axis a value holds the attention heads, and where they are after a node."""

import math
from dataclasses import dataclass
from typing import Any

from attrib.errors import InternalError
from attrib.rewrite.surgery.graph import constant, permutation, static_shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """Axis `axis` has the size `outer * heads * inner`: the heads lie between what comes before and after them."""

    axis: int
    outer: int
    inner: int


class Unknown(Exception):  # noqa: N818  (it is caught where it becomes an error)
    """A node in which the heads cannot be followed; the message says why."""


Constants = tuple[tuple[int, int, int], ...]
"""Constant operands that hold something for each head: which input, along which axis, how many elements a head."""

_SAME = frozenset({"Cast", "Dropout", "Identity", "IsNaN", "Neg"})
_BROADCAST = frozenset({"Add", "Div", "Mul", "Sub", "Where"})


def heads_after(node: Any, place: int, where: Heads, heads: int) -> tuple[Heads, Constants]:
    """Find where the heads are in the result of a node that reads them by input `place`.

    Raises:
        Unknown: The node does something else with them.
    """
    if node.op_type in _SAME:
        return where, ()
    if node.op_type in _BROADCAST:
        return follow_broadcast(node, place, where, heads)
    follow = _FOLLOW.get(node.op_type)
    if follow is None:
        raise Unknown("it is no node of an attention that attrib knows")
    return follow(node, place, where, heads), ()


def _shape(value: Any) -> tuple[int, ...]:
    shape = static_shape(value)
    if shape is None:
        raise Unknown("the sizes of its tensors are not known")
    return shape


def follow_transpose(node: Any, _place: int, where: Heads, _heads: int) -> Heads:
    """Find the heads where the permutation moves their axis."""
    perm = permutation(node)
    if perm is None:
        raise Unknown("the sizes of its tensors are not known")
    return Heads(axis=perm.index(where.axis), outer=where.outer, inner=where.inner)


def follow_reshape(node: Any, _place: int, where: Heads, heads: int) -> Heads:
    """Find the axis of the result that holds the heads whole: the same elements lie before and after them."""
    before, after = _shape(node.inputs[0]), _shape(node.outputs[0])
    major = math.prod(before[: where.axis]) * where.outer
    minor = where.inner * math.prod(before[where.axis + 1 :])
    for axis, size in enumerate(after):
        ahead, behind = math.prod(after[:axis]), math.prod(after[axis + 1 :])
        outer, left = divmod(major, ahead)
        inner, right = divmod(minor, behind)
        if not left and not right and outer * heads * inner == size:
            return Heads(axis=axis, outer=outer, inner=inner)
    raise Unknown(f"it spreads the heads over several axes ({list(before)} to {list(after)})")


def follow_softmax(node: Any, _place: int, where: Heads, _heads: int) -> Heads:
    """Find the heads where they were; a Softmax must not run over their axis."""
    axis = node.attributes["axis"].as_int() if "axis" in node.attributes else -1
    if axis % len(_shape(node.inputs[0])) == where.axis:
        raise Unknown("it runs over the heads")
    return where


def follow_matmul(node: Any, place: int, where: Heads, _heads: int) -> Heads:
    """Find the heads where they were: a product of two values has them among its batch axes."""
    own, other = _shape(node.inputs[place]), _shape(node.inputs[1 - place])
    if where.axis >= len(own) - 2:
        raise Unknown("it does not treat each head by itself")
    if len(other) != len(own):
        raise Unknown("its operands have unequal numbers of axes")
    return where


def follow_attention(node: Any, place: int, where: Heads, heads: int) -> Heads:
    """Find the heads on the second axis, where ONNX's Attention has them."""
    if where.axis != 1 or where.outer != 1 or where.inner != 1:
        raise Unknown("the heads are not its second axis")
    for value in node.inputs[3:]:
        shape = _shape(value) if value is not None else ()
        if len(shape) > 2 and shape[-3] != 1:  # noqa: PLR2004
            raise Unknown(f"its mask or cache has the heads' axis, {heads} of them")
    if place > 2:  # noqa: PLR2004
        raise Unknown("its mask or cache is made of heads")
    return where


def follow_broadcast(node: Any, place: int, where: Heads, heads: int) -> tuple[Heads, Constants]:
    """Find the heads after an elementwise node: axes are counted from the last.

    A constant operand with the heads' axis holds something for each head.
    """
    own = _shape(node.inputs[place])
    from_last = len(own) - where.axis
    result = len(_shape(node.outputs[0]))
    found = []
    for i, value in enumerate(node.inputs):
        shape = _shape(value)
        if i == place or len(shape) < from_last or shape[-from_last] == 1:
            continue
        if shape[-from_last] != own[where.axis]:
            raise Unknown("its operands do not fit")
        if constant(value) is not None:
            if where.outer != 1:
                raise Unknown("a constant holds the heads between other elements")
            found.append((i, len(shape) - from_last, where.inner))
    if own[where.axis] != where.outer * heads * where.inner:
        raise InternalError("heads were followed to an axis of another size")
    return Heads(axis=result - from_last, outer=where.outer, inner=where.inner), tuple(found)


_FOLLOW = {
    "Attention": follow_attention,
    "MatMul": follow_matmul,
    "Reshape": follow_reshape,
    "Softmax": follow_softmax,
    "Transpose": follow_transpose,
}
