"""ONNX files of the threads' benchmark that no exporter of PyTorch writes by itself. Each builder returns its file."""

from collections.abc import Callable
from pathlib import Path

import onnx
import threads_models as models
from onnx import TensorProto, helper
from threads_export import exported


def _written(model: onnx.ModelProto, folder: Path, name: str) -> Path:
    file = folder / f"{name}.onnx"
    onnx.save(model, file)
    return file


def initializers_as_inputs(folder: Path) -> Path:
    """Every weight is an input as well, as exporters before ONNX's IR version 4 had to write it."""
    model = onnx.load(initializers_as_constants(folder))
    for weight in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims))
    return _written(model, folder, "inputs")


def initializers_as_constants(folder: Path) -> Path:
    """The same with constant weights, and its batch norms still apart."""
    made = models.convolutions()
    return exported(made, folder, "torchscript", opset=17, do_constant_folding=False, training="preserve")


def further_outputs(folder: Path) -> Path:
    """A decoder that also returns what its caller drops."""
    return exported(models.decoder_with_cache(), folder, "torchscript", output_names=["y", "keys", "values"])


def fused_attention(folder: Path) -> Path:
    """Attention in one node of ONNX Runtime's own."""
    shape = [1, 512, 768]
    names = ("query", "key", "value")
    node = helper.make_node("MultiHeadAttention", names, ["y"], domain="com.microsoft", num_heads=12)
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in names]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph([node], "attention", inputs, [output])
    return _written(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder, "fused")


BUILDERS: dict[str, Callable[[Path], Path]] = {
    build.__name__: build
    for build in (
        initializers_as_inputs,
        initializers_as_constants,
        further_outputs,
        fused_attention,
    )
}
