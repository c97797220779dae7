"""ONNX files with their weights: writing and copying them."""

import functools
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrib.errors import AttribError
from attrib.scrub import scrub

SMALL = 64
"""Integer initializers up to this many elements keep their data: shapes, permutations and axes are needed for lineage."""

_STACK = "stack_trace"
"""Part of the key under which exporters keep file names and source lines, comments included, of a node's origin."""

STUB = "weights-not-captured"
"""The external file that stripped initializers point to; it does not exist, on purpose."""


def strip_graph(source: Path) -> bytes:
    """Serialize the graph of a file with stubs for its weights, without source code and paths; its weights are not read.

    Raises:
        AttribError: The file is no ONNX model.
    """
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(str(source), load_external_data=False)
    except DecodeError as error:
        raise AttribError(f"{source.name} is not an ONNX model") from error
    for tensor in tensors_of(model):
        _strip(tensor)
    graphs = list(graphs_of(model.graph))
    nodes = [node for part in (*graphs, *model.functions) for node in part.node]
    values = [value for graph in graphs for value in (*graph.input, *graph.output, *graph.value_info)]
    for node in nodes:
        node.ClearField("doc_string")  # where TorchScript writes the source line of each
    for entry in (model, *graphs, *model.functions, *nodes, *values):
        if entry.doc_string:
            entry.doc_string = shorten_paths(entry.doc_string)
        metadata = [(pair.key, shorten_paths(pair.value)) for pair in entry.metadata_props]
        del entry.metadata_props[:]
        for key, value in metadata:
            if _STACK not in key:
                entry.metadata_props.add(key=key, value=value)
    return bytes(model.SerializeToString(deterministic=True))


def shapes_of(file: Path) -> str:
    """`static` where every input of a graph has sizes, `dynamic` where one has a symbol or nothing in their place."""
    import onnx

    graph = onnx.load(str(file), load_external_data=False).graph
    constants = {tensor.name for tensor in graph.initializer}
    types = [value.type.tensor_type for value in graph.input if value.name not in constants]
    static = all(kind.HasField("shape") for kind in types) and all(
        size.HasField("dim_value") for kind in types for size in kind.shape.dim
    )
    return "static" if static else "dynamic"


def tensors_of(model: Any) -> Iterator[Any]:
    """Every tensor of a model: initializers and attributes, subgraphs and functions included.

    A large constant inside a node is a weight as well; TorchScript writes small ones for shapes and axes.
    """
    nodes = [node for function in model.functions for node in function.node]
    for graph in graphs_of(model.graph):
        yield from graph.initializer
        nodes += graph.node
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def graphs_of(graph: Any) -> Iterator[Any]:
    """A graph and every subgraph of its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs_of(attribute.g)
            for inner in attribute.graphs:
                yield from graphs_of(inner)


def _strip(tensor: Any) -> None:
    """Replace the data by a reference to a file that does not exist, unless it is small and structural."""
    from onnx import TensorProto

    count = math.prod(tensor.dims)
    integer = tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
    inside = tensor.data_location != TensorProto.EXTERNAL
    if inside and (count <= 1 or (integer and count <= SMALL)):
        return
    for field in _DATA_FIELDS:
        tensor.ClearField(field)
    del tensor.external_data[:]
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", STUB


_DATA_FIELDS = (
    "raw_data",
    "float_data",
    "int32_data",
    "int64_data",
    "double_data",
    "uint64_data",
    "string_data",
)


@functools.lru_cache(maxsize=4096)
def shorten_paths(text: str) -> str:
    """Remove absolute paths and names from a text; it is cached, because the nodes of one module repeat the same stack."""
    return scrub(text) if "/" in text or "\\" in text else text


INLINE = 1024
"""Tensors below this many bytes stay in the file: shapes and scalars, which tools look up without the weights."""


def load_graph(file: Path) -> Any:
    """Load a model without its weights."""
    import onnx

    return onnx.load(str(file), load_external_data=False)


def save_graph(model: Any, file: Path) -> None:
    """Write a model with its weights beside it, whatever its size: protobuf ends at 2 GB."""
    import onnx

    onnx.save(
        model,
        str(file),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=f"{file.name}.data",
        size_threshold=INLINE,
    )


def copy_graph(source: Path, target: Path, origin: Path | None = None) -> None:
    """Copy a model and the files of its weights, which get names of their own beside `target`; weights are not loaded.

    Args:
        source: The model.
        target: The copy.
        origin: Where weights lie that are not beside the model: ONNX Runtime writes an optimized graph that goes on
            pointing to the files beside the graph that it was made from.
    """
    model = load_graph(source)
    names: dict[str, str] = {}
    for tensor in tensors_of(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                suffix = f".{len(names)}" if names else ""
                entry.value = names.setdefault(entry.value, f"{target.name}.data{suffix}")
    for location, name in names.items():
        with _write_whole(target.with_name(name)) as partial:
            beside = source.parent / location
            shutil.copyfile(beside if beside.exists() or origin is None else origin / location, partial)
    with _write_whole(target) as partial:
        partial.write_bytes(model.SerializeToString())


@contextmanager
def _write_whole(target: Path) -> Iterator[Path]:
    """A name to write under; what was written gets its own name when it is complete, and goes otherwise."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
