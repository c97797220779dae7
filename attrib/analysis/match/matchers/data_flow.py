"""Calls and nodes of one module that read the same results, where the capture watched whose result each call reads.

Numbered cases, cited in the code:

1. A node's sources are the calls that its data inputs are linked to; a call's are the calls whose results it reads. What is
   not linked (a view that the export left out) is looked through on either side.
2. A result of a call with several (`split`) is told apart by its place, where the node that makes it has several too.
3. Nodes are taken in topological order, so that one link leads to the next. Among the open calls of the module with the
   right op, the one that shares most sources is taken; equal ones in order.
4. Only calls that exporters write as one node: what they write as several is aligned as a whole, later.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.lineage.representation import producers
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import IDENTITY_OPS, base_op, is_whole, op_role, writes_one
from attrib.analysis.match.scoring import links_of, module_phrase
from attrib.model.work import Work

Source = tuple[int, int]
"""Position of a call, and which of its results."""
_ANY = -1
"""Place of a result that is not told apart."""
_DEEPEST = 30
"""Unlinked calls or nodes looked through at most."""
_ONE_NODE = frozenset({"matmul"})
"""Ops that exporters write as one of several nodes (case 4)."""


def data_flow(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link the open nodes whose sources say which call they are."""
    return list(_Tracing(state).links(matcher))


class _Tracing:
    """One pass over the graph, in which one link leads to the next."""

    def __init__(self, state: MatchState) -> None:
        self._state = state
        self._makers = producers(state.graph)
        self._free = input_free_values(state.graph)
        self._call_of: dict[int, int] = {}
        self._linked: set[int] = set()
        for link in state.links:
            self.note(link.call, link.node)
        self._candidates: dict[str, list[int]] = defaultdict(list)
        for i in state.open_calls:
            op = state.calls[i].op
            one = op_role(op) == "layout" or writes_one(op) or base_op(op) in _ONE_NODE
            if one and base_op(op) not in IDENTITY_OPS:  # 4
                self._candidates[state.calls[i].scope].append(i)

    def note(self, call: int, node: int) -> None:
        """Keep in mind that two are linked."""
        self._call_of.setdefault(node, call)
        self._linked.add(call)

    def links(self, matcher: Matcher) -> Iterator[Link]:
        """The links of the pass."""

        def reads_alike(call: Work, node: GraphNode) -> str:
            return f"{module_phrase(call)}: {node.op} reads what {call.op} reads"

        # Open nodes of known modules in topological order; those of one fx node together.
        groups: dict[object, list[int]] = {}
        for i in self._state.open_nodes:
            scope, fx = self._state.scopes[i], self._state.graph.nodes[i].fx_node
            if scope is not None:
                groups.setdefault((scope, fx) if fx else i, []).append(i)
        for group in groups.values():
            call = self.best_call(group)
            if call is None:
                continue
            self._candidates[self._state.calls[call].scope].remove(call)
            for node in group:
                self.note(call, node)
            yield from links_of(self._state, matcher, call, group, reads_alike)

    def best_call(self, group: list[int]) -> int | None:
        """The open call that shares most sources with a group of nodes (case 3)."""
        theirs = self.node_sources(group)
        scope, first = self._state.scopes[group[0]] or "", self._state.graph.nodes[group[0]]
        best, most = None, 0.0
        for call in self._candidates.get(scope, ()) if theirs else ():
            op = self._state.calls[call].op
            same = base_op(op) == base_op(first.fx_target) if first.fx_target else is_whole(op, first.op)
            if not same:
                continue
            ours = self.call_sources(call)
            shared = sum(
                any(a[0] == b[0] and a[1] in (_ANY, b[1]) for b in ours)  # 2
                for a in theirs
            )
            share = shared / max(len(ours), len(theirs))
            if share > most:
                best, most = call, share
        return best

    def node_sources(self, group: list[int]) -> set[Source]:
        """Calls whose results a group of nodes reads (cases 1 and 2)."""
        inside, found = set(group), set[Source]()

        def above(name: str) -> tuple[str, ...]:
            maker = self._makers.get(name, -1)
            if maker < 0 or name in self._free or maker in inside:
                return ()
            node = self._state.graph.nodes[maker]
            if maker not in self._call_of:
                return node.inputs
            found.add((self._call_of[maker], node.outputs.index(name) if len(node.outputs) > 1 else _ANY))
            return ()

        _look_through([name for i in group for name in self._state.graph.nodes[i].inputs], above)
        return found

    def call_sources(self, call: int) -> set[Source]:
        """Calls whose results a call reads (case 1)."""
        flow: Mapping[int, tuple[Source, ...]] = self._state.flow
        found = set[Source]()

        def above(source: Source) -> tuple[Source, ...]:
            if source[0] not in self._linked:
                return flow.get(source[0], ())
            found.add(source)
            return ()

        _look_through(flow.get(call, ()), above)
        return found


_T = TypeVar("_T", str, Source)


def _look_through(start: Iterable[_T], above: Callable[[_T], Iterable[_T]]) -> None:
    """Visit all that lies above some things, each once: results that are read twice would double the way."""
    level, seen = set(start), set[_T]()
    for _ in range(_DEEPEST + 1):
        seen |= level
        level = {thing for below in level for thing in above(below)} - seen
