"""Calls and nodes that compute the same numbers, whatever they are called, and what lies between such tensors.

Numbered cases, cited in the code:

1. A call and a node are the same work where both make numbers that they were not given: no view, no transposition, whose
   numbers were there before. Numbers that are one throughout tell nothing.
2. Several calls may make the same numbers, and one node, or the other way round: one side computes anew what the other kept.
   Those that also read the same numbers are preferred. Several on both sides are left to the other matchers.
3. Numbers that the other side has nowhere belong to whatever is made of them: all ways forward lead to results of one call.
   Where they lead to several, the other matchers decide. A constant or integers made of such numbers (a guard against NaN)
   go with them. Where calls and nodes lead to one call (a tool rounds what its projections read, so that nothing is equal
   before the attention), fx nodes and weights divide them first: values bound them, so that names can only err inside.
4. Nodes inside a branch or a loop cannot be watched: they go with the node that holds them.
5. What hands numbers on without any call that does so (the transpositions around a recurrent layer, which PyTorch makes
   inside its call) goes with the one call for which it prepares them, or else with the call that made them.
6. What neither numbers nor names tell apart is paired in order: as many calls and nodes that make the same numbers (two
   equal branches), views and nodes that move the same numbers.
"""

from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from attrib.analysis.lineage.components import draws
from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.matchers.fx_nodes import fx_nodes
from attrib.analysis.match.matchers.weight_names import weight_names
from attrib.analysis.match.ops import DRAWS, base_op, emits, onnx_role, op_role
from attrib.model.values import GraphValue
from attrib.model.work import Work

_ROUNDS = 2
"""What goes with a call may be what another node prepares."""

_MOST = 64
"""Calls or nodes that make the same numbers, beyond which they say nothing."""


def equal_values(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link the calls and nodes that make the same numbers."""
    return _same_results(state, matcher)


def fx_nodes_inside(state: MatchState, matcher: Matcher) -> list[Link]:
    """Divide what leads to one call by the fx nodes that the exporter named (case 3)."""
    return _divide(state, matcher, fx_nodes)


def weights_inside(state: MatchState, matcher: Matcher) -> list[Link]:
    """Divide what leads to one call by the weights that nodes read (case 3)."""
    return _divide(state, matcher, weight_names)


def _divide(
    state: MatchState, matcher: Matcher, find: Callable[[MatchState, Matcher], list[Link]]
) -> list[Link]:
    """The links that another matcher finds among what leads to one call, call by call."""
    calls: dict[int, list[int]] = defaultdict(list)
    for call, end in _calls_between(state):
        calls[end].append(call)
    if not calls:
        return []
    nodes: dict[int, list[int]] = defaultdict(list)
    for link in _nodes_between(state, matcher):
        nodes[link.call].append(link.node)
    found = []
    for end in sorted(calls.keys() & nodes.keys()):
        block = replace(
            state,
            open_calls=tuple(sorted((*calls[end], *_partly_open(state, end, nodes[end])))),
            open_nodes=tuple(sorted(nodes[end])),
        )
        inside = set(nodes[end])  # a matcher may look beyond what is open
        found += [
            link for link in find(block, matcher) if link.node in inside and not state.contradicts(link)
        ]
    return found


def _partly_open(state: MatchState, end: int, nodes: Sequence[int]) -> tuple[int, ...]:
    """The call at the end of a block, where some nodes of the block are of the fx node that it is linked to."""
    own = {state.graph.nodes[link.node].fx_node for link in state.links if link.call == end} - {""}
    return (end,) if any(state.graph.nodes[node].fx_node in own for node in nodes) else ()


def leading_to_equal(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link what only one side has, and leads to what both have."""
    if not state.links:
        return []
    nodes_of = state.nodes_by_call()
    links = _nodes_between(state, matcher)
    left = state.without(links)
    named = left.by_scope(i for i in left.open_nodes if _is_inside(state.graph.nodes[i], state))
    for call, end in _calls_between(state):
        work = state.calls[call]
        if any(emits(work.op, state.graph.nodes[i].op) for i in named.get(work.scope, ())):
            continue  # its own node is there, and leads elsewhere as well: names decide
        said = f"{work.op} makes numbers that no node returns, and only {state.calls[end].op} reads them"
        links.append(matcher.link(call, nodes_of[end][0], said))
    return links


def _same_results(state: MatchState, matcher: Matcher, *, paired: bool = False) -> list[Link]:
    """The calls and nodes that make the same numbers (cases 1 and 2); `paired` links several in order, where as many."""
    makers = _calls_that_make(state)
    nodes = _nodes_that_make(state, makers)
    pairs: dict[tuple[int, int], None] = {}
    for number in makers.keys() & nodes.keys():
        if len(makers[number]) + len(nodes[number]) > _MOST:
            continue
        ours, theirs = _made_of_the_same(state, makers[number], nodes[number])
        if min(len(ours), len(theirs)) == 1:
            pairs |= dict.fromkeys(product(ours, theirs))
        elif paired and len(ours) == len(theirs):
            pairs |= dict.fromkeys(zip(ours, theirs, strict=True))
    return [
        matcher.link(
            call,
            node,
            f"{state.graph.nodes[node].op} returns the numbers that {state.calls[call].op} returns",
        )
        for call, node in sorted(pairs)
    ]


def _calls_that_make(state: MatchState) -> dict[int, list[int]]:
    """The open calls that make the numbers of each class (case 1)."""
    makers: dict[int, list[int]] = defaultdict(list)
    for call in state.open_calls:
        if call in state.call_classes and op_role(state.calls[call].op) != "cast":
            for number in state.call_classes[call].made:
                makers[number].append(call)
    return makers


def _nodes_that_make(state: MatchState, makers: Mapping[int, list[int]]) -> dict[int, list[int]]:
    """The open nodes that make the numbers of each class that a call makes (case 1)."""
    nodes: dict[int, list[int]] = defaultdict(list)
    for position in state.open_nodes:
        for number in state.made_by(state.graph.nodes[position]):
            # A call that changes its input too little makes nothing (an untrained batch norm): the one before it does.
            for other in [number] if number in makers else sorted(state.near.get(number, ())):
                nodes[other].append(position)
    return nodes


def _made_of_the_same(state: MatchState, calls: list[int], nodes: list[int]) -> tuple[list[int], list[int]]:
    """Those calls and nodes that also read the same numbers, where there are such: others are equal by chance."""
    given = {
        node: {n for name in state.graph.nodes[node].inputs for n in state.numbers_of(name)} for node in nodes
    }
    pairs = [(c, n) for c in calls for n in nodes if not state.call_classes[c].inputs.isdisjoint(given[n])]
    if not pairs:
        return calls, nodes
    return sorted({call for call, _ in pairs}), sorted({node for _, node in pairs})


def _nodes_between(state: MatchState, matcher: Matcher) -> list[Link]:
    """Open nodes whose numbers no call has, and which lead to results of one call (cases 3 and 4)."""

    def told(node: GraphNode, call: Work) -> str:
        return f"{node.op} makes numbers that no call returns, and only {call.op} is made of them"

    return list(_leading_to_one(state, matcher, lambda node: _is_inside(node, state), told))


def _leading_to_one(
    state: MatchState,
    matcher: Matcher,
    chosen: Callable[[GraphNode], bool],
    told: Callable[[GraphNode, Work], str],
) -> Iterator[Link]:
    """Link the chosen open nodes of which all ways forward lead to nodes of one call."""
    nodes, waiting, first = state.graph.nodes, set(state.open_nodes), _first_of_region(state)
    calls_of: dict[int, set[int]] = defaultdict(set)
    for link in state.links:
        calls_of[link.node].add(first[link.call])
    readers: dict[str, list[int]] = defaultdict(list)
    for node in nodes:
        for name in node.inputs:
            readers[name].append(node.index)
    ends = frozenset(state.graph.outputs)
    ahead: dict[int, frozenset[int]] = {}
    for node in reversed(nodes):  # topological order: what reads a node comes after it
        after = {reader for name in node.outputs if name for reader in readers[name]}
        after |= {node.parent} if node.parent >= 0 else set()
        found = set[int]()
        for reader in after:
            found |= calls_of[reader] if reader in calls_of else ahead.get(reader, frozenset())
        if state.made_by(node):
            found = {_END}  # another call's work, whichever it is
        if not ends.isdisjoint(node.outputs):
            found.add(_END)
        ahead[node.index] = frozenset(sorted(found)[:_MOST])
        if node.index in waiting and len(found) == 1 and _END not in found and chosen(node):
            (call,) = found
            yield matcher.link(call, node.index, told(node, state.calls[call]))
            calls_of[node.index].add(call)


def in_order(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link what makes or moves the same numbers on both sides, and no name tells apart: in order (case 6)."""
    links = _same_results(state, matcher, paired=True)
    return [*links, *_moved_alike(state.without(links), matcher)]


def _moved_alike(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link the open views and the open nodes that move the same numbers, in order."""
    calls: dict[int, list[int]] = defaultdict(list)
    for call in state.open_calls:
        its = state.call_classes.get(call)
        if its is not None and op_role(state.calls[call].op) == "layout" and not its.made:
            for number in dict.fromkeys(its.outputs):
                calls[number].append(call)
    nodes: dict[int, list[int]] = defaultdict(list)
    for position in state.open_nodes:
        node = state.graph.nodes[position]
        for number in state.handed_by(node) if onnx_role(node.op) == "layout" else ():
            nodes[number].append(position)
    return [
        matcher.link(
            call,
            node,
            f"{state.graph.nodes[node].op} moves the numbers that {state.calls[call].op} moves, in order",
        )
        for number in calls.keys() & nodes.keys()
        for call, node in zip(calls[number], nodes[number], strict=False)
    ]


def _first_of_region(state: MatchState) -> dict[int, int]:
    """The first of the calls that links bring together, by call: a dropout is no other result than what it hands on."""
    sets = DisjointSets(len(state.calls))
    for links in state.links_by_node().values():
        for link in links:
            sets.union(links[0].call, link.call)
    return {call: group[0] for group in sets.groups() for call in group}


def handed_on(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link the open nodes that only hand on numbers, and for which PyTorch has no call (case 5)."""

    def told(node: GraphNode, call: Work) -> str:
        return f"{node.op} only prepares what {call.op} takes, and no call does so"

    makers: dict[int, set[int]] = defaultdict(set)
    for call in state.nodes_by_call():
        for number in state.call_classes[call].made if call in state.call_classes else ():
            makers[number].add(call)

    def moves(node: GraphNode, values: MatchState = state) -> bool:
        return _moves(node, values)

    links = list[Link]()
    for _ in range(_ROUNDS):
        more = list(_leading_to_one(state, matcher, moves, told))
        state = state.without(more)
        back = []
        for position in state.open_nodes:
            node = state.graph.nodes[position]
            numbers = state.handed_by(node)
            calls = set().union(*(makers[number] for number in numbers if number in makers))
            if len(calls) == 1:
                (call,) = calls
                said = (
                    f"{node.op} hands on the numbers that {state.calls[call].op} returns, and no call does so"
                )
                back.append(matcher.link(call, position, said))
        state = state.without(back)
        links += [*more, *back]
    return links


def _moves(node: GraphNode, state: MatchState) -> bool:
    """Whether a node only hands on numbers, or makes integers or a constant that no call has."""
    made = [state.graph_values.get(name) for name in node.outputs if name]
    if not made or any(value is None for value in made):
        return False
    return bool(state.handed_by(node)) or all(
        value is not None and value.kind != "numbers" and not value.same for value in made
    )


_END = -1
"""Stands for the caller of the model among positions of calls, and for a call that is not told yet."""


def _is_inside(node: GraphNode, state: MatchState) -> bool:
    """Whether a node only makes numbers that PyTorch's step has nowhere, or what tells nothing from such numbers."""
    if node.parent >= 0:
        return True  # 4
    if draws(node):
        return False  # what is drawn is nowhere else
    made = [state.graph_values.get(name) for name in node.outputs if name]
    if any(map(_is_nowhere, made)):
        return True  # of several results one may be there by chance
    unknown = any(value is None or value.same for value in made)
    return not unknown and any(_is_nowhere(state.graph_values.get(name)) for name in node.inputs)


def _is_nowhere(value: GraphValue | None) -> bool:
    return value is not None and value.kind == "numbers" and not value.same


def _calls_between(state: MatchState) -> Iterator[tuple[int, int]]:
    """Open calls whose numbers no value of the graph has, each with the one call with a node that it leads to (case 3)."""
    waiting, first = set(state.open_calls), _first_of_region(state)
    ends = {link.call: first[link.call] for link in state.links}
    there = {number for value in state.graph_values.values() for number in value.same}
    readers: dict[int, set[int]] = defaultdict(set)
    for call, sources in state.flow.items():
        for above, _ in sources:
            readers[above].add(call)
    ahead: dict[int, frozenset[int]] = {}
    for call in sorted(state.flow, reverse=True):
        found = set[int]()
        for reader in readers[call]:
            found |= {ends[reader]} if reader in ends else ahead.get(reader, frozenset())
        if not readers[call] or (
            call in state.call_classes and not there.isdisjoint(state.call_classes[call].made)
        ):
            found.add(_END)
        ahead[call] = frozenset(sorted(found)[:_MOST])
        if call in waiting and len(found) == 1 and _END not in found and _is_new(state, call, there):
            (ends[call],) = found
            yield call, ends[call]


def _is_new(state: MatchState, call: int, there: Container[int]) -> bool:
    """Whether a call only makes numbers that the graph has nowhere."""
    its = state.call_classes.get(call)
    if its is None or not its.outputs or base_op(state.calls[call].op) in DRAWS:
        return False
    return all(state.kinds[number] == "numbers" and number not in there for number in its.outputs)
