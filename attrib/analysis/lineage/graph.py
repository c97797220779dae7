"""An ONNX graph as the analysis needs it: nodes, the names of the values between them, and their types."""

from collections.abc import Callable, Iterator

import msgspec

from attrib.model.tensor import Tensor


class GraphNode(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One node. `inputs` and `outputs` are value names; an omitted optional input is an empty string.

    A node that holds subgraphs (`If`, `Loop`, `Scan`) follows the nodes inside it and reads, besides its own inputs,
    what they leave to it.

    Attributes:
        name: The node's own name; may be empty or repeated in files from elsewhere.
        index: Position among the nodes of the graph, those of subgraphs included; topological order.
        op: Op type, e.g. `MatMul`.
        domain: Empty for ONNX itself, e.g. `com.microsoft` for ORT's contrib ops.
        inputs: Names of the input values.
        outputs: Names of the output values.
        scope: Qualified module name; None where the exporter did not record one.
        fx_node: Name of the fx node that it was exported from, e.g. `linear_4`; empty where not recorded.
        fx_target: The aten overload of that fx node, e.g. `aten.linear.default`; empty where not recorded.
        parent: Index of the node whose subgraph holds this one; -1 in the main graph.
        branch: The attribute of the parent that holds it, e.g. `then_branch`; empty in the main graph.
        attributes: Integer, float and string attributes as text, e.g. `{"perm": "0,2,1,3"}`.
    """

    name: str
    index: int
    op: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scope: str | None = None
    fx_node: str = ""
    fx_target: str = ""
    parent: int = -1
    branch: str = ""
    attributes: dict[str, str] = {}


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """One graph. `values` holds the types that the file states, `constants` the names of initializers.

    `overridable` are initializers that are graph inputs as well: a caller may replace them, so that no optimizer may take
    them for constants.
    """

    nodes: tuple[GraphNode, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    constants: frozenset[str]
    values: dict[str, Tensor]
    opset: int
    producer: str = ""
    overridable: frozenset[str] = frozenset()


def walk(first: GraphNode | None, following: Callable[[GraphNode], GraphNode | None]) -> Iterator[GraphNode]:
    """A node and what follows it, one by one, as far as there is something.

    Ends where a node comes again: a file from elsewhere may hold a cycle, although ONNX forbids it.

    Args:
        first: Where to begin; None for an empty walk.
        following: The next node, e.g. the one that reads a result; asked only when the walk goes on.
    """
    seen: set[int] = set()
    node = first
    while node is not None and node.index not in seen:
        seen.add(node.index)
        yield node
        node = following(node)
