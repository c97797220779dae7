"""Which node of the graph that ran each executed node is.

Numbered cases, cited in the code:

1. By name; nodes that share a name by op and order. A node in the body of a loop runs several times: all are that node.
2. A node without a name goes by its op and an index in the profile (`MatMul_12`). ORT executes in the order in which
   it saves the graph, so the n-th such node of an op is the n-th nameless node of that op, in every turn of a loop.
"""

import re
from collections import Counter
from collections.abc import Sequence

from attrib.analysis.lineage.components import nodes_by_name
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.model.work import Work

_INDEXED = re.compile(r"((?P<op>.*)_\d+)(?:#\d+)?", re.DOTALL)
"""How a node without a name goes in a profile, and in which turn of a loop."""


def executed_by_node(nodes: Sequence[Work], graph: Graph) -> dict[int, list[int]]:
    """Positions of executed work by position of the node in the graph that ran."""
    named = nodes_by_name(graph)
    nameless: dict[str, list[GraphNode]] = {}
    for member in named.pop("", []):
        nameless.setdefault(member.op, []).append(member)
    alike: dict[tuple[str, str], list[GraphNode]] = {}
    for member in graph.nodes:
        if member.name:
            alike.setdefault((member.name, member.op), []).append(member)
    found: dict[int, list[int]] = {}
    seen: Counter[str] = Counter()
    turns: dict[str, GraphNode] = {}
    for position, node in enumerate(nodes):
        name = node.id if node.id in named else node.id.rpartition("#")[0]
        rivals = alike.get((name, node.op)) or named.get(name, [])  # 1
        indexed = _INDEXED.fullmatch(node.id)
        own = indexed if indexed and indexed["op"] == node.op else None
        if not rivals and own:
            known = turns.get(own[1])
            name, rivals = f"{node.op}_", [known] if known else nameless.get(node.op, [])  # 2
        if rivals:
            chosen = rivals[min(seen[name], len(rivals) - 1)]
            found.setdefault(chosen.index, []).append(position)
            if not own or own[1] not in turns:
                seen[name] += 1
            if own and name == f"{node.op}_":
                turns[own[1]] = chosen
    return found
