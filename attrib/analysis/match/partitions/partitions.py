"""Compiled parts of the graph as regions: one each, with the calls whose nodes lie in it, and why.

One executed node (`OpenVINOExecutionProvider_OpenVINO-EP-subgraph_2_1`) then stands for many calls. Calls that a border
cuts are kept on one side of it (see `partition_assignment`), so that the parts stay apart and the report can say what each
of them covers.
"""

from collections.abc import Iterator, Sequence

import msgspec
from msgspec.structs import replace

from attrib.analysis.lineage.components import Component
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.candidates import Link
from attrib.analysis.match.compiled import compiled_in_order, covered_modules
from attrib.analysis.match.partitions.coverage_from_order import covering_from_order
from attrib.analysis.match.partitions.coverage_from_placement import covering_from_placement
from attrib.analysis.match.partitions.covering import Covering
from attrib.analysis.match.partitions.partition_assignment import OUTSIDE, REWRITTEN, CutCall, unit_of_part
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
    found = covering_from_placement(nodes, graph, placement) if placement is not None else None
    return found or covering_from_order(nodes, graph)


class Partitions(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What is known of the compiled nodes of a session, to name their regions and say why they are so."""

    calls: Sequence[Work]
    nodes: Sequence[Work]
    covering: Covering
    cuts: Sequence[CutCall] = ()

    def label(self, ran: Sequence[int]) -> str:
        """Short name of a region: `compiled partition 2`; empty for one without a compiled node."""
        numbers = self._numbers(ran)
        if not numbers:
            return ""
        shown = " and ".join(map(str, numbers))
        if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:  # noqa: PLR2004
            shown = f"{numbers[0]} to {numbers[-1]}"
        return f"compiled partition{'s' if numbers[1:] else ''} {shown}"

    def compiled_together(self, parts: Sequence[Component]) -> Iterator[tuple[int, int]]:
        """Pairs of components, by position, that one compiled node covers."""
        first: dict[int, int] = {}
        for i, part in enumerate(parts):
            unit = unit_of_part(part, self.covering)
            if unit is not None and unit in self.covering.trust:
                yield first.setdefault(unit, i), i

    def match(self, ours: Sequence[int], ran: Sequence[int], links: Sequence[Link]) -> Match | None:
        """Why calls and executed nodes (by position) belong together; None where no compiled node has to do with it."""
        trusted = [self.covering.trust[place] for place in ran if place in self.covering.trust]
        near = [cut for cut in self.cuts if not cut.pieces.keys().isdisjoint(ran)]
        if not trusted:
            pieces = [cut for cut in near if cut.side != OUTSIDE]
            if not pieces or ours:
                return None
            # A node outside that is a piece of calls which belong to a compiled node.
            told = tuple(self._cut_sentence(one, ran) for one in pieces[:MOST_CUTS])
            return Match(method="partition", confidence=CUT, evidence=told)
        weakest = min([*trusted, *(link.confidence for link in links)])
        notes = dict.fromkeys(note for place in ran for note in self.covering.notes.get(place, ()))
        covers = covered_modules(self.calls[i].scope for i in ours)
        cut = [self._cut_sentence(one, ran) for one in near[:MOST_CUTS]]
        more = [f"its border cuts {len(near)} calls in all"] if near[MOST_CUTS:] else []
        evidence = (*([f"covers {covers}"] if ours else []), *cut, *more, *notes)
        return Match(method="partition", confidence=weakest * (CUT if near else 1.0), evidence=evidence)

    def beside(self, match: Match, ran: Sequence[int]) -> Match:
        """The match of calls that ran outside, with those of which a piece lies in a compiled node."""
        near = [cut for cut in self.cuts if cut.side == OUTSIDE and not cut.pieces.keys().isdisjoint(ran)]
        if not near:
            return match
        said = (self._cut_sentence(cut, ran) for cut in near[:MOST_CUTS])
        return replace(match, confidence=match.confidence * CUT, evidence=(*said, *match.evidence))

    def _cut_sentence(self, cut: CutCall, ran: Sequence[int]) -> str:
        """A call that a border cuts, as seen from one side of it."""
        name = " and ".join(self.calls[i].id for i in cut.calls[:2])
        here = sum(count for unit, count in cut.pieces.items() if unit in ran)
        elsewhere = ", ".join(
            f"{n} in {self._where(unit)}" for unit, n in cut.pieces.items() if unit not in ran
        )
        if cut.side in ran or (cut.side == OUTSIDE and not self._numbers(ran)):
            return f"{name} is cut: {here} of its nodes lie here, {elsewhere}; all of its PyTorch time stands here"
        stands = "outside" if cut.side in (OUTSIDE, REWRITTEN) else f"with {self._where(cut.side)}"
        count = f"{here} node{'' if here == 1 else 's'}"
        return f"a piece of {name} lies here ({count}; {elsewhere}); its PyTorch time stands {stands}"

    def _where(self, unit: int) -> str:
        if unit == REWRITTEN:
            return "rewritten nodes outside"
        return self.label((unit,)) or self.nodes[unit].id

    def _numbers(self, ran: Sequence[int]) -> list[int]:
        order = {place: k for k, place in enumerate(compiled_in_order(self.nodes), 1)}
        return sorted(order[place] for place in ran if place in order)
