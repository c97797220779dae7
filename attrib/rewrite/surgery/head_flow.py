"""Finding the heads of an attention: from the products that make them to the product that mixes them.

Numbered cases, cited in the code:

1. The core is a Softmax between two products of values that are no weights: `softmax(q kᵀ) v`.
2. Or it is ONNX's own Attention (opset 23) on `[batch, heads, tokens, size]`.
3. Query, key and value are traced up to the nearest product with a weight, each through nodes of `_UP`.
4. From there every value that holds the heads is followed down, see `heads_after`, until a product with a weight sums over
   them: that mixes the heads, and what comes after it has none.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attrib.errors import AttribError
from attrib.rewrite.surgery.graph import Array, constant, forget, new_constant, static_shape, sweep
from attrib.rewrite.surgery.head_axes import Heads, Unknown, heads_after


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """A constant input that holds something for each head along one axis: `outer` groups of `heads` of `inner`."""

    node: Any
    place: int
    axis: int
    heads: int
    inner: int
    is_matrix: bool

    @property
    def _array(self) -> Array:
        held = constant(self.node.inputs[self.place])
        assert held is not None  # noqa: S101  (only constants become weights)
        return held

    def by_head(self) -> Array:
        """What belongs to each head, `[heads, elements]`."""
        moved = np.moveaxis(self._array, self.axis, 0)
        return np.asarray(moved.reshape(self.heads, -1), dtype=np.float64)

    def keep(self, graph: Any, kept: list[int]) -> None:
        """Put a constant with these heads only in its place."""
        self._replace(graph, np.take(self._array, self._positions(kept), axis=self.axis))

    def silence(self, graph: Any, heads: list[int]) -> None:
        """Put a constant with zeros for these heads in its place."""
        array = np.moveaxis(self._array.copy(), self.axis, 0)
        array[self._positions(heads)] = 0
        self._replace(graph, np.moveaxis(array, 0, self.axis))

    def _positions(self, heads: list[int]) -> Array:
        return (np.array(heads)[:, None] * self.inner + np.arange(self.inner)).ravel()

    def _replace(self, graph: Any, array: Array) -> None:
        old = self.node.inputs[self.place]
        _read_instead(self.node, self.place, new_constant(graph, f"{old.name}/heads", array))


@dataclass(slots=True)
class Block:
    """One attention.

    Attributes:
        heads: How many it has.
        weights: Constants that hold something for each head.
        reshapes: The Reshapes between them.
        seen: Values that hold the heads, with where.
    """

    heads: int
    weights: list[Weight] = field(default_factory=list)
    reshapes: list[Any] = field(default_factory=list)
    seen: dict[Any, Heads] = field(default_factory=dict)

    @property
    def mixing(self) -> Weight:
        """The weight that mixes the heads: the last one."""
        return self.weights[-1]

    def prune(self, graph: Any, kept: list[int]) -> None:
        """Keep these heads only: in the weights, the sizes of what holds heads, and the shapes that Reshapes ask for."""
        import onnx_ir as ir

        for weight in self.weights:
            weight.keep(graph, kept)
        for value, where in self.seen.items():
            sizes = list(static_shape(value) or ())
            sizes[where.axis] = where.outer * len(kept) * where.inner
            value.shape = ir.Shape(sizes)
        for reshape in self.reshapes:
            made = reshape.outputs[0]
            asked = np.array(static_shape(made), np.int64)
            _read_instead(reshape, 1, new_constant(graph, f"{made.name}/shape", asked))


def _read_instead(node: Any, place: int, value: Any) -> None:
    """Give a node another input; the old one is removed where nobody else reads it."""
    old = node.inputs[place]
    node.replace_input_with(place, value)
    forget([old])
    sweep([old.producer()] if old.producer() is not None else [])


_UP = frozenset(
    {
        "Add",
        "Cast",
        "Concat",
        "Div",
        "Identity",
        "Mul",
        "Neg",
        "Reshape",
        "Slice",
        "Split",
        "Sub",
        "Transpose",
    }
)
_AROUND_SOFTMAX = frozenset({"Add", "Cast", "Div", "Dropout", "Identity", "IsNaN", "Mul", "Sub", "Where"})
_PRODUCTS = frozenset({"MatMul", "Gemm"})


def find_blocks(graph: Any, heads: Callable[[], int]) -> list[Block]:
    """Find every attention of a graph.

    Args:
        graph: The graph, with shapes.
        heads: How many heads the model has; asked where the shapes do not tell.

    Raises:
        AttribError: There is none that is known, or one cannot be followed.
    """
    cores = [core for node in graph if (core := _core_at(node))]
    if not cores:
        raise AttribError(
            "the graph holds no attention that attrib knows",
            hint="put prune-heads before rewrites that fuse attention, and export with static shapes",
        )
    return [_follow(core, heads) for core in cores]


@dataclass(frozen=True, slots=True)
class _Core:
    """The values that an attention takes, and the node at its heart."""

    node: Any
    taken: tuple[Any, Any, Any]
    batch_shape: tuple[int, ...]


def _core_at(node: Any) -> _Core | None:
    """The attention whose Softmax or Attention node this is; None for other nodes."""
    if (node.op_type, node.domain) == ("Attention", ""):  # 2
        shape = static_shape(node.inputs[0])
        four = shape is not None and len(shape) == 4  # noqa: PLR2004
        return _Core(node, tuple(node.inputs[:3]), shape[:-2]) if shape is not None and four else None
    if node.op_type != "Softmax":
        return None
    scores = _product_above(node.inputs[0])  # 1
    shape = static_shape(node.inputs[0])
    mixed = (
        use.node.inputs[1 - use.idx]
        for use in _uses_through(node.outputs[0], 6)
        if use.node.op_type == "MatMul" and constant(use.node.inputs[1 - use.idx]) is None
    )
    value = next(mixed, None)
    if scores is None or value is None or shape is None:
        return None
    return _Core(node, (*scores.inputs, value), shape[:-2])


def _product_above(value: Any) -> Any:
    """The product of two values that are no weights, above a Softmax."""
    for _ in range(8):
        maker = value.producer() if value is not None else None
        if maker is None:
            return None
        if maker.op_type == "MatMul":
            return maker if all(constant(v) is None for v in maker.inputs) else None
        if maker.op_type not in _AROUND_SOFTMAX:
            return None
        value = next((v for v in maker.inputs if v is not None and _leads_to_product(v)), None)
    return None


def _leads_to_product(value: Any, depth: int = 6) -> bool:
    maker = value.producer()
    if maker is None or not depth:
        return False
    if maker.op_type == "MatMul":
        return all(constant(v) is None for v in maker.inputs)
    inputs = [v for v in maker.inputs if v is not None]
    return maker.op_type in _AROUND_SOFTMAX and any(_leads_to_product(v, depth - 1) for v in inputs)


def _uses_through(value: Any, depth: int) -> Iterator[Any]:
    """Where a value is read, and where the results of elementwise nodes that read it are, `depth` nodes down."""
    for use in value.uses():
        yield use
        if depth and use.node.op_type in _AROUND_SOFTMAX:
            yield from _uses_through(use.node.outputs[0], depth - 1)


def _follow(core: _Core, heads: Callable[[], int]) -> Block:
    """Follow the heads of one attention from the products that make them down to the one that mixes them (3, 4)."""
    *_, count = core.batch_shape if len(core.batch_shape) > 1 else (heads(),)
    if count < 2:  # noqa: PLR2004
        raise AttribError("a layer has a single attention head, which cannot be pruned")
    block = Block(heads=count)
    waiting: list[tuple[Any, Heads]] = []
    for value in core.taken:
        made = _projection(value)
        if made is None:
            raise _unknown(core.node, f"what makes {value.name!r} is no product with a weight")
        waiting += _add_projection(block, made)
    while waiting:
        value, where = waiting.pop(0)
        if value not in block.seen:
            block.seen[value] = where
            waiting += _follow_value(block, value, where)
    mixing = [
        weight for weight in block.weights if weight.axis == 1 - _columns(weight.node) and weight.is_matrix
    ]
    if len(mixing) != 1:
        raise _unknown(core.node, f"{len(mixing)} products with a weight mix the heads, not one")
    block.weights.remove(mixing[0])
    block.weights.append(mixing[0])
    return block


def _projection(value: Any, depth: int = 16) -> Any:
    """The nearest product with a weight above a value (case 3)."""
    maker = value.producer() if value is not None else None
    if maker is None or not depth:
        return None
    if maker.op_type in _PRODUCTS and constant(maker.inputs[1]) is not None:
        return maker
    if maker.op_type not in _UP:
        return None
    found = (_projection(v, depth - 1) for v in maker.inputs if v is not None and constant(v) is None)
    return next((made for made in found if made is not None), None)


def _columns(node: Any) -> int:
    """The axis of a product's weight along which its results lie."""
    transposed = node.op_type == "Gemm" and "transB" in node.attributes and node.attributes["transB"].as_int()
    return 0 if transposed else 1


def _add_projection(block: Block, node: Any) -> list[tuple[Any, Heads]]:
    """Add a product that makes heads: its weight and bias; returns what it makes."""
    shape, held = static_shape(node.outputs[0]), constant(node.inputs[1])
    if shape is None or held is None or held.ndim != 2 or shape[-1] % block.heads:  # noqa: PLR2004
        raise _unknown(node, f"its result is not one of {block.heads} heads of known size")
    inner = shape[-1] // block.heads
    block.weights.append(_weight(block, node, 1, _columns(node), inner, is_matrix=True))
    if node.op_type == "Gemm" and len(node.inputs) > 2 and (bias := constant(node.inputs[2])) is not None:  # noqa: PLR2004
        block.weights.append(_weight(block, node, 2, bias.ndim - 1, inner))
    return [(node.outputs[0], Heads(axis=len(shape) - 1, outer=1, inner=inner))]


def _weight(block: Block, node: Any, place: int, axis: int, inner: int, *, is_matrix: bool = False) -> Weight:
    return Weight(node=node, place=place, axis=axis, heads=block.heads, inner=inner, is_matrix=is_matrix)


def _follow_value(block: Block, value: Any, where: Heads) -> list[tuple[Any, Heads]]:
    """Follow one value to what reads it (case 4)."""
    found = []
    if value.is_graph_output():
        raise AttribError(f"{value.name!r} holds attention heads and is an output of the graph")
    for use in value.uses():
        node, place = use.node, use.idx
        if node.op_type in ("Shape", "Size"):
            continue
        if node.op_type in _PRODUCTS and place == 0 and constant(node.inputs[1]) is not None:
            shape = static_shape(node.inputs[0])
            if shape is None or where.axis != len(shape) - 1 or where.outer != 1:
                raise _unknown(node, "it does not sum over the heads")
            block.weights.append(_weight(block, node, 1, 1 - _columns(node), where.inner, is_matrix=True))
            continue
        try:
            after, constants = heads_after(node, place, where, block.heads)
        except Unknown as unknown:
            raise _unknown(node, str(unknown)) from unknown
        if node.op_type == "Reshape":
            block.reshapes.append(node)
        if node.outputs[0] not in block.seen:
            # A node of two operands that hold heads is come to twice, its constants belong to it once.
            block.weights += [_weight(block, node, at, axis, inner) for at, axis, inner in constants]
        found.append((node.outputs[0], after))
    return found


def _unknown(node: Any, why: str) -> AttribError:
    return AttribError(
        f"attention heads cannot be followed through {node.op_type} {node.name or ''!r}: {why}",
        hint="prune-heads knows attention with separate products for query, key and value and static shapes",
    )
