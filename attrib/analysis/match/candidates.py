"""What the matchers work on, and what they find: links between PyTorch calls and nodes of a graph."""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.from_profile import ExportOrder, export_orders, wrappers
from attrib.analysis.match.step_values import CallClasses
from attrib.model.region import Method
from attrib.model.values import GraphValue, Kind
from attrib.model.work import Work


class Link(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call and one node that compute the same thing, by position, and why."""

    call: int
    node: int
    method: Method
    confidence: float
    evidence: str


@dataclass(frozen=True, eq=False)
class MatchState:
    """What a matcher goes by, and what it may still link.

    Attributes:
        calls: PyTorch's calls, in order.
        graph: The graph as exported; where there is none, the executed nodes as a graph.
        scopes: The module of each node in PyTorch's spelling; None where the graph does not say.
        open_calls: Positions of the calls without a link.
        open_nodes: Positions of the nodes without a link.
        executed: The nodes are the executed ones, in the order of execution, not in that of the export.
        orders: What is then known of the order of the export.
        wrapped: The node that each layout node of ONNX Runtime's own was put around.
        links: The links made so far.
        flow: The results that a call reads: the call that made each, and its place among that call's results.
        call_classes: The numbers that each call took and returned, where they were compared.
        graph_values: The numbers that each value of the graph holds, by name.
        kinds: What each class of numbers can tell.
        near: Classes that are too near to be told apart from each.
    """

    calls: tuple[Work, ...]
    graph: Graph
    scopes: tuple[str | None, ...]
    open_calls: tuple[int, ...]
    open_nodes: tuple[int, ...]
    executed: bool = False
    orders: tuple[ExportOrder, ...] = ()
    wrapped: Mapping[int, int] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    flow: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    call_classes: Mapping[int, CallClasses] = field(default_factory=dict)
    graph_values: Mapping[str, GraphValue] = field(default_factory=dict)
    kinds: tuple[Kind, ...] = ()
    near: Mapping[int, set[int]] = field(default_factory=dict)

    @cached_property
    def made_by_both(self) -> frozenset[str]:
        """Ids of the calls, and names of the values, that make numbers which the other side makes as well.

        They are no work of one side only, also where the matchers cannot tell which call is which node. A value whose node
        only hands it on is not among them.
        """
        telling = {number for number, kind in enumerate(self.kinds) if kind == "numbers"}
        made: dict[int, list[str]] = defaultdict(list)
        for node in self.graph.nodes:
            numbers = self.made_by(node) & telling
            for name in node.outputs:
                for number in numbers.intersection(self.numbers_of(name)):
                    made[number].append(name)
        called = {number for its in self.call_classes.values() for number in its.made}
        calls = (self.calls[i].id for i, its in self.call_classes.items() if its.made & made.keys())
        return frozenset((*calls, *(name for number in made.keys() & called for name in made[number])))

    def contradicts(self, link: Link) -> bool:
        """Whether the numbers say that a node is another call's work: it makes what another one makes, and not this one."""
        its = self.call_classes.get(link.call)
        if its is None or not its.is_whole:
            return False
        ours = its.inputs.union(its.outputs)
        node = self.graph.nodes[link.node]
        results = [value for name in node.outputs if (value := self.graph_values.get(name)) is not None]
        telling = [set(value.same) for value in results if value.kind == "numbers"]
        return bool(telling) and all(telling) and all(made.isdisjoint(ours) for made in telling)

    def made_by(self, node: GraphNode) -> set[int]:
        """Classes of the numbers that a node makes and was not given, nor any too near to be told apart."""
        given = {number for name in node.inputs for number in self.numbers_of(name)}
        given.update(*(self.near.get(number, ()) for number in given.copy()))
        results = (self.numbers_of(name) for name in node.outputs)
        return {number for its in results if given.isdisjoint(its) for number in its}

    def handed_by(self, node: GraphNode) -> set[int]:
        """Classes of the numbers that a node was given and gives on."""
        given = {number for name in node.inputs for number in self.numbers_of(name)}
        return given.intersection(number for name in node.outputs for number in self.numbers_of(name))

    def numbers_of(self, name: str) -> tuple[int, ...]:
        """Classes of the numbers that a value of the graph holds; nothing where it was not compared."""
        return self.graph_values[name].same if name in self.graph_values else ()

    def open_calls_by_scope(self) -> dict[str, list[int]]:
        """Positions of the open calls, by module."""
        found: dict[str, list[int]] = defaultdict(list)
        for i in self.open_calls:
            found[self.calls[i].scope].append(i)
        return found

    def by_scope(self, nodes: Iterable[int]) -> dict[str, list[int]]:
        """Positions of nodes, by module; those of no known module are left out."""
        found: dict[str, list[int]] = defaultdict(list)
        for i in nodes:
            if (scope := self.scopes[i]) is not None:
                found[scope].append(i)
        return found

    def links_by_node(self) -> dict[int, list[Link]]:
        """The links made so far, by node."""
        found: dict[int, list[Link]] = defaultdict(list)
        for link in self.links:
            found[link.node].append(link)
        return found

    def nodes_by_call(self) -> dict[int, list[int]]:
        """The nodes of the links made so far, by call."""
        found: dict[int, list[int]] = defaultdict(list)
        for link in self.links:
            found[link.call].append(link.node)
        return found

    def without(self, links: Iterable[Link]) -> "MatchState":
        """The state after some links were made: their calls and nodes are no longer open."""
        made = tuple(links)
        calls, nodes = {link.call for link in made}, {link.node for link in made}
        return replace(
            self,
            open_calls=tuple(i for i in self.open_calls if i not in calls),
            open_nodes=tuple(i for i in self.open_nodes if i not in nodes),
            links=(*self.links, *made),
        )


Need = Literal["modules", "fx nodes", "weights", "data flow", "export order", "links", "wrappers", "values"]
"""What a matcher goes by."""

NEEDS: dict[Need, Callable[[MatchState], bool]] = {
    "modules": lambda state: any(scope is not None for scope in state.scopes),
    "fx nodes": lambda state: any(node.fx_node for node in state.graph.nodes),
    "weights": lambda state: bool(state.graph.constants),
    "data flow": lambda state: bool(state.flow),
    "export order": lambda state: not state.executed,
    "links": lambda state: bool(state.links),
    "wrappers": lambda state: bool(state.wrapped),
    "values": lambda state: bool(state.call_classes and state.graph_values),
}
"""Whether a need is met."""


class Matcher(NamedTuple):
    """One way to find the call that a node came from: a row of `matchers.registry.MATCHERS`.

    Attributes:
        find: Finds links between what is still open. It is given this row, whose method and confidence its links bear.
        method: The kind of evidence, as reports name it; empty where a link takes over that of another link.
        confidence: How much is put on that evidence, 0 to 1. A label that orders the methods, not a measured rate.
        needs: What it goes by: it is not tried where one of these is missing.
        constants: It is also tried on the calls and nodes that depend on no input of the model. Sizes and sources say
            nothing of those.
    """

    find: Callable[[MatchState, "Matcher"], list[Link]]
    method: Method = ""
    confidence: float = 0.0
    needs: tuple[Need, ...] = ()
    constants: bool = False

    def link(self, call: int, node: int, evidence: str) -> Link:
        """A link with the method and the confidence of this row."""
        return Link(call=call, node=node, method=self.method, confidence=self.confidence, evidence=evidence)


def find_links(matchers: Sequence[Matcher], state: MatchState) -> list[Link]:
    """The links of a state, and those that the matchers add one after the other.

    Each matcher sees only what the ones before it left open; one whose needs are not met is passed over. What the numbers
    contradict is no link, whatever else says so.
    """
    for matcher in matchers:
        if all(NEEDS[need](state) for need in matcher.needs):
            found = matcher.find(state, matcher)
            by_values = "values" in matcher.needs
            state = state.without(link for link in found if by_values or not state.contradicts(link))
    return list(state.links)


def initial_state(calls: tuple[Work, ...], graph: Graph, executed: Sequence[Work] = ()) -> MatchState:
    """The state before any link: all is open, except nodes that depend on no input, which are folded, not run.

    Args:
        calls: PyTorch's calls.
        graph: The graph as exported; where there is none, the executed nodes as a graph.
        executed: The executed nodes, if they are what the graph is made of.
    """
    free = input_free_values(graph)
    wrapped = wrappers(calls, executed)
    nodes = (n.index for n in graph.nodes if not all(name in free for name in n.outputs))
    return MatchState(
        calls,
        graph,
        _torch_scopes(calls, graph),
        tuple(range(len(calls))),
        tuple(i for i in nodes if i not in wrapped),
        bool(executed),
        export_orders(executed),
        wrapped,
    )


SPELLED_ALIKE = 0.5
"""Least share of the nodes' modules that PyTorch's side must know for the two sides to name modules alike."""


def _torch_scopes(calls: tuple[Work, ...], graph: Graph) -> tuple[str | None, ...]:
    """Scopes of the nodes as PyTorch spells them; all None where its side names no modules, or names them otherwise.

    An exporter's wrapper puts one more name in front of every scope; drop it if more scopes are then known.
    TorchScript repeats the name of a container that is called itself (`layer.layer.0` for `layer.0` of a Sequential).
    """
    known = {call.scope for call in calls}
    known |= {".".join(scope.split(".")[:n]) for scope in known for n in range(scope.count(".") + 1)} | {""}
    raw = [node.scope for node in graph.nodes]
    inner = [None if scope is None else scope.partition(".")[2] for scope in raw]
    chosen = max(
        raw,
        inner,
        key=lambda scopes: [sum(bool(s) and s in known for s in scopes), sum(s in known for s in scopes)],
    )
    spelled = [_called_containers(scope, known) if scope else scope for scope in chosen]
    named = [scope for scope in spelled if scope]
    if sum(scope in known for scope in named) < SPELLED_ALIKE * len(named):
        return (None,) * len(spelled)
    return tuple(spelled)


MAX_SCOPE = 1000
"""Longer names of modules are taken as they are: the pattern's time grows with the square of the length."""

_REPEATED = re.compile(r"(?:^|(?<=\.))(\w+(?:\.\d+)*)\.\1\.(?=\d)")


def _called_containers(scope: str, known: Container[str]) -> str:
    """A scope in PyTorch's spelling: without a repeated container, if PyTorch knows only that."""
    shorter = scope
    while (
        len(scope) <= MAX_SCOPE
        and scope not in known
        and (once := _REPEATED.sub(r"\1.", shorter, count=1)) != shorter
    ):
        shorter = once
        if shorter in known:
            return shorter
    return scope
