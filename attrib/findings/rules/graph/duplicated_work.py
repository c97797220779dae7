"""duplicated-work: nodes that compute once more what another node computes, and PyTorch calls once.

Numbered cases, cited in the code. Two nodes are twins if they have the same op, attributes and result size, and read the
same values or results of twins; weights count as the same where their sizes agree, because a trace directory holds no
weights. That alone proves nothing (the query and the key of an attention are twins). A twin is a duplicate only

1. if it belongs to no PyTorch call while its twin does, and no call of that kind is left over on PyTorch's side; or
2. if it shares its region with its twin, and the region has fewer calls of that kind than twins.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping

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
        summary=f"{op_counts(evidence, 'onnxruntime', nodes)} repeat other nodes of the graph, with the same inputs and"
        f" weights of the same size, and PyTorch has no second call.",
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
    """Nodes of the graph that compute the same as far as a graph without weights can tell."""
    weights = {  # they count as the same where their sizes agree
        name: ("constant", tensor.dtype, tensor.shape)
        for name, tensor in ran.graph.values.items()
        if name in ran.graph.constants
    }
    kinds: dict[str, Hashable] = {}
    numbers: dict[Hashable, int] = {}
    groups: dict[int, list[GraphNode]] = defaultdict(list)
    for node in ran.graph.nodes:
        result = ran.result(node)
        key = (
            node.op,
            node.domain,
            node.parent,
            tuple(sorted(node.attributes.items())),
            tuple(weights.get(name) or kinds.get(name, name) for name in node.inputs),
            (result.dtype, result.shape) if result is not None else node.index,
        )
        number = numbers.setdefault(key, len(numbers))
        groups[number].append(node)
        kinds |= {name: (number, place) for place, name in enumerate(node.outputs) if name}
    return [nodes for nodes in groups.values() if len(nodes) > 1]


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
            yield from ((work.id, works[0].id) for work in works[len(called[region]) :])  # 2
        elif kept and not any(call in spare for calls in called.values() for call in calls):
            yield from ((work.id, kept[0]) for work in works)  # 1


RULE = Rule(
    id="duplicated-work",
    passed="No measurable time goes into computing the same twice",
    failed="{} again what another one has computed",
    example="3 nodes compute",
    about=(
        "A graph that was put together from parts, or exported from a module that is called twice, may hold the same branch"
        " twice. ONNX Runtime merges nodes only if they read the very same values, so that a copy of a weight is enough to"
        " keep both. The rule looks for nodes that are the same up to the values of their weights, of which PyTorch's side"
        " has fewer calls than the graph has nodes, and claims the time of the surplus."
    ),
    cause="extra_work",
    needs=("delta", "partitions", "regions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C14",),
    experiments=("duplicates",),
)
