"""Merge components, calls and executed nodes into regions, each with its name and the reason why it is one.

The conditions are those of `regions`.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Literal, NamedTuple

from msgspec.structs import replace

from attrib.analysis.lineage.components import Component
from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.match.candidates import Link, MatchState
from attrib.analysis.match.ops import IDENTITY_OPS, base_op, computes, op_role, role
from attrib.analysis.match.partitions.partitions import Partitions
from attrib.analysis.match.scoring import CONTRADICTION, FLOATS
from attrib.analysis.match.units import Units
from attrib.model.region import Match, Method, Origin, Region
from attrib.model.tensor import Tensor
from attrib.model.work import Work

MAX_EVIDENCE = 12
"""Lines of evidence kept for one region; the number left out is said."""

STORED = 0.8
"""Confidence that the export stored the result of a call which depends on no input, as an exporter may."""

LABEL_OPS = 3
"""Ops named in a region's id."""

NO_COUNTERPART: dict[str, str] = {
    "call": "PyTorch ran this, and the exported graph has no node for it",
    "node": "the exported graph has this, and PyTorch ran no call for it",
    "folded": "PyTorch computes this anew in each step, from nothing that the inputs hold: the export stored the result",
    "unsure": "no node was found for this call, in a graph that names no modules",
    "elsewhere": "several calls and several nodes make these numbers, and which belongs to which is not known",
    "lost": "no value name, module or order leads from this node to the exported graph",
}


class Pairing(NamedTuple):
    """What regions are made of: both sides' work, the graphs' components, and which node of the last graph ran as what.

    `chained`: the graphs were captured, so that they explain what the executed nodes alone would contradict.
    `partitions`: of a session with compiled nodes; `calls_elsewhere` and `nodes_elsewhere` are then
    joined by another way.
    """

    calls: tuple[Work, ...]
    units: Units
    state: MatchState
    nodes: tuple[Work, ...]
    parts: tuple[Component, ...]
    executed: dict[int, list[int]]
    chained: bool
    partitions: Partitions | None = None
    calls_elsewhere: Container[int] = ()
    nodes_elsewhere: Container[int] = ()

    @property
    def elsewhere(self) -> frozenset[str]:
        """Ids of calls and names of values that the other side computes as well."""
        return self.state.made_by_both


def merge_regions(pairing: Pairing, links: list[Link], input_free: Container[str]) -> list[Region]:
    """Merge what belongs together: every call and node that is not joined elsewhere is then in exactly one region.

    Args:
        pairing: What they are made of.
        links: Calls and nodes of the first graph that compute the same.
        input_free: Ids of the calls that depend on no input of the model.
    """
    calls, seen, state, nodes, parts, executed, *_ = pairing
    part_of = {node: i for i, part in enumerate(parts) for node in part.exported}
    sets = DisjointSets(len(parts) + len(calls))
    for link in links:
        sets.union(part_of[link.node], len(parts) + seen.owner[link.call])  # 1
    for one, other in seen.joined:
        sets.union(len(parts) + one, len(parts) + other)
    for one, other in pairing.partitions.compiled_together(parts) if pairing.partitions else ():
        sets.union(one, other)  # 5
    by_set: dict[int, list[Link]] = {}
    for link in links:
        by_set.setdefault(sets.find(part_of[link.node]), []).append(link)
    held_by = {sets.find(part_of[link.node]) for link in links}
    linked = {i for i in range(len(calls)) if sets.find(len(parts) + i) in held_by}
    found, reached = [], set[int]()
    for group in sets.groups():
        ours = [i - len(parts) for i in group if i >= len(parts) and i - len(parts) in linked]
        held = [parts[i] for i in group if i < len(parts)]
        ran = sorted({p for part in held for i in part.optimized for p in executed.get(i, ())})
        reached.update(ran)
        if ours or ran:  # 2
            found.append(_region(pairing, ours, held, ran, by_set.get(sets.find(group[0]), [])))
    lost = (i for i in range(len(nodes)) if i not in reached and i not in pairing.nodes_elsewhere)
    found += [lost_node(nodes[i]) for i in lost]
    certain = any(scope is not None for scope in state.scopes)
    left = [call for i, call in enumerate(calls) if i not in linked and i not in pairing.calls_elsewhere]
    folded = [call for call in left if call.id in input_free]
    others = [call for call in left if call.id not in input_free]
    made = pairing.elsewhere
    there = [call for call in others if call.id in made]
    others = [call for call in others if call.id not in made]
    return [
        *found,
        *lost_calls(others, "call" if certain else "unsure"),
        *lost_calls(there, "elsewhere"),
        *lost_calls(folded, "folded"),
    ]  # 3


def _region(
    pairing: Pairing, ours: list[int], parts: list[Component], ran: list[int], links: list[Link]
) -> Region:
    calls = [pairing.calls[i] for i in ours]
    nodes = [pairing.nodes[i] for i in ran]
    exported = [i for part in parts for i in part.exported]
    modules = [scope for i in exported if (scope := pairing.state.scopes[i]) is not None]
    partitions = pairing.partitions
    match = partitions.match(ours, ran, links) if partitions else None
    named = {name for i in exported for name in pairing.state.graph.nodes[i].outputs}
    elsewhere = not calls and not pairing.elsewhere.isdisjoint(named)
    origin: Origin = "onnxruntime" if modules and not elsewhere else "unknown"
    if calls:
        origin = "both" if nodes else "torch"
    elif match is not None:
        origin = "onnxruntime"  # a piece of what a provider compiled
    if match is None:
        match = _match(pairing.state, links, parts, exported)
        against = contradictions(calls, nodes, rewritten=pairing.chained) if match.confidence else ()
        if against:
            match = replace(
                match,
                confidence=match.confidence * CONTRADICTION ** len(against),
                evidence=_shorten([*against, *match.evidence]),
            )
        match = partitions.beside(match, ran) if partitions else match
    stages = zip(*(part.stages for part in parts), strict=True) if pairing.chained else ()
    return Region(
        id=(partitions.label(ran) if partitions else "") or label(calls or nodes),
        module=common_module([call.scope for call in calls] or modules),
        calls=tuple(call.id for call in calls),
        nodes=tuple(node.id for node in nodes),
        exported=tuple(pairing.state.graph.nodes[i].name for i in exported),
        lineage=tuple(tuple(sorted(i for positions in stage for i in positions)) for stage in stages),
        match=match,
        origin=origin,
    )


def _match(state: MatchState, links: list[Link], parts: list[Component], exported: list[int]) -> Match:
    """Why a region is one: its weakest link decides. Without exported nodes, nothing leads to where it came from."""
    values = [f"value {name} is in both graphs" for part in parts for name in part.shared]
    if links:
        weakest = min(links, key=lambda link: link.confidence)
        said = list(dict.fromkeys(link.evidence for link in links))
        return Match(method=weakest.method, confidence=weakest.confidence, evidence=_shorten(said + values))
    if not exported:
        return Match(method="none", confidence=0.0, evidence=(NO_COUNTERPART["lost"],))
    origins: dict[str, None] = {}
    for i in exported:
        if state.scopes[i] is not None:
            fx = state.graph.nodes[i].fx_node
            module = f"exported from module {state.scopes[i] or '(root)'}"
            origins[module + (f", fx node {fx}" if fx else "")] = None
    lines = [NO_COUNTERPART["node"], *origins, *values]
    return Match(method="none", confidence=0.0, evidence=_shorten(lines))


def _shorten(lines: list[str]) -> tuple[str, ...]:
    if len(lines) <= MAX_EVIDENCE:
        return tuple(lines)
    return (*lines[: MAX_EVIDENCE - 1], f"and {len(lines) - MAX_EVIDENCE + 1} more")


def contradictions(calls: Sequence[Work], nodes: Sequence[Work], *, rewritten: bool) -> tuple[str, ...]:
    """What the executed shapes say against calls and nodes being the same work, one line each.

    Links were checked against the exported graph, which may leave sizes open; this looks at what ran. Element counts are
    compared, not layouts: exporters transpose weights and flatten batches, and fused nodes read packed weights. So one
    activation of the calls that is found among the tensors of the nodes is agreement.

    Args:
        calls: Calls of a region.
        nodes: Its executed nodes.
        rewritten: The chain of graphs explains another element type, so that it is no contradiction.
    """
    entering = [c.inputs[0] for c in calls if c.inputs and computes(c)]
    there = [t for n in nodes for t in (*n.inputs, *n.outputs)]
    found = []
    if entering and there and not {t.elements for t in entering} & {t.elements for t in there}:
        found.append(
            f"SIZES DIFFER: PyTorch computes on {_largest_tensors(entering)}, ONNX Runtime on {_largest_tensors(there)}"
        )
    ours, theirs = _float_types(entering), _float_types(there)
    if ours and theirs and not ours & theirs and not rewritten:
        found.append(
            f"TYPES DIFFER: {', '.join(sorted(ours))} in PyTorch, {', '.join(sorted(theirs))} in ONNX Runtime"
        )
    return tuple(found)


def _float_types(tensors: Iterable[Tensor]) -> frozenset[str]:
    return frozenset(t.dtype for t in tensors if t.dtype in FLOATS)


def _largest_tensors(tensors: Iterable[Tensor]) -> str:
    shown = list(dict.fromkeys(str(t) for t in sorted(tensors, key=lambda t: -t.elements)))[:2]
    return " and ".join(shown)


def lost_node(node: Work) -> Region:
    """The region of an executed node of which nothing is known."""
    return Region(
        id=label([node]),
        module="",
        calls=(),
        nodes=(node.id,),
        match=Match(method="none", confidence=0.0, evidence=(NO_COUNTERPART["lost"],)),
        origin="unknown",
    )


def lost_calls(
    calls: Iterable[Work], reason: Literal["call", "unsure", "elsewhere", "folded"]
) -> list[Region]:
    """The regions of calls without a link, one a module."""
    by_module: dict[str, list[Work]] = {}
    for call in calls:
        by_module.setdefault(call.scope, []).append(call)
    method: Method = "folded" if reason == "folded" else "none"
    confidence = STORED if reason == "folded" else 0.0
    match = Match(method=method, confidence=confidence, evidence=(NO_COUNTERPART[reason],))
    origin: Origin = "unknown" if reason in ("unsure", "elsewhere") else "torch"
    return [
        Region(
            id=label(work),
            module=module,
            calls=tuple(w.id for w in work),
            nodes=(),
            match=match,
            origin=origin,
        )
        for module, work in by_module.items()
    ]


def label(work: Sequence[Work]) -> str:
    """Short name of a region: the computing ops of its calls, or of its nodes."""
    computing = [w for w in work if role(w) == "compute" and base_op(w.op) not in IDENTITY_OPS] or list(work)
    names: dict[str, None] = {}
    for unit in computing:
        members = [
            m.op for m in unit.members
        ]  # a compiled kernel has the names of the computing ops that it covers
        ops = [op for op in members if op_role(op) == "compute" and base_op(op) not in IDENTITY_OPS]
        names |= dict.fromkeys(map(base_op, ops or members or [unit.op]))
    return "+".join(list(names)[:LABEL_OPS]) + ("+…" if len(names) > LABEL_OPS else "")


def common_module(scopes: Iterable[str]) -> str:
    """The innermost module that holds all of these modules."""
    paths = [scope.split(".") if scope else [] for scope in scopes]
    if not paths:
        return ""
    shortest = min(paths, key=len)
    depth = next((i for i, part in enumerate(shortest) if any(p[i] != part for p in paths)), len(shortest))
    return ".".join(shortest[:depth])
