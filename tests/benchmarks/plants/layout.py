"""Transposes that ONNX Runtime's transpose optimizer does not cancel.

It pushes a Transpose through elementwise ops, Softmax, MatMul and Reshape until it meets its inverse; what lies between the
two here is an op that it does not know.
"""

import numpy as np

from plants.edit import Editing

KEEP_ALL = -(2**31)
"""A diagonal so low that Trilu keeps every element: a causal mask that hides nothing."""


def pairs_after(editing: Editing, linears: tuple[str, ...], *, pairs: int = 1) -> None:
    """Swap the last two axes of what linears compute around a Trilu that keeps all of it."""
    for module in linears:
        bias = editing.node("Add", module)
        value, readers = bias.output[0], editing.readers(bias.output[0])
        editing.imitate(bias)
        result = value
        for _ in range(pairs):
            turned = editing.add("Transpose", [result], perm=[0, 2, 1])
            kept = editing.add("Trilu", [turned, editing.scalar(KEEP_ALL, np.int64)], upper=1)
            result = editing.add("Transpose", [kept], perm=[0, 2, 1])
        editing.redirect(readers, value, result)


def sequence_first_norms(editing: Editing, norms: tuple[str, ...]) -> None:
    """Normalize layers with the sequence as the first axis."""
    for module in norms:
        norm = editing.node("LayerNormalization", module)
        editing.imitate(norm)
        source, result = norm.input[0], norm.output[0]
        norm.input[0] = editing.add("Transpose", [source], perm=[1, 0, 2])
        norm.output[0] = f"{result}_sequence_first"
        editing.add("Transpose", [norm.output[0]], result, perm=[1, 0, 2])


def turned_linears(editing: Editing, linears: tuple[str, ...]) -> None:
    """Compute `x W` as the transpose of `W' x'`."""
    for module in linears:
        product = editing.take(editing.node("MatMul", module))
        source, weight = product.input
        turned = editing.add("MatMul", [
            editing.add("Transpose", [weight], perm=[1, 0]),
            editing.add("Transpose", [source], perm=[0, 2, 1]),
        ])  # fmt: skip
        editing.add("Transpose", [turned], product.output[0], perm=[0, 2, 1])
