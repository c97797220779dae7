"""Values that a rewrite left only in another representation, under the name that they had before.

Numbered cases, cited in the code:

1. onnxruntime's quantizer appends to the name of a value: `h_quantized` stands for `h`.
2. ORT's blocked convolution layout (NCHWc) gives values new names, but names each node after the value that it makes:
   `relu_1_nchwc` makes `relu_1`. Where it took in a residual sum or an activation after that, it makes the value behind.
3. If that value is there too (the blocked one was converted back for another reader), the converted one is the copy.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from attrib.lineage.graph import Graph, GraphNode

VALUE_MARKS = ("_quantized", "_QuantizeLinear_Output", "_DequantizeLinear_Output")
NODE_MARKS = ("_nchwc",)
SUM_INPUT = 3
"""Position of the residual that NCHWc convolutions add to their result."""


def by_one_name(graphs: Sequence[Graph]) -> list[Graph]:
    """The graphs of a chain, each value under the name that it had in the first graph that has it."""
    found = list(graphs[:1])
    for graph in graphs[1:]:
        before, now, names = _Before(found[-1]), producers(graph), dict[str, str]()
        for node in graph.nodes:
            for name in node.outputs:
                stem = _stem(name)
                if name not in before.makers and stem in before.makers and stem not in now:
                    names[name] = stem  # 1
            if (made := before.made_by(node)) is not None:
                names[node.outputs[0]] = made  # 2
                if made in now:
                    names[made] = f"{made} (copy)"  # 3
        found.append(_renamed(graph, names) if names else graph)
    return found


def producers(graph: Graph) -> dict[str, int]:
    """Value name -> position of the node that produces it."""
    return {name: node.index for node in graph.nodes for name in node.outputs if name}


def _stem(name: str) -> str:
    return next((name.removesuffix(mark) for mark in VALUE_MARKS if name.endswith(mark)), name)


class _Before:
    """The graph before a rewrite: who makes each of its values, and who reads it."""

    def __init__(self, graph: Graph) -> None:
        self.makers = producers(graph)
        self._nodes = graph.nodes
        self._readers: dict[str, list[GraphNode]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def made_by(self, node: GraphNode) -> str | None:
        """The value that a node named after a value makes; None where its name says none."""
        stem = next((node.name.removesuffix(mark) for mark in NODE_MARKS if node.name.endswith(mark)), "")
        if stem not in self.makers or not node.outputs or node.outputs[0] in self.makers:
            return None
        if len(node.inputs) > SUM_INPUT:
            stem = self._behind(stem, "Add")
        activation = node.attributes.get("activation", "")
        done = not activation or self._nodes[self.makers[stem]].op == activation
        return stem if done else self._behind(stem, activation)

    def _behind(self, value: str, op: str) -> str:
        """What the reader of a value with that op makes of it; the value itself where there is no such reader."""
        return next((node.outputs[0] for node in self._readers.get(value, ()) if node.op == op), value)


def _renamed(graph: Graph, names: dict[str, str]) -> Graph:
    nodes = (
        replace(
            node,
            inputs=tuple(names.get(name, name) for name in node.inputs),
            outputs=tuple(names.get(name, name) for name in node.outputs),
        )
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))
