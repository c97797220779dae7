"""Conversions that change nothing, or next to nothing: pairs of Cast, and islands of double precision."""

from onnx import TensorProto

from plants.edit import Editing

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)


def pairs_before(
    editing: Editing, linears: tuple[str, ...], *, pairs: int = 1, to: tuple[int, ...] = HALVES
) -> None:
    """Convert what linears read to other types and back, to one after the other.

    ONNX Runtime takes a pair out that loses nothing (float to double and back), and of each that rounds it keeps one Cast
    and the last of all.
    """
    for module in linears:
        product = editing.node("MatMul", module)
        editing.imitate(product)
        value = source = product.input[0]
        for number in range(pairs):
            lower = editing.add("Cast", [value], to=to[number % len(to)])
            value = editing.add("Cast", [lower], to=TensorProto.FLOAT)
        editing.redirect([product], source, value)


def anonymous_pairs_after(
    editing: Editing, linears: tuple[str, ...], *, to: int = TensorProto.BFLOAT16
) -> None:
    """Convert what linears compute to another type and back, in nodes that name no module."""
    for module in linears:
        bias = editing.node("Add", module)
        value, readers = bias.output[0], editing.readers(bias.output[0])
        editing.anonymous()
        editing.redirect(
            readers, value, editing.add("Cast", [editing.add("Cast", [value], to=to)], to=TensorProto.FLOAT)
        )


def double_linears(editing: Editing, linears: tuple[str, ...]) -> None:
    """Multiply in double precision. ONNX Runtime folds the conversion of the weights."""
    for module in linears:
        product = editing.take(editing.node("MatMul", module))
        inputs = [editing.add("Cast", [value], to=TensorProto.DOUBLE) for value in product.input]
        result = editing.add("MatMul", inputs)
        editing.add("Cast", [result], product.output[0], to=TensorProto.FLOAT)


def double_softmax(editing: Editing, attentions: tuple[str, ...]) -> None:
    """Normalize attention scores in double precision."""
    for module in attentions:
        softmax = editing.take(editing.node("Softmax", module))
        scores = editing.add("Cast", [softmax.input[0]], to=TensorProto.DOUBLE)
        probabilities = editing.add("Softmax", [scores], axis=-1)
        editing.add("Cast", [probabilities], softmax.output[0], to=TensorProto.FLOAT)


def double_norms(editing: Editing, norms: tuple[str, ...]) -> None:
    """Normalize layers in double precision."""
    for module in norms:
        norm = editing.take(editing.node("LayerNormalization", module))
        inputs = [editing.add("Cast", [value], to=TensorProto.DOUBLE) for value in norm.input]
        result = editing.add("LayerNormalization", inputs, epsilon=EPSILON)
        editing.add("Cast", [result], norm.output[0], to=TensorProto.FLOAT)


EPSILON = 1e-12
"""Of BERT's layer norms."""
