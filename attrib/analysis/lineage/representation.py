"""Values that a rewrite left only in another representation, under the name that they had before.

Numbered cases, cited in the code:

1. The names say it: onnxruntime's quantizer appends to the name of a value (`h_quantized` stands for `h`), ORT's insertion
   of casts puts something in front (`InsertedPrecisionFreeCast_h`).
2. ORT's blocked convolution layout (NCHWc) gives values new names, but names each node after the value that it makes:
   `relu_1_nchwc` makes `relu_1`. Where it took in a residual sum or an activation after that, it makes the value behind.
3. A node that kept its name and its op, or became the quantized variant of that op, makes what it made before.
4. If the value is there too (converted back for another reader), the converted one is the copy.
"""

from collections import Counter
from collections.abc import Sequence

from msgspec.structs import replace

from attrib.analysis.lineage.graph import Graph, GraphNode

VALUE_SUFFIXES = ("_quantized", "_QuantizeLinear_Output", "_DequantizeLinear_Output")
VALUE_PREFIXES = ("InsertedPrecisionFreeCast_",)
NODE_MARKS = ("_nchwc",)
QUANTIZED = ("QLinear", "Q")
"""What stands in front of an op's name in its quantized variant."""
CARRIERS = frozenset({
    "MemcpyToHost", "MemcpyFromHost", "Cast", "QuantizeLinear", "DequantizeLinear", "ReorderOutput", "ReorderInput",
})  # fmt: skip
"""Nodes that only carry a value into another place, type or layout."""
SUM_INPUT = 3
"""Position of the residual that NCHWc convolutions add to their result."""


def by_one_name(graphs: Sequence[Graph]) -> list[Graph]:
    """The graphs of a chain, each value under the name that it had in the first graph that has it."""
    found = list(graphs[:1])
    for graph in graphs[1:]:
        before, now = _Before(found[-1]), producers(graph)
        names: dict[str, str] = {}
        taken: set[str] = set()
        for node in graph.nodes:
            made = before.made_by(node)
            if made is not None and made not in taken:
                taken.add(made)
                names[node.outputs[0]] = made
                if made in now:
                    names[made] = f"{made} (copy)"  # 4
        nodes = (
            replace(
                node,
                inputs=tuple(names.get(name, name) for name in node.inputs),
                outputs=tuple(names.get(name, name) for name in node.outputs),
            )
            for node in graph.nodes
        )
        found.append(replace(graph, nodes=tuple(nodes)) if names else graph)
    return found


def producers(graph: Graph) -> dict[str, int]:
    """Value name -> position of the node that produces it."""
    return {name: node.index for node in graph.nodes for name in node.outputs if name}


def _without(name: str, prefixes: Sequence[str]) -> str:
    return next((name.removeprefix(start) for start in prefixes if name.startswith(start)), name)


class _Before:
    """The graph before a rewrite: who makes each of its values, and who reads it."""

    def __init__(self, graph: Graph) -> None:
        self.makers = producers(graph)
        self._nodes = graph.nodes
        count = Counter(node.name for node in graph.nodes)
        self._by_name = {node.name: node for node in graph.nodes if node.name and count[node.name] == 1}
        self._readers: dict[str, list[GraphNode]] = {}
        for node in graph.nodes:
            for name in node.inputs:
                self._readers.setdefault(name, []).append(node)

    def made_by(self, node: GraphNode) -> str | None:
        """The value of this graph that a node of the next one makes under another name; None where nothing says so."""
        if len(node.outputs) != 1 or node.outputs[0] in self.makers or node.op in CARRIERS:
            return None
        made = node.outputs[0]
        suffix = next((end for end in VALUE_SUFFIXES if made.endswith(end)), "")
        stem = made.removesuffix(suffix) if suffix else _without(made, VALUE_PREFIXES)
        if stem in self.makers:
            return stem  # 1
        blocked = self.made_by_blocked(node)
        if blocked:
            return blocked  # 2
        same = self._by_name.get(node.name)
        if same is None or len(same.outputs) != 1 or same.op not in (node.op, _without(node.op, QUANTIZED)):
            return None
        return same.outputs[0]  # 3

    def made_by_blocked(self, node: GraphNode) -> str | None:
        """The value that a node of a blocked convolution makes (case 2); None where it is none."""
        stem = next((node.name.removesuffix(mark) for mark in NODE_MARKS if node.name.endswith(mark)), "")
        if stem not in self.makers:
            return None
        if len(node.inputs) > SUM_INPUT:
            stem = self.made_behind(stem, "Add")
        activation = node.attributes.get("activation", "")
        done = not activation or self._nodes[self.makers[stem]].op == activation
        return stem if done else self.made_behind(stem, activation)

    def made_behind(self, value: str, op: str) -> str:
        """What the reader of a value with that op makes of it; the value itself where there is no such reader."""
        return next((node.outputs[0] for node in self._readers.get(value, ()) if node.op == op), value)
