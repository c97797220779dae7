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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from attrib.analysis.lineage.components import nodes_by_name
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.compiled import compiled_in_order, compiled_number, is_compiled
from attrib.analysis.match.from_profile import name_of, node_name_parts
from attrib.analysis.match.partitions.covering import (
    Covering,
    Crossing,
    crossings,
    run_by_name,
    running,
    spans,
)
from attrib.analysis.match.scoring import CONTRADICTION
from attrib.model.placement import Part, Placement
from attrib.model.work import Work

PLACED = 0.95
"""Confidence in a part that the session named, where its tensors agree or nothing says otherwise."""


@dataclass(slots=True, eq=False)
class _Found:
    """Which part each compiled node is (both by position), of how many, and the graph's nodes that each part names."""

    part_of: dict[int, int] = field(default_factory=dict)
    place: dict[int, str] = field(default_factory=dict)
    named: dict[int, list[int]] = field(default_factory=dict)


def covering_as_placed(nodes: Sequence[Work], graph: Graph, placement: Placement) -> Covering | None:
    """What the executed nodes cover; None where the placement tells nothing of the compiled ones."""
    runs = run_by_name(nodes, graph)
    named = _named(graph, placement)
    found = _paired(nodes, graph, placement, runs, named)
    if not found.part_of:
        return None
    at = {i: places[0] for i, places in runs.items()}
    for place, part in found.part_of.items():
        at |= {i: place for i in named[part] if i not in runs}
    compiled, named_in = set(found.part_of), dict(at)
    barred = {i for part, of in named.items() if part not in found.part_of.values() for i in of} - at.keys()
    _fill(graph, at, compiled, barred, len(nodes))
    crossing = crossings(graph, at)
    trust, notes = {}, {}
    for place, part in found.part_of.items():
        agrees, said = _compared(crossing.get(place), nodes[place])
        trust[place] = PLACED * (1.0 if agrees else CONTRADICTION)
        size = len(placement.parts[part].nodes)
        notes[place] = (
            f"{nodes[place].provider} compiled {size} nodes into {nodes[place].id}: {found.place[place]}; {said}",
            _origin([i for i, p in named_in.items() if p == place], at, place),
        )
    return Covering(
        runs=runs | {i: (place,) for i, place in at.items() if place in compiled},
        trust=trust,
        notes=notes,
        rewritten=frozenset(barred),
    )


def _named(graph: Graph, placement: Placement) -> dict[int, list[int]]:
    """The graph's nodes that each part names (case 3)."""
    single = {name: of[0].index for name, of in nodes_by_name(graph).items() if name and len(of) == 1}
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


def _paired(
    nodes: Sequence[Work],
    graph: Graph,
    placement: Placement,
    runs: Mapping[int, tuple[int, ...]],
    named: Mapping[int, list[int]],
) -> _Found:
    """The part of each compiled node, provider by provider."""
    found = _Found()
    ran = {name for node in nodes if not is_compiled(node) for name in (node.id, name_of(node).member)}
    certain = {i: -1 - part for part, of in named.items() for i in of}
    sides = crossings(graph, {i: places[0] for i, places in runs.items()} | certain)
    by_provider: dict[str, list[int]] = {}
    for place in compiled_in_order(nodes):
        by_provider.setdefault(nodes[place].provider, []).append(place)
    for provider, places in by_provider.items():
        parts = [
            i for i, part in enumerate(placement.parts) if part.provider == provider and not _ran(part, ran)
        ]
        if len(places) == len(parts):
            pairs = list(zip(places, parts, strict=True))  # 1
        else:
            table = [[not _crossing(sides, i).missing(nodes[place]) for i in parts] for place in places]
            pairs = [(places[a], parts[b]) for a, b in _in_order(table)]  # 2
        for place, part in pairs:
            found.part_of[place] = part
            which = (
                f"part {parts.index(part) + 1} of the {len(parts)} that the session lists (placement.json)"
            )
            number = compiled_number(nodes[place])
            by = f"by its number, {number}" if number >= 0 and len(places) == len(parts) else "by order"
            found.place[place] = f"{which}, found {by}"
    return found


def _crossing(sides: Mapping[int, Crossing], part: int) -> Crossing:
    return sides.get(-1 - part, Crossing((), ()))


def _ran(part: Part, names: Iterable[str]) -> bool:
    """Whether a part is a single node that ran under its own name."""
    return len(part.nodes) == 1 and part.nodes[0].name in names


def _in_order(fits: Sequence[Sequence[bool]]) -> list[tuple[int, int]]:
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


def _fill(graph: Graph, at: dict[int, int], compiled: set[int], barred: set[int], end: int) -> None:
    """Place what no part names (case 4), except what was rewritten outside (case 5)."""
    bounds = spans(graph, at, end)
    for i in running(graph):
        if i in at or i in barred:
            continue
        place = next((place for place in bounds[i] if place in compiled), None)
        if place is not None:
            at[i] = place


def _compared(crossing: Crossing | None, work: Work) -> tuple[bool, str]:
    """Whether the tensors that cross the border of a part are inputs and outputs of the node, and in words."""
    count = 0 if crossing is None else len(crossing.entering) + len(crossing.leaving)
    if crossing is None or not count or not (work.inputs or work.outputs):
        return True, "no shapes to check it by"
    missing = crossing.missing(work)
    if missing:
        return (
            False,
            f"SIZES DIFFER: {missing[0]} crosses the border of that part, and the node has no such tensor",
        )
    return True, f"the {count} tensors that cross its border are inputs and outputs of the node"


def _origin(named: Sequence[int], at: Mapping[int, int], place: int) -> str:
    more = sum(p == place for p in at.values()) - len(named)
    text = f"{len(named)} nodes of the graph that the session opened are in it by name"
    return text + (f", {more} more by the nodes around them" if more else "")
