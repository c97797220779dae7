"""duplicated-work: nodes that compute once more what another node computes, and PyTorch calls once.

Numbered cases, cited in the code. Two nodes look alike if they have the same op, attributes and result size, and read the
same values or results of nodes that look alike; of weights only the sizes count, because a trace directory holds none. That
proves nothing (the query and the key of an attention look alike). They are twins only

1. if they read the very same values, weights among them, or what such nodes made of those;
2. if the recorded step says that their results are the same numbers; or
3. if nobody but twins reads their results, so that one of them goes with its reader.

A twin is a duplicate only

4. if it belongs to no PyTorch call while its twin does, and no call of that kind is left over on PyTorch's side; or
5. if it shares its region with its twin, and the region has fewer calls of that kind than twins.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping

from attrib.analysis.lineage.components import draws
from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.ops import SPELLED, emits, node_role
from attrib.findings.evidence.advice import phrase, rewritten
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph, explained_works
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    ids,
    nodes_line,
    nodes_ns,
    op_counts,
    rows_holding,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import LedgerRow
from attrib.model.work import Work
from attrib.wording import counted

Copies = dict[str, str]
"""Executed node that is a duplicate -> the one that it repeats."""


def audit(evidence: Evidence) -> RuleResult:
    """Find the nodes that do again what was done, and weigh them."""
    copies = duplicates(executed_graph(evidence))
    if not copies:
        return RuleResult(failed=False, summary="No node computes again what another one has computed.")
    nodes = tuple(copies)
    rows, spent = rows_holding(evidence, nodes), evidence.ledger.work("onnxruntime", nodes)
    slowest = sorted(copies, key=lambda name: (-nodes_ns(evidence, [name]), name))
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=spent,
        works=explained_works([row for row in rows if not row.torch_calls], nodes),
        detail=counted(len(nodes), "node computes", "nodes compute"),
        summary=f"{op_counts(evidence, 'onnxruntime', nodes)} repeat other nodes of the graph: they read the same values"
        " or give the same numbers, and PyTorch has no second call.",
        price="They take {} of a step.",
        evidence=tuple(
            nodes_line(evidence, f"{name} repeats {copies[name]}: ", [name]) for name in slowest[:MOST_GROUPS]
        ),
        fix=phrase(
            "Merge them: {} does so where the weights are equal. ", rewritten(evidence, "merge-duplicates")
        )
        + "ONNX Runtime merges equal nodes only if they read the very same initializers.",
    )


def duplicates(ran: ExecutedGraph) -> Copies:
    """Executed nodes that repeat another one, and those that only serve duplicates."""
    every = ran.evidence.ledger.rows
    rows = {name: row for row in every for name in row.onnx_nodes}
    spare = {
        op for row in every if not row.onnx_nodes for op in row.torch_ops
    }  # calls of PyTorch without any node
    ops: dict[str, list[str]] = defaultdict(list)
    for row in every:
        ops[row.region] += row.torch_ops
    found: Copies = {}
    for twins in twin_groups(ran):
        works = [work for node in twins if (work := ran.work(node)) is not None and work.id in rows]
        computing = [work for work in works if node_role(work) == "compute"]
        if len(computing) > 1:
            found |= dict(_repeated(computing, rows, ops, spare))
    # everything else in the rows of regions that no call belongs to
    called = {row.region for row in every if row.torch_calls}
    alone = {rows[name].region for name in found} - called
    for row in every:
        if row.region in alone:
            first = next((found[name] for name in row.onnx_nodes if name in found), row.onnx_nodes[0])
            found |= {name: first for name in row.onnx_nodes if name not in found}
    return found


def twin_groups(ran: ExecutedGraph) -> list[list[GraphNode]]:
    """Nodes of the graph that are proved to compute the same (cases 1 to 3)."""
    graph = ran.graph
    sizes = {
        name: ("constant", tensor.dtype, tensor.shape)
        for name, tensor in graph.values.items()
        if name in graph.constants
    }
    read = _kinds(ran, {})
    alike: dict[int, list[GraphNode]] = defaultdict(list)
    for node, kind in zip(graph.nodes, _kinds(ran, sizes), strict=True):
        alike[kind].append(node)
    readers: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for node in graph.nodes:
        for place, name in enumerate(node.inputs):
            readers[name].append((node.index, place))
    proved = DisjointSets(len(graph.nodes))
    for kind in sorted(alike, reverse=True):  # what reads a node is of a later kind
        first: dict[Hashable, int] = {}
        for node in alike[kind] if len(alike[kind]) > 1 else ():
            keys: list[Hashable] = [read[node.index]]  # 1
            made = [value for name in node.outputs if (value := ran.evidence.numbers.get(name)) is not None]
            if made and all(value.kind == "numbers" and value.same for value in made):
                keys.append(("made", *(value.same for value in made)))  # 2
            reading = [[(proved.find(i), place) for i, place in readers[name]] for name in node.outputs]
            if any(reading) and not set(node.outputs).intersection(graph.outputs):
                keys.append(("serves", *map(frozenset, reading)))  # 3
            for key in keys:
                proved.union(first.setdefault(key, node.index), node.index)
    return [[graph.nodes[i] for i in group] for group in proved.groups() if len(group) > 1]


def _kinds(ran: ExecutedGraph, weights: Mapping[str, Hashable]) -> list[int]:
    """A number for each node, equal for two that read the same; weights may count as the same as others."""
    kinds: dict[str, Hashable] = {}
    numbers: dict[Hashable, int] = {}
    found = []
    for node in ran.graph.nodes:
        result = ran.result(node)
        key = (
            node.op,
            node.domain,
            node.parent,
            tuple(sorted(node.attributes.items())),
            tuple(weights.get(name) or kinds.get(name, name) for name in node.inputs),
            (result.dtype, result.shape) if result is not None and not draws(node) else node.index,
        )
        found.append(numbers.setdefault(key, len(numbers)))
        kinds |= {name: (found[-1], place) for place, name in enumerate(node.outputs) if name}
    return found


def _repeated(
    twins: list[Work], rows: Mapping[str, LedgerRow], ops: Mapping[str, list[str]], spare: Collection[str]
) -> Iterator[tuple[str, str]]:
    """The duplicates among twins, each with the node that it repeats.

    Args:
        twins: Executed nodes that may compute the same.
        rows: The ledger row of each node.
        ops: Ops of the calls in each region.
        spare: Ops of calls without any node.
    """
    regions: dict[str, list[Work]] = defaultdict(list)
    for work in twins:
        regions[rows[work.id].region].append(work)
    called = {}
    for region, works in regions.items():
        # ops of the calls that such a node may stand for; all computing ones where none fits by name
        kind = SPELLED.get(works[0].op, works[0].op)
        fitting = [op for op in ops[region] if emits(op, kind)]
        called[region] = fitting or list(rows[works[0].id].torch_ops)
    kept = [works[0].id for region, works in regions.items() if called[region]]
    for region, works in regions.items():
        if called[region]:
            yield from ((work.id, works[0].id) for work in works[len(called[region]) :])  # 5
        elif kept and not any(call in spare for calls in called.values() for call in calls):
            yield from ((work.id, kept[0]) for work in works)  # 4


RULE = Rule(
    id="duplicated-work",
    passed="No measurable time goes into computing the same twice",
    failed="{} again what another one has computed",
    example="3 nodes compute",
    about=(
        "A graph that was put together from parts, or exported from a module that is called twice, may hold the same branch"
        " twice. ONNX Runtime merges nodes only if they read the very same values, so that a copy of a weight is enough to"
        " keep both. The rule looks for nodes of one kind that read the same values, or that gave the same numbers in the"
        " step that the capture watched, and of which PyTorch's side has fewer calls than the graph has nodes. It claims the"
        " time of the surplus."
    ),
    cause="extra_work",
    needs=("delta", "partitions", "regions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C14",),
    experiments=("duplicates",),
)
