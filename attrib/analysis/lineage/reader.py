"""ONNX bytes to `Graph`: structure, types and the exporter's metadata; no weights, no external data."""

import importlib.util
import re
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from attrib.analysis.lineage.flatten import Nested, flatten_nodes
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.errors import AttribError
from attrib.model.tensor import Tensor

# The protobuf class of an ONNX model, without all that `import onnx` brings: helpers, checker, compiled extension.
#
# Reading a graph needs the generated class alone, which takes a quarter of the time to import.


_NAME = "onnx.onnx_ml_pb2"


_IMPORTING = threading.Lock()


def model_class() -> Any:
    """`onnx.ModelProto`: the very class that onnx has, whether it was imported before or will be later."""
    # A second thread must not find the module before it has been executed.
    with _IMPORTING:
        if "onnx" not in sys.modules and _NAME not in sys.modules:
            # Import the generated module under its own name, so that onnx finds it there, but not the package around it.
            package = importlib.util.find_spec("onnx")
            for folder in (package.submodule_search_locations or ()) if package else ():
                file = Path(folder) / "onnx_ml_pb2.py"
                spec = importlib.util.spec_from_file_location(_NAME, file) if file.is_file() else None
                if spec is not None and spec.loader is not None:
                    module = importlib.util.module_from_spec(spec)
                    sys.modules[_NAME] = module
                    spec.loader.exec_module(module)
                    break
        if _NAME in sys.modules:
            return sys.modules[_NAME].ModelProto
    import onnx

    return onnx.ModelProto


NAME_SCOPES = "pkg.torch.onnx.name_scopes"
FX_NODE = "pkg.torch.onnx.fx_node"
MOST_NODES = 100_000
"""Nodes of a graph, those of subgraphs included; the largest exported models have some ten thousand."""

MAX_METADATA = 100_000
"""Longer metadata values are ignored: the dynamo exporter writes a few hundred characters."""

OVERRIDABLE_SINCE = 4
"""IR version (onnx.proto) from which an initializer that is a graph input too is only its default value."""

_FX = re.compile(r"%([\w.]++).*?target=(?:torch\.ops\.)?([\w.:]+)")
# Python's spelling of a list of strings without escapes. Its own parser takes a hundred times as long on text made to hurt.
_SCOPE = re.compile(r"""'([^'\\]*)'|"([^"\\]*)\"""")
_SCOPES = re.compile(rf"\[(?:(?:{_SCOPE.pattern})(?:, |(?=\])))*+\]")
_DTYPES = {
    1: "float", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool",
    10: "float16", 11: "double", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16",
}  # fmt: skip
"""TensorProto.DataType of onnx.proto."""


def graph_from_bytes(data: bytes, name: str) -> Graph:
    """Read the graph of an ONNX model, subgraphs included.

    Args:
        data: A serialized ModelProto; initializers may be stripped of their data.
        name: What to call the file in an error.

    Raises:
        AttribError: The bytes are not an ONNX model.
    """
    from google.protobuf.message import DecodeError

    model = model_class()()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise AttribError(
            f"{name}: not an ONNX model ({error})", hint="capture again, or get an intact copy"
        ) from error
    graph = model.graph
    nested = flatten_nodes(graph, MOST_NODES)
    if len(nested) > MOST_NODES:
        raise AttribError(f"{name}: holds more than {MOST_NODES:,} nodes", hint="profile a smaller model")
    graphs = (graph, *(inner for item in nested for _, inner in item.subgraphs))
    if not all(isinstance(text, str) for text in _texts(graphs)):
        raise AttribError(f"{name}: not an ONNX model (a name is not UTF-8)", hint="get an intact copy")
    constants = {
        name
        for g in graphs
        for name in (*(i.name for i in g.initializer), *(i.values.name for i in g.sparse_initializer))
    }
    values: dict[str, Tensor] = {}
    for g in reversed(graphs):
        for v in (*g.input, *g.value_info, *g.output):
            stated = v.type.tensor_type
            shape = tuple(d.dim_value if d.HasField("dim_value") else -1 for d in stated.shape.dim)
            values[v.name] = Tensor(_DTYPES.get(stated.elem_type, ""), shape)
        values |= {i.name: Tensor(_DTYPES.get(i.data_type, ""), tuple(i.dims)) for i in g.initializer}
    # Before IR version 4 every initializer had to be an input, and none could be replaced.
    initial = {item.name for item in graph.initializer if model.ir_version >= OVERRIDABLE_SINCE}
    overridable = frozenset(value.name for value in graph.input if value.name in initial)
    return Graph(
        nodes=tuple(_node(index, item) for index, item in enumerate(nested)),
        inputs=tuple(value.name for value in graph.input if value.name not in constants),
        outputs=tuple(value.name for value in graph.output),
        constants=frozenset(constants),
        values=values,
        opset=next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 0),
        producer=model.producer_name,
        overridable=overridable,
    )


def _texts(graphs: Iterable[Any]) -> Iterator[Any]:
    """Every name in the graphs: protobuf gives bytes for text that is no UTF-8."""
    for graph in graphs:
        for node in graph.node:
            yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
            yield from (text for item in node.metadata_props for text in (item.key, item.value))
            yield from (attribute.name for attribute in node.attribute)
        for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
            yield value.name
        yield from (item.values.name for item in graph.sparse_initializer)


def _node(index: int, item: Nested) -> GraphNode:
    node = item.node
    properties = {p.key: p.value for p in node.metadata_props if len(p.value) <= MAX_METADATA}
    scopes = scopes_from_metadata(properties.get(NAME_SCOPES, ""))
    fx = _FX.match(properties.get(FX_NODE, ""))
    return GraphNode(
        name=node.name,
        index=index,
        op=node.op_type,
        domain="" if node.domain == "ai.onnx" else node.domain,
        inputs=item.inputs,
        outputs=item.outputs,
        scope=scopes[-2] if len(scopes) > 1 else scope_from_name(node.name, node.op_type),
        fx_node=fx[1] if fx else "",
        fx_target=fx[2] if fx else "",
        parent=item.parent,
        branch=item.branch,
        attributes={a.name: text for a in node.attribute if (text := _attribute(a)) is not None},
    )


def scopes_from_metadata(text: str) -> list[str]:
    """The dynamo exporter's `name_scopes`: a Python list of qualified names, the fx node's own name last."""
    if not _SCOPES.fullmatch(text):
        return []
    return [single or double for single, double in _SCOPE.findall(text)]


def scope_from_name(name: str, op: str) -> str | None:
    """The module scope in a TorchScript exporter's node name, `/encoder/layer.0/output/dense/MatMul`.

    None where the name does not have that form: the last part must be the op type, with an optional number.
    """
    parts = name.split("/")
    if parts[0] or not parts[1:] or not re.fullmatch(rf"{re.escape(op)}(_\d+)?", parts[-1]):
        return None
    return ".".join(parts[1:-1])


def _attribute(attribute: Any) -> str | None:
    """An attribute as text; None for tensors and graphs."""
    kinds = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints"}  # AttributeProto.AttributeType of onnx.proto
    field = kinds.get(attribute.type)
    if field is None:
        return None
    value = getattr(attribute, field)
    if field == "s":
        return str(value, "utf-8", "replace")[:200]
    return ",".join(map(str, value[:64])) if field.endswith("s") else str(value)
