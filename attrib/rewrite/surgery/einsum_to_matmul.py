"""`einsum-to-matmul`: write an Einsum that is a (batched) matrix product as a MatMul.

With operands of the labels A = batch, M, K and B = batch, K, N, where K is what the result sums over, the product is
`MatMul([batch, M, K], [batch, K, N])`. A group of several labels is flattened into one axis and unfolded afterward, which
takes static shapes; a permutation takes a Transpose, or none where the operand is a constant.
"""

import dataclasses
import math
import re
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import (
    constant,
    forget,
    new_constant,
    new_node,
    redirect,
    static_shape,
    surgery,
    sweep,
)

_EQUATION = re.compile(r"([A-Za-z]+),([A-Za-z]+)(?:->([A-Za-z]*))?")


@dataclass(frozen=True, slots=True)
class Product:
    """The labels of a matrix product by what becomes of them; `left` and `right` are its operands' own labels."""

    left: str
    right: str
    out: str
    batch: str
    rows: str
    summed: str
    columns: str


def product_of(equation: str) -> Product | None:
    """Read an equation as a matrix product; None where it is something else (a trace, a sum, a diagonal)."""
    match = _EQUATION.fullmatch("".join(equation.split()))
    if match is None:
        return None
    left, right = match[1], match[2]
    labels = left + right
    # Without an arrow the result has the labels that occur once, in alphabetical order.
    implicit = "".join(sorted(label for label in labels if labels.count(label) == 1))
    out = match[3] if match[3] is not None else implicit
    if any(len(set(part)) != len(part) for part in (left, right, out)) or set(out) - set(labels):
        return None
    shared = [label for label in left if label in right]
    rows = "".join(label for label in left if label not in right)
    columns = "".join(label for label in right if label not in left)
    if set(rows + columns) - set(out):
        return None  # a label of one operand alone is summed: no product
    summed = "".join(label for label in shared if label not in out)
    batch = "".join(label for label in out if label in shared)
    ordered = ["".join(sorted(part, key=out.index)) for part in (batch, rows, columns)]
    return Product(left, right, out, ordered[0], ordered[1], summed, ordered[2]) if summed else None


@surgery
def einsum_to_matmul(model: Any, _job: Job) -> Outcome:
    """Replace the Einsum nodes that are matrix products."""
    graph = model.graph
    einsums = [node for node in graph if node.op_type == "Einsum" and not node.domain]
    done = [node.attributes["equation"].as_string() for node in einsums if _replace_einsum(graph, node)]
    left = [node.attributes["equation"].as_string() for node in einsums if node.graph is not None]
    settings = {"rewritten": "; ".join(sorted(set(done))) or "nothing", "products": str(len(done))}
    if left:
        settings["left"] = "; ".join(sorted(set(left)))
    return Outcome(settings=settings)


def _replace_einsum(graph: Any, node: Any) -> bool:
    """Put a MatMul in place of an Einsum; False where it is no product, or sizes are missing."""
    product = product_of(node.attributes["equation"].as_string()) if len(node.inputs) == 2 else None  # noqa: PLR2004
    if product is None:
        return False
    swapped = Product(
        product.right, product.left, product.out, product.batch, product.columns, product.summed, product.rows
    )
    a, b = node.inputs
    plans = [_plan(product, a, b), _plan(swapped, b, a)]
    possible = sorted((plan for plan in plans if plan), key=lambda plan: plan.moves)
    if not possible:
        return False
    made = possible[0].build(graph, node)
    redirect(graph, node.outputs[0], made)
    sweep([node])
    return True


@dataclass(frozen=True, slots=True)
class _Plan:
    """One way to write a product; `moves` counts the Transpose nodes that it takes besides the MatMul."""

    product: Product
    left: Any
    right: Any
    left_order: str
    right_order: str
    sizes: dict[str, int] | None
    flat: bool
    moves: int

    def build(self, graph: Any, node: Any) -> Any:
        """Put the nodes in before `node`; the value that stands for its output, which keeps type and shape."""
        product = self.product
        left = self._operand(graph, node, self.left, product.left, self.left_order)
        right = self._operand(graph, node, self.right, product.right, self.right_order)
        if self.flat:
            left = self._flatten(graph, node, left, (product.batch, product.rows, product.summed))
            right = self._flatten(graph, node, right, (product.batch, product.summed, product.columns))
        made = new_node(node, "MatMul", [left, right]).outputs[0]
        natural = product.batch + product.rows + product.columns
        if self.flat and not len(product.rows) == len(product.columns) == 1:
            made = self._reshape(graph, node, made, [self._size(label) for label in natural])
        if natural != product.out:
            perm = [natural.index(label) for label in product.out]
            made = new_node(node, "Transpose", [made], perm=perm).outputs[0]
        made.type, made.shape = node.outputs[0].type, node.outputs[0].shape
        return made

    def _operand(self, graph: Any, node: Any, value: Any, have: str, want: str) -> Any:
        if have == want:
            return value
        perm = [have.index(label) for label in want]
        held = constant(value)
        if held is None:
            return new_node(node, "Transpose", [value], perm=perm).outputs[0]
        fresh = new_constant(graph, f"{value.name}/{want}", held.transpose(perm))
        forget([value])
        return fresh

    def _size(self, labels: str) -> int:
        assert self.sizes is not None  # noqa: S101  (flat plans are made with sizes alone)
        return math.prod(self.sizes[label] for label in labels)

    def _flatten(self, graph: Any, node: Any, value: Any, groups: tuple[str, str, str]) -> Any:
        batch, *axes = groups
        if all(len(axis) == 1 for axis in axes):
            return value
        sizes = [self._size(label) for label in batch] + [self._size(axis) for axis in axes]
        return self._reshape(graph, node, value, sizes)

    @staticmethod
    def _reshape(graph: Any, node: Any, value: Any, sizes: list[int]) -> Any:
        held = constant(value)
        if held is not None:
            fresh = new_constant(graph, f"{value.name}/flat", held.reshape(sizes))
            forget([value])
            return fresh
        shape = new_constant(graph, f"{node.outputs[0].name}/shape", np.array(sizes, np.int64))
        return new_node(node, "Reshape", [value, shape]).outputs[0]


def _plan(product: Product, left: Any, right: Any) -> _Plan | None:
    """The cheapest way to write a product with these operands in this order; None where their sizes do not tell.

    1. One label a group: MatMul takes the operands as they are, or transposed.
    2. No batch: MatMul multiplies any number of axes of rows by one matrix.
    3. Otherwise the groups are flattened.
    """
    if not _same_sizes(product, left, right):
        return None
    single = len(product.rows) == len(product.summed) == len(product.columns) == 1  # 1
    matrix = not product.batch and product.rows and len(product.summed) == len(product.columns) == 1  # 2
    flat = not (single or matrix)
    own, other = static_shape(left), static_shape(right)
    sizes = None
    if own is not None and other is not None:
        sizes = dict(zip(product.left + product.right, own + other, strict=True))
    if flat and sizes is None:
        return None
    few = 3
    orders = [product.summed]
    if len(product.summed) <= few:
        orders = ["".join(order) for order in permutations(product.summed)]
    plans = []
    for summed in orders:
        chosen = dataclasses.replace(product, summed=summed)
        left_order = product.batch + product.rows + summed
        right_order = product.batch + summed + product.columns
        moves = (
            (left_order != product.left and constant(left) is None)
            + (right_order != product.right and constant(right) is None)
            + (product.batch + product.rows + product.columns != product.out)
        )
        plans.append(_Plan(chosen, left, right, left_order, right_order, sizes, flat, moves))
    return min(plans, key=lambda plan: plan.moves)


def _same_sizes(product: Product, left: Any, right: Any) -> bool:
    """Whether shared labels have the same sizes: Einsum stretches a size of 1, and MatMul does not along K."""
    if left.shape is None or right.shape is None:
        return False
    if len(left.shape) != len(product.left) or len(right.shape) != len(product.right):
        return False
    for label in product.batch + product.summed:
        one, other = left.shape[product.left.index(label)], right.shape[product.right.index(label)]
        if isinstance(one, int) or isinstance(other, int):
            same = bool(one == other)
        else:  # two unknown sizes are equal only under the same name
            same = one.value is not None and one.value == other.value
        if not same:
            return False
    return True
