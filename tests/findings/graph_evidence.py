"""Hand-made evidence for rules that read the graph that ran: nodes with their times, and the rows that hold them."""

from dataclasses import dataclass

import msgspec

from attrib.analysis.lineage.graph import GraphNode
from attrib.model.manifest import EXPORTED, OPTIMIZED
from attrib.model.tensor import Tensor
from attrib.model.work import Work
from tests.findings.evidence_factory import FakeLedger, evidence, graph, row

HIDDEN = Tensor("float", (1, 32, 768))


@dataclass(frozen=True)
class Ran:
    """A node of the graph, what it took, its tensors, and the calls of PyTorch for the same work."""

    node: GraphNode
    ns: int
    result: Tensor = HIDDEN
    reads: tuple[Tensor, ...] = ()
    calls: tuple[tuple[str, str], ...] = ()
    torch_ns: int = 0
    cause: str = "kernel"
    region: str = ""


def given(*ran, constants=(), outputs=("y",), values=None, calls=None, exported=None, **changes):
    """Evidence of a run of these nodes, a row each (those of one region and cause share it)."""
    nodes = [one.node for one in ran]
    ran_graph = msgspec.structs.replace(
        graph(*nodes, values=values), constants=frozenset(constants), outputs=tuple(outputs)
    )
    works = {
        "torch": {
            name: Work(id=name, engine="torch", op=op) for one in ran for name, op in one.calls
        } | (calls or {}),
        "onnxruntime": {
            one.node.name: Work(
                id=one.node.name, engine="onnxruntime", op=one.node.op, inputs=one.reads, outputs=(one.result,)
            )
            for one in ran
        },
    }  # fmt: skip
    rows = _rows(ran)
    times = {one.node.name: one.ns for one in ran}
    times |= {name: one.torch_ns // max(len(one.calls), 1) for one in ran for name, _ in one.calls}
    graphs = {EXPORTED: exported or ran_graph, OPTIMIZED: ran_graph}
    return evidence(*rows, **{"works": works, "ledger": FakeLedger(rows, times), "graphs": graphs, **changes})


def _rows(ran):
    groups = {}
    for one in ran:
        groups.setdefault((one.region or one.node.name, one.cause), []).append(one)
    return tuple(
        row(
            cause,
            sum(one.torch_ns for one in its),
            sum(one.ns for one in its),
            region=region,
            calls=[call for one in its for call in one.calls],
            nodes=[(one.node.name, one.node.op) for one in its],
        )
        for (region, cause), its in groups.items()
    )
