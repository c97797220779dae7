"""`fold-batch-norms`: let the weights of a product of matrices hold the batch norm before or behind it.

In inference a batch norm is `a x + c` for each channel, with `a = scale / sqrt(variance + epsilon)` and
`c = bias - a mean` (ONNX operator specification). Numbered cases, cited in the code:

1. In front of a product: `(a x + c) W + b` is `x (a W) + (c W + b)`.
2. Behind one: `(x W + b) a + c` is `x (W a) + (b a + c)`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from attrib.rewrite.registry import Job, Outcome
from attrib.rewrite.surgery.graph import (
    Array,
    check_outputs,
    constant,
    is_read_once,
    new_constant,
    new_node,
    operate,
    redirect,
    sweep,
)
from attrib.wording import counted

MATRIX = 2
"""Dimensions of a matrix: with more, the channels of a batch norm are not what a product sums over."""

_PARAMETERS = 4
_EPSILON = 1e-5
"""Of a batch norm without the attribute."""


@dataclass(frozen=True, slots=True)
class _Affine:
    """`factor x + shift` for each channel, in double."""

    factor: Array
    shift: Array


@dataclass(frozen=True, slots=True)
class _Product:
    """`source @ weight + bias`, in double.

    Attributes:
        source: The value of the rows.
        weight: `[summed, columns]`.
        bias: What is added, of any shape that fits the result; 0 for none.
        result: The value that holds the sum.
        like: The node that multiplies.
        dtype: The type of the weights.
    """

    source: Any
    weight: Array
    bias: Array
    result: Any
    like: Any
    dtype: Any


def fold_batch_norms(job: Job) -> Outcome:
    """Fold them, and check on the workload's inputs that the outputs stay within the precision's tolerance."""
    outcome = operate(job, _fold)
    folded = int(outcome.settings["folded"])
    if not folded:
        return outcome
    apart = check_outputs(job, "folding the batch norms")
    note = (
        f"--optimize fold-batch-norms folded {counted(folded, 'batch norm')} into weights; on the workload's inputs that"
        f" changes the outputs by {apart:.1g} of the largest value at most"
    )
    return Outcome(settings=outcome.settings | {"largest_relative_difference": f"{apart:.2g}"}, notes=(note,))


def _fold(model: Any) -> Outcome:
    graph = model.graph
    norms = [node for node in graph if node.op_type == "BatchNormalization" and not node.domain]
    folded = sum(_fold_one(graph, node) for node in norms)
    return Outcome(settings={"folded": str(folded), "left": str(len(norms) - folded)})


def _fold_one(graph: Any, norm: Any) -> bool:
    """Fold one batch norm; False where nothing beside it can hold it."""
    affine = _affine(norm)
    if affine is None:
        return False
    source, result = norm.inputs[0], norm.outputs[0]
    if is_read_once(result):  # 1
        (use,) = result.uses()
        product = _product(use.node) if use.idx == 0 and use.node.graph is graph else None
        if product is not None:
            weight = affine.factor[:, None] * product.weight
            return _put(
                graph, product, source, weight, product.bias + affine.shift @ product.weight, product.result
            )
    if is_read_once(source):  # 2
        product = _product_of(source)
        if product is not None:
            weight, bias = product.weight * affine.factor, product.bias * affine.factor + affine.shift
            return _put(graph, product, product.source, weight, bias, result)
    return False


def _affine(norm: Any) -> _Affine | None:
    """A batch norm of matrices in inference whose parameters are constant; None for any other."""
    held = [constant(value) for value in norm.inputs[1:]]
    matrices = norm.inputs[0].shape is not None and len(norm.inputs[0].shape) == MATRIX
    unused = not any(value.uses() or value.is_graph_output() for value in norm.outputs[1:])
    if len(held) != _PARAMETERS or _number(norm, "training_mode", 0) or not matrices or not unused:
        return None
    if any(array is None for array in held):
        return None
    scale, bias, mean, variance = (np.asarray(array, np.float64) for array in held)
    factor = scale / np.sqrt(variance + _number(norm, "epsilon", _EPSILON))
    return _Affine(factor, bias - factor * mean)


def _product(node: Any) -> _Product | None:
    """A product of matrices with constant weights, with the bias that is added to it; None for any other node."""
    if node.domain or node.op_type not in ("Gemm", "MatMul") or _number(node, "transA", 0):
        return None
    result, weight = node.outputs[0], constant(node.inputs[1])
    if weight is None or weight.ndim != MATRIX or result.shape is None or len(result.shape) != MATRIX:
        return None
    factors = np.asarray(weight, np.float64)
    bias: Array | None = np.zeros(())
    if node.op_type == "Gemm":
        factors = _number(node, "alpha", 1.0) * (factors.T if _number(node, "transB", 0) else factors)
        given = node.inputs[2] if len(node.inputs) > 2 else None  # noqa: PLR2004 - the third is the bias
        if given is not None:
            held = constant(given)
            bias = None if held is None else _number(node, "beta", 1.0) * np.asarray(held, np.float64)
    elif is_read_once(result):
        (use,) = result.uses()
        held = (
            constant(use.node.inputs[1 - use.idx])
            if use.node.op_type == "Add" and not use.node.domain
            else None
        )
        if held is not None and np.broadcast_shapes(held.shape, (1, factors.shape[1])) == (
            1,
            factors.shape[1],
        ):
            bias, result = np.asarray(held, np.float64), use.node.outputs[0]
    if bias is None:
        return None
    return _Product(node.inputs[0], factors, bias, result, node, weight.dtype)


def _product_of(value: Any) -> _Product | None:
    """The product whose result a value is, its bias included; None where something else makes it."""
    maker = value.producer()
    if maker is not None and maker.op_type == "Add" and not maker.domain:
        makers = [given.producer() for given in maker.inputs if given is not None]
        maker = next((one for one in makers if one is not None and one.op_type == "MatMul"), None)
    product = _product(maker) if maker is not None else None
    return product if product is not None and product.result is value else None


def _put(graph: Any, product: _Product, source: Any, weight: Array, bias: Array, result: Any) -> bool:
    """Put a Gemm in place of a product and its batch norm; False where the result cannot be replaced."""
    arrays = [array.astype(product.dtype) for array in (weight, bias)]
    if not all(np.isfinite(array).all() for array in arrays):
        return False
    name = product.like.outputs[0].name
    held = [
        new_constant(graph, f"{name}/{what}", array)
        for what, array in zip(("weight", "bias"), arrays, strict=True)
    ]
    gemm = new_node(product.like, "Gemm", [source, *held])
    gemm.outputs[0].type, gemm.outputs[0].shape = result.type, result.shape
    old = result.producer()
    done = redirect(graph, result, gemm.outputs[0])
    sweep([old if done else gemm])
    return done


def _number(node: Any, name: str, default: float) -> float:
    """An attribute that is a number."""
    attribute = node.attributes.get(name)
    return default if attribute is None else float(attribute.value)
