"""Regions: lineage components and calls, merged wherever one call reaches into several components.

Conditions, cited in the code:

1. A call that is linked to several components makes them one region. A compiled kernel is linked by each op that it
   covers (see `units`).
2. A component without a call stays a region of its own: nodes that PyTorch never ran.
3. Calls without a link are gathered by module: calls that have no counterpart in the graph. That is certain where the
   graph names its modules, and explained where a call depends on no input.
4. Two sides of one engine (an A/A capture) are joined by the identity of their work.
"""

import dataclasses
from collections.abc import Container, Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

from attrib.lineage.components import Component, components
from attrib.lineage.disjoint import DisjointSets
from attrib.lineage.graph import Graph
from attrib.match.by_name import links_by_name
from attrib.match.contradiction import contradictions
from attrib.match.executed import executed_by_node
from attrib.match.from_profile import graph_from_work
from attrib.match.linking import CONFIDENCE, CONTRADICTION
from attrib.match.links import Link, Matcher, Unmatched, unmatched, without
from attrib.match.matchers import MATCHERS, MATCHERS_OF_CONSTANTS
from attrib.match.ops import IDENTITY_OPS, base_op, op_role, role
from attrib.match.units import Units, units
from attrib.model.flow import Flow
from attrib.model.region import Match, Method, Origin, Region
from attrib.model.work import Work, distinct

MAX_EVIDENCE = 12
"""Lines of evidence kept for one region; the number left out is said."""

LABEL_OPS = 3
"""Ops named in a region's id."""

NO_COUNTERPART: dict[str, str] = {
    "call": "PyTorch ran this, and the exported graph has no node for it",
    "node": "the exported graph has this, and PyTorch ran no call for it",
    "folded": "PyTorch computes this anew in each step, from nothing that the inputs hold: the export stored the result",
    "unsure": "no node was found for this call, in a graph that names no modules",
    "lost": "no value name, module or order leads from this node to the exported graph",
}


def regions(
    calls: tuple[Work, ...],
    nodes: tuple[Work, ...],
    graphs: Sequence[Graph] = (),
    *,
    ran: bool = True,
    flow: Flow | None = None,
) -> tuple[Region, ...]:
    """Bring PyTorch's calls and ONNX Runtime's nodes together.

    Args:
        calls: Work of the first side.
        nodes: Work of the second side.
        graphs: The chain: the graph as exported, after each rewrite, and as it ran. Without it the executed nodes stand
            in for it.
        flow: Which call reads the result of which, where that was watched.
        ran: The last graph is the one that ran. Else executed nodes are found in it by the names that they kept.

    Returns:
        Regions in the order of the exported graph; every call and every node is in exactly one.
    """
    if not calls or not nodes:
        return _alone((*calls, *nodes))
    if {work.engine for work in calls} == {work.engine for work in nodes}:
        return _identical(calls, nodes)
    chain = tuple(graphs) if ran and graphs else (graph_from_work(nodes),)
    seen = units(calls)
    state = unmatched(seen.works, chain[0], () if ran and graphs else nodes)
    state = dataclasses.replace(state, flow=_flow_between(seen.works, flow))
    if graphs and not ran:
        exported = _all_links(unmatched(seen.works, graphs[0]), frozenset())
        state = without(state, links_by_name(exported, components(graphs), graphs[-1], nodes))
    input_free = flow.input_free if flow else frozenset[str]()
    links = _all_links(state, input_free)
    pairing = _Pairing(
        calls, seen, state, nodes, components(chain), executed_by_node(nodes, chain[-1]), ran and bool(graphs)
    )
    return _named(_merged(pairing, links, input_free))


def _flow_between(calls: Sequence[Work], flow: Flow | None) -> dict[int, tuple[tuple[int, int], ...]]:
    """The sources of each call that was watched, by position; a call that the profile does not hold is looked through."""
    position = {call.id: i for i, call in enumerate(calls)}
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


def _all_links(state: Unmatched, input_free: Container[str]) -> list[Link]:
    """The links of all matchers.

    What depends on the model's inputs on one side does so on the other. The rest, which the export could fold but may
    have left in the graph, is matched apart.
    """
    free = tuple(i for i in state.open_calls if state.calls[i].id in input_free)
    apart = set(free)
    fed = dataclasses.replace(state, open_calls=tuple(i for i in state.open_calls if i not in apart))
    links = _run(MATCHERS, fed)
    if not free or state.executed:
        return links
    linked = {link.node for link in links} | set(state.open_nodes)
    nodes = tuple(node.index for node in state.graph.nodes if node.index not in linked)
    rest = dataclasses.replace(state, open_calls=free, open_nodes=nodes, links=tuple(links))
    return _run(MATCHERS_OF_CONSTANTS, rest)


def _run(matchers: Sequence[Matcher], state: Unmatched) -> list[Link]:
    links = list(state.links)
    for matcher in matchers:
        found = matcher(state)
        state, links = without(state, found), links + found
    return links


class _Pairing(NamedTuple):
    """What regions are made of: both sides' work, the graphs' components, and which node of the last graph ran as what.

    `chained`: the graphs were captured, so that they explain what the executed nodes alone would contradict.
    """

    calls: tuple[Work, ...]
    units: Units
    state: Unmatched
    nodes: tuple[Work, ...]
    parts: tuple[Component, ...]
    executed: dict[int, list[int]]
    chained: bool


def _merged(pairing: _Pairing, links: list[Link], input_free: Container[str]) -> list[Region]:
    calls, seen, state, nodes, parts, executed, _ = pairing
    part_of = {node: i for i, part in enumerate(parts) for node in part.exported}
    sets = DisjointSets(len(parts) + len(calls))
    for link in links:
        sets.union(part_of[link.node], len(parts) + seen.owner[link.call])  # 1
    for one, other in seen.joined:
        sets.union(len(parts) + one, len(parts) + other)
    by_set: dict[int, list[Link]] = {}
    for link in links:
        by_set.setdefault(sets.find(part_of[link.node]), []).append(link)
    held_by = {sets.find(part_of[link.node]) for link in links}
    linked = {i for i in range(len(calls)) if sets.find(len(parts) + i) in held_by}
    found, reached = [], set[int]()
    for group in sets.groups():
        ours = [i - len(parts) for i in group if i >= len(parts) and i - len(parts) in linked]
        held = [parts[i] for i in group if i < len(parts)]
        ran = sorted(p for part in held for i in part.optimized for p in executed.get(i, ()))
        reached.update(ran)
        if ours or ran:  # 2
            found.append(_region(pairing, ours, held, ran, by_set.get(sets.find(group[0]), [])))
    found += [_lost_node(nodes[i]) for i in range(len(nodes)) if i not in reached]
    certain = any(scope is not None for scope in state.scopes)
    left = [call for i, call in enumerate(calls) if i not in linked]
    folded = [call for call in left if call.id in input_free]
    others = [call for call in left if call.id not in input_free]
    return [
        *found,
        *_lost_calls(others, "call" if certain else "unsure"),
        *_lost_calls(folded, "folded"),
    ]  # 3


def _region(
    pairing: _Pairing, ours: list[int], parts: list[Component], ran: list[int], links: list[Link]
) -> Region:
    calls, state, nodes = pairing.calls, pairing.state, pairing.nodes
    exported = [i for part in parts for i in part.exported]
    scopes = [calls[i].scope for i in ours] or [s for i in exported if (s := state.scopes[i]) is not None]
    return Region(
        id=_label([calls[i] for i in ours] or [nodes[i] for i in ran]),
        module=_common_module(scopes),
        calls=tuple(calls[i].id for i in ours),
        nodes=tuple(nodes[i].id for i in ran),
        exported=tuple(state.graph.nodes[i].name for i in exported),
        lineage=_stages(parts) if pairing.chained else (),
        match=_checked(
            _match(state, links, parts, exported),
            [calls[i] for i in ours],
            [nodes[i] for i in ran],
            rewritten=pairing.chained,
        ),
        origin=_origin_of(state, ours, ran, exported),
    )


def _stages(parts: list[Component]) -> tuple[tuple[int, ...], ...]:
    return tuple(
        tuple(sorted(i for part in parts for i in part.stages[k])) for k in range(len(parts[0].stages))
    )


def _origin_of(state: Unmatched, calls: list[int], nodes: list[int], exported: list[int]) -> Origin:
    if calls:
        return "both" if nodes else "torch"
    return "onnxruntime" if any(state.scopes[i] is not None for i in exported) else "unknown"


def _match(state: Unmatched, links: list[Link], parts: list[Component], exported: list[int]) -> Match:
    """The weakest link decides; a part without exported nodes means that lineage did not reach its origin."""
    values = [f"value {name} is in both graphs" for part in parts for name in part.shared]
    if links:
        weakest = min(links, key=lambda link: link.confidence)
        said = list(dict.fromkeys(link.evidence for link in links))
        return Match(method=weakest.method, confidence=weakest.confidence, evidence=_shortened(said + values))
    if not exported:
        return Match(method="none", confidence=0.0, evidence=(NO_COUNTERPART["lost"],))
    origins = dict.fromkeys(_origin(state, i) for i in exported if state.scopes[i] is not None)
    lines = [NO_COUNTERPART["node"], *origins, *values]
    return Match(method="none", confidence=0.0, evidence=_shortened(lines))


def _origin(state: Unmatched, node: int) -> str:
    fx = state.graph.nodes[node].fx_node
    return f"exported from module {state.scopes[node] or '(root)'}" + (f", fx node {fx}" if fx else "")


def _checked(match: Match, calls: list[Work], nodes: list[Work], *, rewritten: bool) -> Match:
    """The match with what the executed shapes say against it: each contradiction halves the confidence."""
    against = contradictions(calls, nodes, rewritten=rewritten) if match.confidence else ()
    if not against:
        return match
    return replace(
        match,
        confidence=match.confidence * CONTRADICTION ** len(against),
        evidence=_shortened([*against, *match.evidence]),
    )


def _shortened(lines: list[str]) -> tuple[str, ...]:
    if len(lines) <= MAX_EVIDENCE:
        return tuple(lines)
    return (*lines[: MAX_EVIDENCE - 1], f"and {len(lines) - MAX_EVIDENCE + 1} more")


def _lost_node(node: Work) -> Region:
    return Region(
        id=_label([node]),
        module="",
        calls=(),
        nodes=(node.id,),
        match=Match(method="none", confidence=0.0, evidence=(NO_COUNTERPART["lost"],)),
        origin="unknown",
    )


def _lost_calls(calls: Iterable[Work], reason: Literal["call", "unsure", "folded"]) -> list[Region]:
    """Calls without a link, by module."""
    by_module: dict[str, list[Work]] = {}
    for call in calls:
        by_module.setdefault(call.scope, []).append(call)
    method: Method = "folded" if reason == "folded" else "none"
    confidence = CONFIDENCE["folded"] if reason == "folded" else 0.0
    match = Match(method=method, confidence=confidence, evidence=(NO_COUNTERPART[reason],))
    origin: Origin = "unknown" if reason == "unsure" else "torch"
    return [
        Region(
            id=_label(work),
            module=module,
            calls=tuple(w.id for w in work),
            nodes=(),
            match=match,
            origin=origin,
        )
        for module, work in by_module.items()
    ]


def _identical(calls: tuple[Work, ...], nodes: tuple[Work, ...]) -> tuple[Region, ...]:
    theirs = {node.id: node for node in nodes}
    same = Match(method="identity", confidence=1.0, evidence=("the same work in two runs of one engine",))
    both = [  # 4
        Region(id=_label([call]), module=call.scope, calls=(call.id,), nodes=(call.id,), match=same)
        for call in calls
        if call.id in theirs
    ]
    ours = {call.id for call in calls}
    only = [_lost_node(node) for node in nodes if node.id not in ours]
    return _named(both + _lost_calls([call for call in calls if call.id not in theirs], "call") + only)


def _alone(work: tuple[Work, ...]) -> tuple[Region, ...]:
    """One engine only: every unit of work is a region of its own, and there is nothing to compare it with."""
    match = Match(method="none", confidence=0.0, evidence=("only one engine was captured",))
    return _named([
        Region(
            id=_label([w]),
            module=w.scope,
            calls=(w.id,) if w.engine == "torch" else (),
            nodes=() if w.engine == "torch" else (w.id,),
            match=match,
            origin="alone",
        )
        for w in work
    ])  # fmt: skip


def _label(work: Sequence[Work]) -> str:
    """Short name of a region: the computing ops of its calls, or of its nodes."""
    computing = [w for w in work if role(w) == "compute" and base_op(w.op) not in IDENTITY_OPS] or list(work)
    names = list(dict.fromkeys(base_op(op) for w in computing for op in _ops(w)))
    shown = names[:LABEL_OPS]
    return "+".join(shown) + ("+…" if len(names) > len(shown) else "")


def _ops(work: Work) -> list[str]:
    """The op of a unit of work; of a compiled kernel, the computing ops that it covers."""
    members = [m.op for m in work.members]
    computing = [op for op in members if op_role(op) == "compute" and base_op(op) not in IDENTITY_OPS]
    return computing or members or [work.op]


def _common_module(scopes: Iterable[str]) -> str:
    paths = [scope.split(".") if scope else [] for scope in scopes]
    if not paths:
        return ""
    shortest = min(paths, key=len)
    depth = next((i for i, part in enumerate(shortest) if any(p[i] != part for p in paths)), len(shortest))
    return ".".join(shortest[:depth])


def _named(found: list[Region]) -> tuple[Region, ...]:
    """Give each region an id that is unique and stable: module, label, and a number where these repeat."""
    names = distinct([f"{region.module or '(root)'}/{region.id}" for region in found])
    return tuple(replace(region, id=name) for region, name in zip(found, names, strict=True))
