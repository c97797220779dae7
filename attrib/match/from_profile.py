"""The executed nodes as the only graph there is: what the profile says of their order and of who belongs to whom.

ONNX Runtime executes depth first: the key projection before the query's, the value's after the softmax. The order of
the export, which is PyTorch's order of calls, shows in two places that are read here as chains (see `Chain`):

1. `node_index`: nodes keep the number that they had in the file that was loaded. Nodes that ONNX Runtime made itself
   are numbered after all of these, and are left out.
2. Running numbers in names (`node_MatMul_45`, and `node_MatMul_45/MatMulAddFusion` for the node it went into).

A chain counts only if it rises with execution: some exporters count per op, and in a file without names nothing tells
which nodes ONNX Runtime made. One that is the order of execution says nothing new.

Layout nodes that ONNX Runtime put around a node of its own (the reshapes of a `Gemm`, the reorders of a blocked
convolution) belong to that node: the tensor between the two is one that PyTorch never had.
"""

import re
from collections.abc import Callable, Sequence

from attrib.lineage.graph import Graph, GraphNode
from attrib.match.names import NodeName, counts_globally, node_name_parts
from attrib.match.ops import node_role
from attrib.model.tensor import Tensor
from attrib.model.work import Work

Chain = tuple[int, ...]
"""Positions of nodes in the order in which they were exported."""

RISING = 0.9
"""Least rank correlation with execution for numbers to count as an order: that of a true order was 0.93 and more on BERTs of
2 to 12 layers, whatever the exporter and the optimization, and that of a false one 0.84 at most."""
FEWEST = 4
"""Nodes that a chain needs."""
NEAREST = 8
"""How many nodes away the node is looked for that a layout node was put around."""
_REPEATED = re.compile(r"#\d+$")


def graph_from_work(nodes: Sequence[Work]) -> Graph:
    """A graph of the executed nodes alone: its values are known by type, but not where they come from."""
    values = {f"?{i}.{k}": t for i, n in enumerate(nodes) for k, t in enumerate(n.inputs)}
    values |= {f"!{i}.{k}": t for i, n in enumerate(nodes) for k, t in enumerate(n.outputs)}
    return Graph(
        nodes=tuple(
            GraphNode(
                name=n.id,
                index=i,
                op=n.op,
                domain="",
                inputs=tuple(f"?{i}.{k}" for k in range(len(n.inputs))) or (f"?{i}",),
                outputs=tuple(f"!{i}.{k}" for k in range(len(n.outputs))) or (f"!{i}",),
                scope=name_of(n).scope,
            )
            for i, n in enumerate(nodes)
        ),
        inputs=(),
        outputs=(),
        constants=frozenset(),
        values=values,
        opset=0,
    )


def name_of(node: Work) -> NodeName:
    """What the name of an executed node says."""
    return node_name_parts(_REPEATED.sub("", node.id), node.op)


def export_chains(nodes: Sequence[Work]) -> tuple[Chain, ...]:
    """Nodes whose order of export is known, the surest chain first (cases 1 and 2)."""
    names = [name_of(node) for node in nodes]
    kept = [i for i, n in enumerate(nodes) if n.node_index >= 0 and not names[i].made]
    counted = [i for i, name in enumerate(names) if counts_globally(name)]
    chains = [_sorted(kept, lambda i: nodes[i].node_index), _sorted(counted, lambda i: names[i].number)]
    return tuple(
        chain for chain in chains if len(chain) >= FEWEST and RISING <= _rank_correlation(chain) < 1.0
    )


def _sorted(positions: list[int], key: Callable[[int], int]) -> Chain:
    return tuple(sorted(positions, key=lambda i: (key(i), i)))


def _rank_correlation(chain: Chain) -> float:
    """Spearman's coefficient of the chain's order and the order of execution."""
    n = len(chain)
    ranks = {node: rank for rank, node in enumerate(sorted(chain))}
    squares = sum((ranks[node] - place) ** 2 for place, node in enumerate(chain))
    return 1.0 - 6.0 * squares / (n * (n * n - 1)) if n > 1 else 1.0


def wrappers(calls: Sequence[Work], nodes: Sequence[Work]) -> dict[int, int]:
    """Layout nodes that ONNX Runtime put around another node, with that node, by position."""
    known = {t for call in calls for t in call.inputs}
    found: dict[int, int] = {}
    for i, node in enumerate(nodes):
        if not known or node_role(node) not in ("layout", "cast", "quantize") or not name_of(node).made:
            continue
        reader = _neighbour(nodes, range(i + 1, i + 1 + NEAREST), _new(node.outputs, known), reads=True)
        maker = _neighbour(nodes, range(i - 1, i - 1 - NEAREST, -1), _new(node.inputs, known), reads=False)
        partner = reader if reader is not None else maker
        if partner is not None:
            found[i] = partner
    return {i: _end(found, i) for i in found}


def _new(tensors: Sequence[Tensor], known: set[Tensor]) -> set[Tensor]:
    """The tensors of a type that no PyTorch call read."""
    return {t for t in tensors[:1] if t not in known}


def _neighbour(nodes: Sequence[Work], places: range, wanted: set[Tensor], *, reads: bool) -> int | None:
    inside = (i for i in places if 0 <= i < len(nodes))
    return next((i for i in inside if wanted & {*(nodes[i].inputs if reads else nodes[i].outputs)}), None)


def _end(found: dict[int, int], start: int) -> int:
    """Follow layout nodes around layout nodes to the node inside; the last new one where they go in circles."""
    seen, place = {start}, found[start]
    while place in found and found[place] not in seen:
        seen.add(place)
        place = found[place]
    return place
