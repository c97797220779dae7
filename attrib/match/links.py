"""Links between PyTorch calls and nodes of the exported graph, and what the matchers work on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from attrib.lineage.components import input_free_values
from attrib.lineage.graph import Graph, GraphNode
from attrib.model.region import Method
from attrib.model.work import Work


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One call and one exported node that compute the same thing, by position, and why."""

    call: int
    node: int
    method: Method
    confidence: float
    evidence: str


@dataclass(frozen=True, slots=True, eq=False)
class Unmatched:
    """What a matcher may still link: positions of calls and nodes, with the scope of each node.

    `scopes` is by node position: the module scope in PyTorch's spelling, None where the graph does not say.
    """

    calls: tuple[Work, ...]
    graph: Graph
    scopes: tuple[str | None, ...]
    open_calls: tuple[int, ...]
    open_nodes: tuple[int, ...]


Matcher = Callable[[Unmatched], list[Link]]


def unmatched(calls: tuple[Work, ...], graph: Graph) -> Unmatched:
    """Everything is open at first, except nodes that depend on no input: they are folded, not run."""
    free = input_free_values(graph)
    nodes = tuple(n.index for n in graph.nodes if not all(name in free for name in n.outputs))
    return Unmatched(calls, graph, _torch_scopes(calls, graph), tuple(range(len(calls))), nodes)


def without(state: Unmatched, links: list[Link]) -> Unmatched:
    """What is left after some links were made."""
    calls, nodes = {link.call for link in links}, {link.node for link in links}
    return Unmatched(
        state.calls,
        state.graph,
        state.scopes,
        tuple(i for i in state.open_calls if i not in calls),
        tuple(i for i in state.open_nodes if i not in nodes),
    )


def _torch_scopes(calls: tuple[Work, ...], graph: Graph) -> tuple[str | None, ...]:
    """Scopes of the nodes as PyTorch spells them.

    An exporter's wrapper puts one more name in front of every scope; drop it if more scopes are then known.
    """
    known = {call.scope for call in calls}
    known |= {".".join(scope.split(".")[:n]) for scope in known for n in range(scope.count(".") + 1)} | {""}
    raw = [node.scope for node in graph.nodes]
    inner = [None if scope is None else scope.partition(".")[2] for scope in raw]
    return tuple(max(raw, inner, key=lambda scopes: sum(bool(scope) and scope in known for scope in scopes)))


def tensors_in(graph: Graph, nodes: Sequence[GraphNode]) -> tuple[frozenset[int], bool]:
    """Numbers of elements that nodes read, and whether the file states the type of every input."""
    names = {name for node in nodes for name in node.inputs if name}
    known = [graph.values[name] for name in names if name in graph.values]
    sizes = frozenset(t.elements for t in known if -1 not in t.shape)
    return sizes, len(known) == len(names)


def shapes_agree(call: Work, sizes: frozenset[int], *, complete: bool) -> bool | None:
    """Whether the largest tensor that a call reads is among those of its nodes, by number of elements.

    Layout is not compared: exporters transpose weights and flatten batches. None where either side does not say.
    """
    largest = max((t.elements for t in call.inputs), default=None)
    if largest in sizes:
        return True
    return False if complete and sizes and largest is not None else None
