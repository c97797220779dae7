"""Editing an exported graph: finding nodes by the module that they came from, adding nodes, taking nodes out."""

import ast
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper, numpy_helper

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where the dynamo exporter writes the modules that a node came from, outermost first; the op comes last."""

PREFIX = "planted_"
"""What the names of added nodes and values begin with."""

Array = np.ndarray[Any, Any]


class Editing:
    """One graph being edited. Nodes may be added in any order: `finish` sorts them.

    Attributes:
        model: The graph; weights stay in the file that it names.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._numbers = itertools.count()
        self._metadata: list[Any] = []

    @property
    def graph(self) -> onnx.GraphProto:
        """The main graph."""
        return self.model.graph

    def nodes(self, op: str, module: str) -> list[NodeProto]:
        """Nodes of an op that came from one module, in the order of the graph."""
        return [node for node in self.graph.node if node.op_type == op and module_of(node) == module]

    def node(self, op: str, module: str, at: int = 0) -> NodeProto:
        """One of these nodes.

        Raises:
            LookupError: There is none.
        """
        found = self.nodes(op, module)
        if not found:
            raise LookupError(f"{module} has no {op}")
        return found[at]

    def imitate(self, node: NodeProto) -> None:
        """Give the nodes added from here on the exporter's metadata of this one, as if the exporter had written them."""
        self._metadata = list(node.metadata_props)

    def anonymous(self) -> None:
        """Add nodes without metadata from here on, as a tool that edits a graph does."""
        self._metadata = []

    def add(self, op: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node; the name of its output."""
        number = next(self._numbers)
        value = output or f"{PREFIX}value_{number}"
        node = helper.make_node(op, list(inputs), [value], name=f"{PREFIX}{op}_{number}", **attributes)
        node.metadata_props.extend(self._metadata)
        self.graph.node.append(node)
        return value

    def constant(self, array: Array) -> str:
        """Add an initializer; its name."""
        name = f"{PREFIX}constant_{next(self._numbers)}"
        self.graph.initializer.append(numpy_helper.from_array(array, name))
        return name

    def scalar(self, value: float, dtype: type = np.float32) -> str:
        """Add an initializer without axes; its name."""
        return self.constant(np.array(value, dtype=dtype))

    def take(self, node: NodeProto) -> NodeProto:
        """Remove a node; a copy of it, whose metadata the next nodes imitate."""
        copy = NodeProto()
        copy.CopyFrom(node)
        self.graph.node.remove(node)
        self.imitate(copy)
        return copy

    def readers(self, value: str) -> list[NodeProto]:
        """Nodes that read a value."""
        return [node for node in self.graph.node if value in node.input]

    def redirect(self, readers: Iterable[NodeProto], old: str, new: str) -> None:
        """Let these nodes read another value."""
        for node in readers:
            node.input[:] = [new if value == old else value for value in node.input]

    def show(self, value: str) -> None:
        """Make a value an output of the graph as well."""
        known = {info.name: info for info in self.graph.value_info}
        if value in known:
            self.graph.output.append(known[value])
        else:
            self.graph.output.append(helper.make_tensor_value_info(value, onnx.TensorProto.FLOAT, None))

    def finish(self) -> onnx.ModelProto:
        """The edited model, its nodes in an order in which they can run."""
        done = {value.name for value in (*self.graph.input, *self.graph.initializer)} | {""}
        waiting, ordered = list(self.graph.node), []
        while waiting:
            ready = next((i for i, node in enumerate(waiting) if done.issuperset(node.input)), None)
            if ready is None:
                raise LookupError(f"nothing computes what {waiting[0].name} reads")
            node = waiting.pop(ready)
            done.update(node.output)
            ordered.append(node)
        del self.graph.node[:]
        self.graph.node.extend(ordered)
        return self.model


def module_of(node: NodeProto) -> str:
    """The module that a node came from; empty where the exporter names none."""
    scopes = next((entry.value for entry in node.metadata_props if entry.key == SCOPES), "[]")
    names = ast.literal_eval(scopes)
    return str(names[-2]) if len(names) > 1 else ""
