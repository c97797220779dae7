"""The graph that ran, with what was executed for each of its nodes."""

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec
from msgspec.structs import replace

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.executed import executed_by_node
from attrib.findings.protocol import Evidence
from attrib.model.document import LedgerRow
from attrib.model.tensor import Tensor
from attrib.model.work import Work


class ExecutedGraph(msgspec.Struct, frozen=True):
    """The graph that ran, and what was executed for each of its nodes.

    Attributes:
        evidence: Where it comes from.
        graph: The graph that ran.
        executed: Ids of the executed nodes by position of the node in the graph.
        makers: The node that computes each value.
        reads: How many nodes read each value; a graph output is read once more.
        readers: The last node that reads each value.
    """

    evidence: Evidence
    graph: Graph
    executed: dict[int, tuple[str, ...]] = msgspec.field(default_factory=dict)
    makers: dict[str, GraphNode] = msgspec.field(default_factory=dict)
    reads: Counter[str] = msgspec.field(default_factory=Counter)
    readers: dict[str, GraphNode] = msgspec.field(default_factory=dict)

    def ids(self, nodes: Iterable[GraphNode]) -> tuple[str, ...]:
        """Ids of what was executed for the nodes, in their order."""
        return tuple(work for node in nodes for work in self.executed.get(node.index, ()))

    def work(self, node: GraphNode) -> Work | None:
        """What was executed for a node; None where nothing was."""
        found = self.executed.get(node.index, ())
        return self.evidence.work["onnxruntime"].get(found[0]) if found else None

    def source(self, node: GraphNode) -> Tensor | None:
        """Type of a node's first input: as executed, else as the file states it."""
        work = self.work(node)
        if work is not None and work.inputs:
            return work.inputs[0]
        return self.graph.values.get(node.inputs[0]) if node.inputs else None

    def result(self, node: GraphNode) -> Tensor | None:
        """Type of a node's first result: as executed, else as the file states it."""
        work = self.work(node)
        if work is not None and work.outputs:
            return work.outputs[0]
        return self.graph.values.get(node.outputs[0]) if node.outputs else None

    def maker(self, value: str) -> GraphNode | None:
        """The node that computes a value."""
        return self.makers.get(value)

    def is_constant(self, value: str) -> bool:
        """Whether a value is a weight or another constant of the graph."""
        maker = self.makers.get(value)
        return value in self.graph.constants or (maker is not None and maker.op == "Constant")

    def reader(self, value: str) -> GraphNode | None:
        """The one node that reads a value; None where there are more, or none."""
        return self.readers.get(value) if self.reads[value] == 1 else None


def executed_graph(evidence: Evidence) -> ExecutedGraph:
    """The graph that ran, or the last one captured, with what was executed.

    The rule must need `partitions`, and `optimized` or `ran`.
    """
    graph = evidence.ran
    assert graph is not None  # noqa: S101  (the rule needs it)
    work = evidence.partitions["onnxruntime"].work
    # Ten rules ask for it, and the runner gives the next ones another ledger, but the same graph and the same work.
    kept: ExecutedGraph | None = evidence.memo.get("ran")
    if kept is not None and kept.graph is graph and kept.evidence.partitions is evidence.partitions:
        return replace(kept, evidence=evidence)
    reads = Counter(value for node in graph.nodes for value in node.inputs)
    reads.update(graph.outputs)
    found = ExecutedGraph(
        evidence,
        graph,
        {i: tuple(work[j].id for j in found) for i, found in executed_by_node(work, graph).items()},
        {value: node for node in graph.nodes for value in node.outputs if value},
        reads,
        {value: node for node in graph.nodes for value in node.inputs},
    )
    evidence.memo["ran"] = found
    return found


def explained_works(rows: Sequence[LedgerRow], nodes: Iterable[str]) -> tuple[str, ...]:
    """The nodes, and the calls of those rows that hold no other node: such a row is explained as a whole."""
    chosen = dict.fromkeys(nodes)
    calls = (call for row in rows if set(row.onnx_nodes) <= chosen.keys() for call in row.torch_calls)
    return (*chosen, *calls)
