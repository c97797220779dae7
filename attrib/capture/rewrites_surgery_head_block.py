"""One attention: what holds something for each of its heads, and what is left of that when heads go."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from attrib.capture.rewrites_surgery import Array, constant, forget, new_constant, static_shape, sweep
from attrib.capture.rewrites_surgery_head_axes import Heads


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
        """Put a constant with these heads alone in its place."""
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
        """Leave these heads alone: the weights, the sizes of what holds heads, and the shapes that Reshapes ask for."""
        for weight in self.weights:
            weight.keep(graph, kept)
        for value, where in self.seen.items():
            value.shape = _resized(value, where, len(kept))
        for reshape in self.reshapes:
            made = reshape.outputs[0]
            asked = np.array(static_shape(made), np.int64)
            _read_instead(reshape, 1, new_constant(graph, f"{made.name}/shape", asked))


def _resized(value: Any, where: Heads, count: int) -> Any:
    import onnx_ir as ir

    sizes = list(static_shape(value) or ())
    sizes[where.axis] = where.outer * count * where.inner
    return ir.Shape(sizes)


def _read_instead(node: Any, place: int, value: Any) -> None:
    """Another input for a node; the old one goes where nobody else reads it."""
    old = node.inputs[place]
    node.replace_input_with(place, value)
    forget([old])
    sweep([old.producer()] if old.producer() is not None else [])
