"""What each compiled node covers, where no session said so: the nodes of the graph that did not run outside of it.

A node of the graph that did not run under its name lies in a compiled node that ran after all outside nodes on whose
results it depends, and before all that depend on it. Where several did, providers differ: some take a node as early as
they can, some as late. Both are tried, and the one stays whose borders fit the tensors that the compiled nodes read and
wrote. Compiled nodes between which no outside node ran cannot be told apart, and count as one.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.compiled import compiled_in_order
from attrib.analysis.match.partitions.covering import (
    Covering,
    crossings,
    nodes_that_run,
    run_bounds,
    run_by_name,
)
from attrib.model.work import Work

DERIVED = 0.6
"""Confidence in a part that was derived, where every node had only this place."""

DOUBTFUL = 0.5
"""The same where some nodes had other places too."""

ALONE = 0.9
"""The same where the session ran a single compiled node, in which everything that did not run outside must lie."""


def covering_from_order(nodes: Sequence[Work], graph: Graph) -> Covering:
    """What each executed node stands for, by what it depends on and what depends on it."""
    runs = run_by_name(nodes, graph)
    at = {i: places[0] for i, places in runs.items()}
    compiled = sorted(compiled_in_order(nodes))
    bounds = run_bounds(graph, at, len(nodes))
    choices: dict[int, Sequence[int]] = {}
    for i in nodes_that_run(graph):
        # The compiled nodes between the bounds, in the order of execution.
        between = compiled[bisect_right(compiled, bounds[i].first) : bisect_left(compiled, bounds[i].last)]
        if i not in runs and between:
            choices[i] = between
    early, late = ({i: places[k] for i, places in choices.items()} for k in (0, -1))

    def agreement(inside: Mapping[int, int]) -> float:
        found = crossings(graph, {**at, **inside})
        return sum(found[place].agreement(nodes[place]) for place in compiled if place in found)

    chosen = max(late, early, key=agreement)
    # Compiled nodes by the one that has nodes of the graph; one that has none joins the nearest that has.
    covering = set(chosen.values())
    leads = [place for place in compiled if place in covering]
    together: dict[int, list[int]] = {lead: [] for lead in leads}
    for place in compiled if leads else ():
        together[min(leads, key=lambda lead: (abs(lead - place), -lead))].append(place)
    trust, notes = {}, {}
    for lead, places in together.items():
        inside = [i for i, place in chosen.items() if place == lead]
        doubtful = sum(len(choices[i]) > 1 for i in inside) if len(together) > 1 else 0
        sure = ALONE if len(compiled) == 1 else DERIVED
        for place in places:
            trust[place] = DOUBTFUL if doubtful or places[1:] else sure
            notes[place] = _notes(nodes, places, len(inside), doubtful)
    covered = {i: tuple(together[place]) for i, place in chosen.items()}
    return Covering(runs={**runs, **covered}, trust=trust, notes=notes)


def _notes(nodes: Sequence[Work], places: Sequence[int], inside: int, doubtful: int) -> tuple[str, ...]:
    names = ", ".join(nodes[place].id for place in places)
    if len(nodes) == 1:
        return (f"{names} is all that ran: the whole graph was compiled into it",)
    text = (
        f"the session did not say what it compiled into {names}: {inside} nodes of the graph that did not run on their own"
        " lie there by what they depend on and what depends on them"
    )
    more = (
        f"{doubtful} of them could lie in a part before or behind it too; the tensors at the border decided"
    )
    apart = f"nothing tells {len(places)} compiled nodes apart, between which no other node ran"
    return (text, *([more] if doubtful else []), *([apart] if places[1:] else []))
