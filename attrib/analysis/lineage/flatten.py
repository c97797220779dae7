"""The nodes of a graph and of all its subgraphs, in one topological order and with names that are unique."""

import sys
from collections import ChainMap, Counter
from collections.abc import MutableMapping
from typing import Any

import msgspec


class Nested(msgspec.Struct, eq=False, kw_only=True):
    """One node protobuf with the names of its values, unique in the whole model.

    Attributes:
        node: The NodeProto.
        inputs: Its inputs, followed by what its subgraphs leave to it.
        outputs: Its outputs.
        branch: Attribute of the parent that holds it; empty in the main graph.
        parent: Position of the node whose subgraph holds it; -1 in the main graph.
        subgraphs: The GraphProtos that it holds, by attribute.
    """

    node: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    branch: str
    parent: int = -1
    subgraphs: tuple[tuple[str, Any], ...] = ()


def flatten_nodes(graph: Any, most: int = sys.maxsize) -> list[Nested]:
    """Every node, those of a subgraph right before the node that holds it; it ends soon after `most` of them.

    Two branches of one `If` may use the same names for their values: the second one's get the branch as a suffix.
    Protobuf's own limit on nesting bounds the recursion.
    """
    return _Flattening(most).graph(graph, {}, "")[0]


class _Flattening(msgspec.Struct, eq=False):
    most: int
    taken: Counter[str] = msgspec.field(default_factory=Counter)
    found: list[Nested] = msgspec.field(default_factory=list)

    def graph(
        self, graph: Any, outer: MutableMapping[str, str], branch: str
    ) -> tuple[list[Nested], tuple[str, ...]]:
        """Append the nodes of one graph; all nodes so far, and the names of the values that this graph leaves."""
        names = ChainMap[str, str]({}, outer)
        for node in graph.node:
            if len(self.found) > self.most:
                break
            # Attributes that are graphs, in order: AttributeProto holds one in `g` or several in `graphs`.
            held: list[tuple[str, Any]] = []
            for attribute in node.attribute:
                held += [(attribute.name, attribute.g)] if attribute.HasField("g") else []
                held += [(f"{attribute.name}[{i}]", inner) for i, inner in enumerate(attribute.graphs)]
            first = len(self.found)
            left: tuple[str, ...] = ()
            for name, inner in held:
                left += self.graph(inner, names, name)[1]
            inputs = tuple(names.get(name, name) for name in node.input)
            for name in node.output:
                number = self.taken[name] if name else 0
                self.taken[name] += 1
                names[name] = name if not number else f"{name}@{branch}#{number}"
            item = Nested(
                node=node,
                inputs=(*inputs, *left),
                outputs=tuple(names[name] for name in node.output),
                branch=branch,
                subgraphs=tuple(held),
            )
            self.found.append(item)
            for child in self.found[first:-1]:
                child.parent = len(self.found) - 1 if child.parent < 0 else child.parent
        return self.found, tuple(names.get(value.name, value.name) for value in graph.output)
