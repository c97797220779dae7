"""Regions: calls and nodes that compute the same tensors, found through the components of the graphs between them.

Conditions, cited in the code:

1. A call that is linked to several components makes them one region. A compiled kernel is linked by each op that it
   covers (see `units`).
2. A component without a call stays a region of its own: nodes that PyTorch never ran.
3. Calls without a link are gathered by module: calls that have no counterpart in the graph. That is certain where the
   graph names its modules, and explained where a call depends on no input.
4. Two sides of one engine (an A/A capture) are joined by the identity of their work.
5. What a provider compiled into one node is one region, with the calls whose nodes lie in it (see `partitions`).
"""

import dataclasses
from collections.abc import Container, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from attrib.analysis.lineage.components import components
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.candidates import Link, MatchState, find_links, initial_state
from attrib.analysis.match.compiled import is_compiled
from attrib.analysis.match.executed import executed_by_node
from attrib.analysis.match.from_profile import graph_from_work
from attrib.analysis.match.matchers.by_name import links_by_name
from attrib.analysis.match.matchers.registry import MATCHERS
from attrib.analysis.match.merging import Pairing, common_module, label, lost_calls, lost_node, merge_regions
from attrib.analysis.match.partitions.coverage_from_order import ALONE
from attrib.analysis.match.partitions.partition_assignment import REWRITTEN, assign_calls, split_components
from attrib.analysis.match.partitions.partitions import NO_GRAPH, Partitions, covering_of
from attrib.analysis.match.step_values import StepValues
from attrib.analysis.match.units import Units, expand_units
from attrib.model.flow import Flow
from attrib.model.manifest import EXPORTED
from attrib.model.placement import Placement
from attrib.model.region import Match, Region
from attrib.model.work import Work, distinct


class WatchedStep(NamedTuple):
    """What was watched of one step: which call reads which result, and what both engines computed."""

    flow: Flow | None = None
    values: StepValues | None = None

    @property
    def input_free(self) -> frozenset[str]:
        """Ids of the calls that depend on no input of the model."""
        return self.flow.input_free if self.flow else frozenset()

    def watched(self, state: MatchState, units: Units, calls: Sequence[Work]) -> MatchState:
        """A state with it; what values hold only where its graph is the exported one."""
        position = {call.id: i for i, call in enumerate(units.works)}
        values = self.values.graphs.get(EXPORTED) if self.values and not state.executed else None
        if not self.values or not values:
            return dataclasses.replace(state, flow=_resolve_flow(position, self.flow))
        members = self.values.calls_of_members(calls)
        for i, member in enumerate(units.members):
            # Where a member may be any of several calls, nothing is known of it.
            if member is not None and len(members.get(member, ())) == 1:
                position[members[member][0]] = i
        return dataclasses.replace(
            state,
            flow=_resolve_flow(position, self.flow),
            call_classes={
                i: self.values.calls[call] for call, i in position.items() if call in self.values.calls
            },
            graph_values=values,
            kinds=self.values.kinds,
            near=self.values.near,
        )


def regions(
    calls: tuple[Work, ...],
    nodes: tuple[Work, ...],
    graphs: Sequence[Graph] = (),
    *,
    ran: bool = True,
    flow: Flow | None = None,
    placement: Placement | None = None,
    values: StepValues | None = None,
    one_model: bool = True,
) -> tuple[Region, ...]:
    """Bring PyTorch's calls and ONNX Runtime's nodes together.

    Args:
        calls: Work of the first side.
        nodes: Work of the second side.
        graphs: The chain: the graph as exported, after each rewrite, and as it ran. Without it the executed nodes stand
            in for it.
        flow: Which call reads the result of which, where that was watched.
        ran: The last graph is the one that ran. Else executed nodes are found in it by the names that they kept.
        placement: Which provider took which nodes of the last graph, where the session said so.
        values: What one step of either engine computed, where that was compared.
        one_model: Both sides may be of one model. Else nothing is brought together.

    Returns:
        Regions in the order of the exported graph; every call and every node is in exactly one.
    """
    if calls and graphs and not nodes:
        # A graph without nodes: what it computes from constants alone was folded.
        free = flow.input_free if flow else frozenset[str]()
        found = lost_calls([call for call in calls if call.id in free], "folded")
        found += lost_calls([call for call in calls if call.id not in free], "call")
    elif not calls or not nodes or not one_model:
        why = "only one engine was captured" if one_model else "the two traces are not of one model"
        found = _list_alone((*calls, *nodes), why)
    elif {work.engine for work in calls} == {work.engine for work in nodes}:
        found = _match_one_engine(calls, nodes)  # 4
    elif (ran and graphs) or not any(map(is_compiled, nodes)):
        found = _match_graph(calls, nodes, graphs, ran=ran, step=WatchedStep(flow, values))
    elif graphs:
        found = _match_compiled(calls, nodes, graphs, WatchedStep(flow, values), placement)  # 5
    else:
        found = _match_without_graph(calls, nodes)  # 5
    # An id is unique and stable: module, label, and a number where these repeat.
    names = distinct([f"{region.module or '(root)'}/{region.id}" for region in found])
    return tuple(replace(region, id=name) for region, name in zip(found, names, strict=True))


def _match_graph(
    calls: tuple[Work, ...], nodes: tuple[Work, ...], graphs: Sequence[Graph], *, ran: bool, step: WatchedStep
) -> list[Region]:
    """Regions through the graph that ran; where it was not saved, the executed nodes stand in for it."""
    chain = tuple(graphs) if ran and graphs else (graph_from_work(nodes),)
    seen = expand_units(calls)
    state = step.watched(initial_state(seen.works, chain[0], () if ran and graphs else nodes), seen, calls)
    if graphs and not ran:
        first = step.watched(initial_state(seen.works, graphs[0]), seen, calls)
        exported = _find_all_links(first, frozenset())
        state = state.without(links_by_name(exported, components(graphs), graphs[-1], nodes))
    input_free = step.input_free
    links = _find_all_links(state, input_free)
    pairing = Pairing(
        calls, seen, state, nodes, components(chain), executed_by_node(nodes, chain[-1]), ran and bool(graphs)
    )
    return merge_regions(pairing, links, input_free)


def _match_compiled(
    calls: tuple[Work, ...],
    nodes: tuple[Work, ...],
    graphs: Sequence[Graph],
    step: WatchedStep,
    placement: Placement | None,
) -> list[Region]:
    """Regions of a session with compiled nodes (case 5)."""
    covering = covering_of(nodes, graphs[-1], placement)
    seen, parts = expand_units(calls), split_components(components(graphs), covering)
    state = step.watched(initial_state(seen.works, graphs[0]), seen, calls)
    input_free = step.input_free
    assigned = assign_calls(state, seen, _find_all_links(state, input_free), parts, covering)
    away = {call for call, side in assigned.side_of.items() if side == REWRITTEN}
    strange = set(range(len(nodes))) - {place for places in covering.runs.values() for place in places}
    strange -= covering.trust.keys()
    if not away or not strange:
        away, strange = set(), set()
    pairing = Pairing(
        calls,
        seen,
        state,
        nodes,
        tuple(parts),
        {i: list(places) for i, places in covering.runs.items()},
        True,
        Partitions(calls=calls, nodes=nodes, covering=covering, cuts=assigned.cuts),
        away,
        strange,
    )
    links = [link for link in assigned.links if seen.owner[link.call] not in away]
    found = merge_regions(pairing, links, input_free)
    if away:
        ours, theirs = (
            tuple(works[i] for i in sorted(of)) for works, of in ((calls, away), (nodes, strange))
        )
        found += _match_graph(ours, theirs, graphs, ran=False, step=WatchedStep())
    return found


def _match_without_graph(calls: tuple[Work, ...], nodes: tuple[Work, ...]) -> list[Region]:
    """Without a graph: what was compiled is one region with all that PyTorch ran."""
    compiled = [node for node in nodes if is_compiled(node)]
    outside = [node for node in nodes if not is_compiled(node)]
    told = (
        "no graph was captured: nothing says which calls lie in which of"
        f" {len(compiled)} compiled and {len(outside)} other nodes"
    )
    if not outside and not compiled[1:]:
        told = f"{compiled[0].id} is all that ran: the whole model was compiled into it"
    region = Region(
        id="compiled partitions" if compiled[1:] else "compiled partition 1",
        module=common_module(call.scope for call in calls),
        calls=tuple(call.id for call in calls),
        nodes=tuple(node.id for node in compiled),
        match=Match(
            method="partition", confidence=NO_GRAPH if outside or compiled[1:] else ALONE, evidence=(told,)
        ),
    )
    return [region, *map(lost_node, outside)]


def _resolve_flow(position: Mapping[str, int], flow: Flow | None) -> dict[int, tuple[tuple[int, int], ...]]:
    """The sources of each call that was watched, by position; a call that the profile does not hold is looked through.

    Args:
        position: Of each call, by its id; of a member of a compiled kernel, by that of the eager call behind it.
        flow: What was watched.
    """
    resolved: list[tuple[tuple[int, int], ...]] = []
    found: dict[int, tuple[tuple[int, int], ...]] = {}
    watched = flow.calls if flow else ()
    for call in watched:
        sources: dict[tuple[int, int], None] = {}
        for at, place in call.sources:
            if not 0 <= at < len(resolved):
                continue
            known = position.get(watched[at].id)
            sources |= dict.fromkeys(resolved[at] if known is None else [(known, place)])
        resolved.append(tuple(sources))
        if (here := position.get(call.id)) is not None:
            found[here] = resolved[-1]
    return found


def _find_all_links(state: MatchState, input_free: Container[str]) -> list[Link]:
    """The links of all matchers.

    What depends on the model's inputs on one side does so on the other. The rest, which the export could fold but may
    have left in the graph, is matched apart.
    """
    free = tuple(i for i in state.open_calls if state.calls[i].id in input_free)
    apart = set(free)
    fed = dataclasses.replace(state, open_calls=tuple(i for i in state.open_calls if i not in apart))
    links = find_links(MATCHERS, fed)
    if not free or state.executed:
        return links
    linked = {link.node for link in links} | set(state.open_nodes)
    nodes = tuple(node.index for node in state.graph.nodes if node.index not in linked)
    rest = dataclasses.replace(state, open_calls=free, open_nodes=nodes, links=tuple(links))
    return find_links([matcher for matcher in MATCHERS if matcher.constants], rest)


def _match_one_engine(calls: tuple[Work, ...], nodes: tuple[Work, ...]) -> list[Region]:
    """Two runs of one engine: what has the same id is the same work."""
    theirs = {node.id: node for node in nodes}
    same = Match(method="identity", confidence=1.0, evidence=("the same work in two runs of one engine",))
    both = [
        Region(id=label([call]), module=call.scope, calls=(call.id,), nodes=(call.id,), match=same)
        for call in calls
        if call.id in theirs
    ]
    ours = {call.id for call in calls}
    only = [lost_node(node) for node in nodes if node.id not in ours]
    return both + lost_calls([call for call in calls if call.id not in theirs], "call") + only


def _list_alone(work: tuple[Work, ...], why: str) -> list[Region]:
    """Every unit of work is a region of its own: `why` there is nothing to compare it with."""
    match = Match(method="none", confidence=0.0, evidence=(why,))
    return [
        Region(
            id=label([w]),
            module=w.scope,
            calls=(w.id,) if w.engine == "torch" else (),
            nodes=() if w.engine == "torch" else (w.id,),
            match=match,
            origin="alone",
        )
        for w in work
    ]
