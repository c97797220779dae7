"""Calls and nodes that lie between the same neighbors: they turn the same results into what the same readers read.

Whatever an op is called on either side: PyTorch's `pixel_shuffle` and ONNX's `DepthToSpace`, a fused attention and the
dozen nodes that an exporter writes for it. Numbered cases, cited in the code:

1. Open calls that read each other's results are one group, and so are open nodes.
2. A group's neighbors are the linked calls whose results it reads, and those that read its results; also the model's inputs
   and outputs. On PyTorch's side views and no-ops are looked through, because an export may leave them out.
3. A group goes with the one of the other side that shares most neighbors, some on either end; where two share as many, with
   none. Several groups may go with one: a mask that every layer reads ties the nodes of all layers together.
4. Only groups that compute something: no-ops need no node, and guards and shapes that an exporter adds need no call.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.lineage.representation import producers
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import computes, onnx_role

INPUT, OUTPUT = -1, -2
"""Stand for the model's inputs and outputs among positions of calls."""

_NO_WORK = frozenset({"shape", "cast"})
"""Roles of nodes that need no call (case 4)."""


_DEEPEST = 30
"""Views and no-ops looked through at most, one behind the other."""

_MOST_NEAR = 64
"""Groups that may read one result: where more do, that one does not tell which of them is meant."""


class OpenGroup(NamedTuple):
    """Open calls or open nodes, by position, and the calls on either end of them."""

    members: tuple[int, ...]
    above: frozenset[int]
    below: frozenset[int]

    def shared(self, other: "OpenGroup") -> int:
        """How many neighbors two groups share; 0 unless they share some on either end (case 3)."""
        above, below = len(self.above & other.above), len(self.below & other.below)
        return above + below if above and below else 0


def between(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link the groups of open calls and of open nodes that lie between the same neighbors."""
    ours, theirs = _call_groups(state), _node_groups(state)
    links = []
    for call_group, node_group in _nearest(ours, theirs):
        ops = ", ".join(
            dict.fromkeys(state.calls[i].op for i in call_group.members if computes(state.calls[i]))
        )
        theirs_ops = ", ".join(dict.fromkeys(state.graph.nodes[i].op for i in node_group.members))
        said = f"{theirs_ops} read what {ops} read{'s' * (', ' not in ops)}, and the same calls read what they give"
        # As many as tie all of them together: each with each would be their product.
        (call, *calls), (node, *nodes) = call_group.members, node_group.members
        links += [matcher.link(call, other, said) for other in (node, *nodes)]
        links += [matcher.link(other, node, said) for other in calls]
    return links


def _nearest(ours: Sequence[OpenGroup], theirs: Sequence[OpenGroup]) -> list[tuple[OpenGroup, OpenGroup]]:
    """Pairs in which one is the group that shares most with the other (case 3)."""
    by_neighbor: dict[int, set[int]] = defaultdict(set)
    for j, group in enumerate(theirs):
        for call in group.above:
            by_neighbor[call].add(j)
    shares: list[tuple[int, int, int]] = []
    for i, group in enumerate(ours):
        known = (by_neighbor[call] for call in group.above if call in by_neighbor)
        near = set().union(*(its for its in known if len(its) <= _MOST_NEAR))
        shares += [(share, i, j) for j in near if (share := group.shared(theirs[j]))]
    pairs = {*_best(shares, 1).items(), *((i, j) for j, i in _best(shares, 2).items())}
    return [(ours[i], theirs[j]) for i, j in sorted(pairs)]


def _best(shares: Iterable[tuple[int, int, int]], side: int) -> dict[int, int]:
    """Of each group of one side, the other side's group with the largest share; none where two have it."""
    found: dict[int, tuple[int, int, bool]] = {}
    for row in shares:
        share, own, other = row[0], row[side], row[3 - side]
        most, _, _ = found.get(own, (0, -1, True))
        if share > most:
            found[own] = (share, other, True)
        elif share == most:
            found[own] = (share, other, False)
    return {own: other for own, (_, other, single) in found.items() if single}


def _gather(members: Sequence[int], pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """The members in groups, two of a pair in one (case 1)."""
    place = {member: i for i, member in enumerate(members)}
    sets = DisjointSets(len(members))
    for one, other in pairs:
        sets.union(place[one], place[other])
    return [[members[i] for i in group] for group in sets.groups()]


def _call_groups(state: MatchState) -> list[OpenGroup]:
    """Groups of the open calls that were watched and compute something."""
    open_calls = [i for i in state.open_calls if i in state.flow]
    waiting = set(state.open_calls)
    sources = {call: {above for above, _ in its} for call, its in state.flow.items()}
    readers: dict[int, set[int]] = defaultdict(set)
    for call, its in sources.items():
        for above in its:
            readers[above].add(call)
    pairs = [
        (call, above)
        for call in open_calls
        for above in sources[call]
        if above in sources and above in waiting
    ]
    groups = []
    for members in _gather(open_calls, pairs):
        if not any(computes(state.calls[i]) for i in members):  # 4
            continue
        inside = set(members)
        read = {source for i in members for source in sources[i] or {INPUT}} - inside
        reading = {reader for i in members for reader in readers[i] or {OUTPUT}} - inside
        groups.append(
            OpenGroup(
                tuple(members),
                frozenset(_look_through(state, read, sources, INPUT)),
                frozenset(_look_through(state, reading, readers, OUTPUT)),
            )
        )
    return groups


def _look_through(state: MatchState, calls: set[int], beyond: Mapping[int, set[int]], end: int) -> set[int]:
    """The calls, and those behind the ones among them that compute nothing (case 2)."""
    found = level = set(calls)
    for _ in range(_DEEPEST):
        passed = [call for call in level if call >= 0 and not computes(state.calls[call])]
        level = {other for call in passed for other in beyond.get(call) or {end}} - found
        found = found | level
    return found


def _node_groups(state: MatchState) -> list[OpenGroup]:
    """Groups of the open nodes, with the calls of the nodes around them."""
    nodes, makers = state.graph.nodes, producers(state.graph)
    waiting = set(state.open_nodes)
    calls_of = {node: {link.call for link in links} for node, links in state.links_by_node().items()}
    # By value: the calls whose result it is, and those that read it.
    made: dict[str, set[int]] = defaultdict(lambda: {INPUT})
    made |= {name: set() for name in input_free_values(state.graph)}
    read: dict[str, set[int]] = defaultdict(set)
    for name in state.graph.outputs:
        read[name].add(OUTPUT)
    for node in nodes:
        own = calls_of.get(node.index, set())
        made |= dict.fromkeys(node.outputs, own)
        for name in node.inputs:
            read[name] |= own
    pairs = [
        (i, maker)
        for i in state.open_nodes
        for name in nodes[i].inputs
        if (maker := makers.get(name, -1)) in waiting
    ]
    return [
        OpenGroup(
            tuple(members),
            frozenset(call for i in members for name in nodes[i].inputs for call in made[name]),
            frozenset(call for i in members for name in nodes[i].outputs for call in read[name]),
        )
        for members in _gather(state.open_nodes, pairs)
        if not all(onnx_role(nodes[i].op) in _NO_WORK for i in members)  # 4
    ]
