"""Compiled parts of the graph as regions: one each, with the calls whose nodes lie in it, and why.

One executed node (`OpenVINOExecutionProvider_OpenVINO-EP-subgraph_2_1`) then stands for many calls. Calls that a border
cuts are kept on one side of it (see `homes`), so that the parts stay apart and the report can say what each of them covers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.candidates import Link
from attrib.analysis.match.compiled import compiled_in_order, covered_modules
from attrib.analysis.match.partitions.coverage_from_order import covering_as_derived
from attrib.analysis.match.partitions.coverage_from_placement import covering_as_placed
from attrib.analysis.match.partitions.covering import Covering
from attrib.analysis.match.partitions.partition_assignment import OUTSIDE, REWRITTEN, Cut
from attrib.model.placement import Placement
from attrib.model.region import Match
from attrib.model.work import Work

CUT = 0.8
"""Factor on the confidence of a region whose border cuts a call: its time holds a piece too much, or one too little."""

MOST_CUTS = 3
"""Cut calls that are named one by one."""

NO_GRAPH = 0.3
"""Confidence that what was compiled covers what PyTorch ran, where no graph says which part covers what."""


def covering_of(nodes: Sequence[Work], graph: Graph, placement: Placement | None) -> Covering:
    """What each executed node stands for: as the session said, else as the nodes outside leave over."""
    placed = covering_as_placed(nodes, graph, placement) if placement is not None else None
    return placed or covering_as_derived(nodes, graph)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Partitions:
    """What is known of the compiled nodes of a session, to name their regions and say why they are so."""

    calls: Sequence[Work]
    nodes: Sequence[Work]
    covering: Covering
    cuts: Sequence[Cut] = ()

    def label(self, ran: Sequence[int]) -> str:
        """Short name of a region: `compiled partition 2`; empty for one without a compiled node."""
        numbers = self._numbers(ran)
        return f"compiled partition{'s' if numbers[1:] else ''} {_joined(numbers)}" if numbers else ""

    def match(self, ours: Sequence[int], ran: Sequence[int], links: Sequence[Link]) -> Match | None:
        """Why calls and executed nodes (by position) belong together; None where no compiled node has to do with it."""
        trusted = [self.covering.trust[place] for place in ran if place in self.covering.trust]
        near = [cut for cut in self.cuts if not cut.pieces.keys().isdisjoint(ran)]
        if not trusted:
            pieces = [cut for cut in near if cut.home != OUTSIDE]
            return self._piece(ran, pieces) if pieces and not ours else None
        weakest = min([*trusted, *(link.confidence for link in links)])
        notes = dict.fromkeys(note for place in ran for note in self.covering.notes.get(place, ()))
        covers = covered_modules(self.calls[i].scope for i in ours)
        cut = [self._told(one, ran) for one in near[:MOST_CUTS]]
        more = [f"its border cuts {len(near)} calls in all"] if near[MOST_CUTS:] else []
        evidence = (*([f"covers {covers}"] if ours else []), *cut, *more, *notes)
        return Match(method="partition", confidence=weakest * (CUT if near else 1.0), evidence=evidence)

    def beside(self, match: Match, ran: Sequence[int]) -> Match:
        """The match of calls that ran outside, with those of which a piece lies in a compiled node."""
        near = [cut for cut in self.cuts if cut.home == OUTSIDE and not cut.pieces.keys().isdisjoint(ran)]
        if not near:
            return match
        said = (self._told(cut, ran) for cut in near[:MOST_CUTS])
        return replace(match, confidence=match.confidence * CUT, evidence=(*said, *match.evidence))

    def _piece(self, ran: Sequence[int], cuts: Sequence[Cut]) -> Match:
        """Of a node outside that is a piece of calls which belong to a compiled node."""
        evidence = tuple(self._told(cut, ran) for cut in cuts[:MOST_CUTS])
        return Match(method="partition", confidence=CUT, evidence=evidence)

    def _told(self, cut: Cut, ran: Sequence[int]) -> str:
        """A call that a border cuts, as seen from one side of it."""
        name = " and ".join(self.calls[i].id for i in cut.calls[:2])
        here = sum(count for unit, count in cut.pieces.items() if unit in ran)
        elsewhere = ", ".join(
            f"{n} in {self._where(unit)}" for unit, n in cut.pieces.items() if unit not in ran
        )
        if cut.home in ran or (cut.home == OUTSIDE and not self._numbers(ran)):
            return f"{name} is cut: {here} of its nodes lie here, {elsewhere}; all of its PyTorch time stands here"
        stands = "outside" if cut.home in (OUTSIDE, REWRITTEN) else f"with {self._where(cut.home)}"
        return f"a piece of {name} lies here ({counted_nodes(here)}; {elsewhere}); its PyTorch time stands {stands}"

    def _where(self, unit: int) -> str:
        if unit == REWRITTEN:
            return "rewritten nodes outside"
        return self.label((unit,)) or self.nodes[unit].id

    def _numbers(self, ran: Sequence[int]) -> list[int]:
        order = {place: k for k, place in enumerate(compiled_in_order(self.nodes), 1)}
        return sorted(order[place] for place in ran if place in order)


def counted_nodes(count: int) -> str:
    """`1 node`, `3 nodes`."""
    return f"{count} node{'' if count == 1 else 's'}"


def _joined(numbers: Sequence[int]) -> str:
    """`2`, `2 and 3`, `2 to 5`."""
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:  # noqa: PLR2004
        return f"{numbers[0]} to {numbers[-1]}"
    return " and ".join(map(str, numbers))
