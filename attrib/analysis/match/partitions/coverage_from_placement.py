"""What each compiled node covers, as the session said when it divided the graph (`placement.json`).

Numbered cases, cited in the code:

1. The parts of a provider that did not run under their own names are those that it compiled. ONNX Runtime lists and numbers
   them in one order: with as many nodes as parts, the n-th node is the n-th part.
2. With another number of either (a branch that was not taken, a part that was compiled anew), nodes and parts are paired in
   order, as many as possible whose tensors agree.
3. A node of the graph is found in a part by its name, or by its name in that of a rewritten one
   (`node_MatMul_45/MatMulAddFusion`).
4. What was rewritten under other names lies where its neighbors lie: with what it reads, else with what reads it.
5. A node that the session gave to a provider without compiling it, and that did not run under its name, was rewritten
   after the graph had been divided.
"""

from collections.abc import Mapping, Sequence

import msgspec

from attrib.analysis.lineage.components import unique_names
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.compiled import compiled_in_order, compiled_number, is_compiled
from attrib.analysis.match.from_profile import name_of, node_name_parts
from attrib.analysis.match.partitions.covering import (
    Covering,
    Crossing,
    crossings,
    nodes_that_run,
    run_bounds,
    run_by_name,
)
from attrib.analysis.match.scoring import CONTRADICTION
from attrib.model.placement import Placement
from attrib.model.work import Work

PLACED = 0.95
"""Confidence in a part that the session named, where its tensors agree or nothing says otherwise."""


class _Pairs(msgspec.Struct, eq=False):
    """Which part each compiled node is (both by position), and in words how it was found."""

    part_of: dict[int, int] = msgspec.field(default_factory=dict)
    how: dict[int, str] = msgspec.field(default_factory=dict)


def covering_from_placement(nodes: Sequence[Work], graph: Graph, placement: Placement) -> Covering | None:
    """What each executed node stands for, as the session said; None where it tells nothing of the compiled ones."""
    runs = run_by_name(nodes, graph)
    named = _nodes_by_part(graph, placement)
    found = _pair_parts(nodes, graph, placement, runs, named)
    if not found.part_of:
        return None
    at = {i: places[0] for i, places in runs.items()}
    for place, part in found.part_of.items():
        at |= {i: place for i in named[part] if i not in runs}
    compiled, named_in = set(found.part_of), dict(at)
    barred = {i for part, of in named.items() if part not in found.part_of.values() for i in of} - at.keys()
    bounds = run_bounds(graph, at, len(nodes))
    for i in nodes_that_run(graph):
        if i not in at and i not in barred:  # 5
            near = next((place for place in bounds[i] if place in compiled), None)
            at |= {} if near is None else {i: near}  # 4
    crossing = crossings(graph, at)
    trust, notes = {}, {}
    for place, part in found.part_of.items():
        agrees, said = crossing.get(place, Crossing((), ())).check(nodes[place])
        trust[place] = PLACED * (1.0 if agrees else CONTRADICTION)
        size = len(placement.parts[part].nodes)
        by_name = sum(p == place for p in named_in.values())
        more = sum(p == place for p in at.values()) - by_name
        notes[place] = (
            f"{nodes[place].provider} compiled {size} nodes into {nodes[place].id}: {found.how[place]}; {said}",
            f"{by_name} nodes of the graph that the session opened are in it by name"
            + (f", {more} more by the nodes around them" if more else ""),
        )
    return Covering(
        runs=runs | {i: (place,) for i, place in at.items() if place in compiled},
        trust=trust,
        notes=notes,
        rewritten=frozenset(barred),
    )


def _nodes_by_part(graph: Graph, placement: Placement) -> dict[int, list[int]]:
    """The graph's nodes that each part names (case 3)."""
    single = unique_names(graph)
    found: dict[int, list[int]] = {}
    taken: set[int] = set()
    for exact in (True, False):
        for number, part in enumerate(placement.parts):
            inside = found.setdefault(number, [])
            for placed in part.nodes:
                name = placed.name if exact else node_name_parts(placed.name, placed.op).member
                index = single.get(name)
                if index is not None and index not in taken:
                    taken.add(index)
                    inside.append(index)
    return found


def _pair_parts(
    nodes: Sequence[Work],
    graph: Graph,
    placement: Placement,
    runs: Mapping[int, tuple[int, ...]],
    named: Mapping[int, list[int]],
) -> _Pairs:
    """The part of each compiled node, provider by provider."""
    found = _Pairs()
    # A part of a single node that ran under its own name was not compiled.
    ran = {name for node in nodes if not is_compiled(node) for name in (node.id, name_of(node).member)}
    certain = {i: -1 - part for part, of in named.items() for i in of}
    sides = crossings(graph, {i: places[0] for i, places in runs.items()} | certain)
    by_provider: dict[str, list[int]] = {}
    for place in compiled_in_order(nodes):
        by_provider.setdefault(nodes[place].provider, []).append(place)
    for provider, places in by_provider.items():
        parts = [
            i
            for i, part in enumerate(placement.parts)
            if part.provider == provider and not (len(part.nodes) == 1 and part.nodes[0].name in ran)
        ]
        if len(places) == len(parts):
            pairs = list(zip(places, parts, strict=True))  # 1
        else:
            borders = [sides.get(-1 - i, Crossing((), ())) for i in parts]
            table = [[not border.missing(nodes[place]) for border in borders] for place in places]
            pairs = [(places[a], parts[b]) for a, b in _longest_pairs(table)]  # 2
        for place, part in pairs:
            found.part_of[place] = part
            which = (
                f"part {parts.index(part) + 1} of the {len(parts)} that the session lists (placement.json)"
            )
            number = compiled_number(nodes[place])
            by = f"by its number, {number}" if number >= 0 and len(places) == len(parts) else "by order"
            found.how[place] = f"{which}, found {by}"
    return found


def _longest_pairs(fits: Sequence[Sequence[bool]]) -> list[tuple[int, int]]:
    """The most pairs in order that fit (longest common subsequence); the first ones of equal choices."""
    rows, columns = len(fits), len(fits[0]) if fits else 0
    best = [[0] * (columns + 1) for _ in range(rows + 1)]
    for a in range(rows - 1, -1, -1):
        for b in range(columns - 1, -1, -1):
            with_both = 1 + best[a + 1][b + 1] if fits[a][b] else 0
            best[a][b] = max(with_both, best[a + 1][b], best[a][b + 1])
    found, a, b = [], 0, 0
    while a < rows and b < columns:
        if fits[a][b] and best[a][b] == 1 + best[a + 1][b + 1]:
            found.append((a, b))
            a, b = a + 1, b + 1
        elif best[a][b] == best[a][b + 1]:
            b += 1
        else:
            a += 1
    return found
