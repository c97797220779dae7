"""Where a call belongs whose nodes lie in several compiled nodes, or in a compiled one and outside.

Numbered cases, cited in the code:

1. Time cannot be split: a call belongs to one side of a border as a whole. That is the compiled node, or the nodes outside
   of all of them, with most of the ops that stand for the call (the two products and the Softmax of an attention; not the
   IsNaN of its guard); then with most of its nodes; then where its result is made.
2. What lies elsewhere is said there, and lowers the confidence on both sides of the cut; not for views, which cost nothing.
3. Calls that are one (kernels of a compiled PyTorch model) belong to one side.
4. A node that ran nowhere ties no two sides together.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from attrib.analysis.lineage.components import Component
from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.match.candidates import Link, MatchState
from attrib.analysis.match.ops import is_whole, op_role
from attrib.analysis.match.partitions.covering import Covering
from attrib.analysis.match.units import Units

OUTSIDE, REWRITTEN = -1, -2
"""Sides that are no compiled node: what ran outside by name, and what ran outside in other nodes."""


class CutCall(NamedTuple):
    """Calls (several where they are one) whose nodes lie on several sides of a border.

    Attributes:
        calls: Their positions.
        side: Where they belong: the position of a compiled node, OUTSIDE or REWRITTEN.
        pieces: The number of their nodes by executed work.
    """

    calls: tuple[int, ...]
    side: int
    pieces: Mapping[int, int]


class Assignment(NamedTuple):
    """The links that stay, the side of each call that has one, and the calls that are cut."""

    links: list[Link]
    side_of: Mapping[int, int]
    cuts: tuple[CutCall, ...]


def split_components(parts: Sequence[Component], covering: Covering) -> list[Component]:
    """The components, those that reach into several executed nodes divided; what was exported stays with the largest."""
    found: list[Component] = []
    for part in parts:
        by_unit: dict[int | None, list[int]] = defaultdict(list)
        for i in part.optimized:
            by_unit[_unit(covering, i)].append(i)
        ran = sorted((unit for unit in by_unit if unit is not None), key=lambda unit: -len(by_unit[unit]))
        if len(ran) < 2 or len(part.stages) < 2:  # noqa: PLR2004
            found.append(part)
            continue
        first, *others = ran
        kept = tuple(sorted((*by_unit[first], *by_unit.get(None, ()))))
        found.append(replace(part, stages=(*part.stages[:-1], kept)))
        empty = ((),) * (len(part.stages) - 1)
        found += [Component(stages=(*empty, tuple(by_unit[unit]))) for unit in others]
    return found


def _unit(covering: Covering, node: int) -> int | None:
    """The executed work that stands for a node, by its first position; REWRITTEN where that bears another name."""
    places = covering.runs.get(node)
    return places[0] if places else REWRITTEN if node in covering.rewritten else None


def unit_of_part(part: Component, covering: Covering) -> int | None:
    """The executed work that stands for a component."""
    return next((unit for i in part.optimized if (unit := _unit(covering, i)) is not None), None)


def assign_calls(
    state: MatchState, seen: Units, links: Sequence[Link], parts: Sequence[Component], covering: Covering
) -> Assignment:
    """Give each call that is linked to nodes that ran one side, and drop its links to what lies elsewhere (case 1)."""
    units = {i: unit_of_part(part, covering) for part in parts for i in part.exported}
    # The first of the calls that are one with each call (case 3).
    together = [*seen.owner, *(call for pair in seen.joined for call in pair)]
    sets = DisjointSets(max(together, default=-1) + 1)
    for one, other in seen.joined:
        sets.union(one, other)
    group = {call: sets.find(call) for call in dict.fromkeys(together)}
    computing: set[int] = set()
    whole: dict[int, Counter[int]] = defaultdict(Counter)
    held: dict[int, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for link in links:
        unit = units[link.node]
        if unit is not None:
            lead = group[seen.owner[link.call]]
            held[lead][unit].add(link.node)
            op = state.graph.nodes[link.node].op
            computing.update([lead] if op_role(state.calls[link.call].op) == "compute" else [])
            whole[lead][_side(unit, covering)] += is_whole(state.calls[link.call].op, op)
    sides = {lead: _main_side(whole[lead], by_unit, covering) for lead, by_unit in held.items()}
    members: dict[int, list[int]] = defaultdict(list)
    for call, lead in group.items():
        members[lead].append(call)
    cuts = tuple(
        CutCall(tuple(members[lead]), sides[lead], {unit: len(nodes) for unit, nodes in by_unit.items()})
        for lead, by_unit in held.items()
        if len({_side(unit, covering) for unit in by_unit}) > 1 and lead in computing
    )
    side_of = {call: sides[lead] for call, lead in group.items() if lead in sides}
    part_of = {i: number for number, part in enumerate(parts) for i in part.exported}
    kept, claimed = [], dict[int, int | None]()
    for link in links:
        unit, side = units[link.node], side_of.get(seen.owner[link.call])
        nowhere = unit is None and claimed.setdefault(part_of[link.node], side) == side  # 4
        if nowhere or (unit is not None and _side(unit, covering) == side):
            kept.append(link)
    return Assignment(kept, side_of, cuts)


def _side(unit: int, covering: Covering) -> int:
    return unit if unit in covering.trust or unit == REWRITTEN else OUTSIDE


def _main_side(whole: Counter[int], by_unit: Mapping[int, set[int]], covering: Covering) -> int:
    """The side that a call belongs to as a whole (case 1)."""
    count, last = Counter[int](), dict[int, int]()
    for unit, nodes in by_unit.items():
        side = _side(unit, covering)
        count[side] += len(nodes)
        last[side] = max(last.get(side, unit), unit)
    return max(count, key=lambda side: (whole[side], count[side], last[side], side))
