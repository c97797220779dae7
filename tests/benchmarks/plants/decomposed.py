"""Operators taken apart in ways that ONNX Runtime's fusions do not recognize.

The textbook forms (`Pow` in a layer norm, `x (1 + erf) / 2` in a Gelu) are put together again and would plant nothing.
"""

import numpy as np

from plants.casts import EPSILON
from plants.edit import Editing


def norms(editing: Editing, modules: tuple[str, ...]) -> None:
    """Layer norms with the square of the deviation as a product."""
    for module in modules:
        norm = editing.take(editing.node("LayerNormalization", module))
        source, weight, bias = norm.input
        axes = editing.constant(np.array([-1], dtype=np.int64))
        deviation = editing.add("Sub", [source, editing.add("ReduceMean", [source, axes])])
        square = editing.add("Mul", [deviation, deviation])
        variance = editing.add("Add", [editing.add("ReduceMean", [square, axes]), editing.scalar(EPSILON)])
        normal = editing.add("Div", [deviation, editing.add("Sqrt", [variance])])
        editing.add("Add", [editing.add("Mul", [normal, weight]), bias], norm.output[0])


def gelus(editing: Editing, modules: tuple[str, ...]) -> None:
    """Gelus as `x (1/2 + erf / 2)`."""
    for module in modules:
        gelu = editing.take(editing.node("Gelu", module))
        source = gelu.input[0]
        error = editing.add("Erf", [editing.add("Mul", [source, editing.scalar(0.5**0.5)])])
        half = editing.scalar(0.5)
        weight = editing.add("Add", [editing.add("Mul", [error, half]), half])
        editing.add("Mul", [source, weight], gelu.output[0])


def einsums(editing: Editing, linears: tuple[str, ...]) -> None:
    """Linears as Einsum."""
    for module in linears:
        product = editing.take(editing.node("MatMul", module))
        editing.add("Einsum", list(product.input), product.output[0], equation="bsi,io->bso")


def einsum_scores(editing: Editing, attentions: tuple[str, ...]) -> None:
    """Attention scores as Einsum."""
    for module in attentions:
        product = editing.take(editing.node("MatMul", module))
        editing.add("Einsum", list(product.input), product.output[0], equation="bhid,bhdj->bhij")
