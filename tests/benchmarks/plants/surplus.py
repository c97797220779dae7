"""Work that nobody needs: branches computed twice, and outputs that nobody reads."""

from onnx import NodeProto, TensorProto

from plants.edit import PREFIX, Editing


def copied_linears(editing: Editing, linears: tuple[str, ...]) -> None:
    """Compute linears twice, the second time with a copy of the weights, as exporters of tied weights do.

    ONNX Runtime merges nodes that read the same values; it does not compare weights. The larger of two equal results
    is taken.
    """
    for module in linears:
        first = editing.node("Add", module).output[0]
        readers = editing.readers(first)
        second = _again(editing, module)
        editing.redirect(readers, first, editing.add("Max", [first, second]))


def copied_feed_forward(editing: Editing, layers: tuple[str, ...]) -> None:
    """Compute the first half of feed-forward blocks, linear and Gelu, twice."""
    for layer in layers:
        second = _again(editing, f"{layer}.intermediate.dense")
        gelu = editing.node("Gelu", f"{layer}.intermediate.intermediate_act_fn")
        first, readers = gelu.output[0], editing.readers(gelu.output[0])
        editing.imitate(gelu)
        editing.redirect(readers, first, editing.add("Max", [first, editing.add("Gelu", [second])]))


def _again(editing: Editing, module: str) -> str:
    """A second copy of a linear that reads what the first one reads; its result."""
    product, bias = editing.node("MatMul", module), editing.node("Add", module)
    editing.imitate(bias)
    result = editing.add("MatMul", [product.input[0], _copied(editing, product.input[1])])
    return editing.add("Add", [result, _copied(editing, _weight_of(editing, bias))])


def shown(editing: Editing, modules: tuple[tuple[str, str], ...]) -> None:
    """Make what these (op, module) compute last outputs of the graph."""
    for op, module in modules:
        editing.show(editing.node(op, module, at=-1).output[0])


def _weight_of(editing: Editing, node: NodeProto) -> str:
    names = {tensor.name for tensor in editing.graph.initializer}
    return next(value for value in node.input if value in names)


def _copied(editing: Editing, weight: str) -> str:
    """An initializer of another name with the same data, which stay where they are in the file."""
    original = next(tensor for tensor in editing.graph.initializer if tensor.name == weight)
    copy = TensorProto()
    copy.CopyFrom(original)
    copy.name = f"{PREFIX}{weight}"
    editing.graph.initializer.append(copy)
    return copy.name
