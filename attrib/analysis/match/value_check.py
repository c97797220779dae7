"""Region by region: do the tensors that leave it in ONNX Runtime equal what its own PyTorch calls return?

- `verified`: every tensor that leaves it in ONNX Runtime equals an output of one of its calls (for a node or a region that
  only moves data, an input will do); every tensor that its calls hand on to others leaves it in ONNX Runtime too; and at
  least one of these equals no unrelated computation of the model. Where what leaves it is nowhere in PyTorch (a tool rounds
  what a projection reads), it is verified as a part: whatever reads that is verified, so that all of it together returns
  what PyTorch's calls return, and names or weights, not order, divide it.
- `loose`: what leaves is right, but the region holds calls whose results go to calls outside of it, and ONNX Runtime
  has no such tensor there; or nodes that only prepare what its calls take: it is too large, or a part belongs elsewhere.
- `wrong`: a tensor that leaves equals no output of its calls, though what it takes equals what they take.
- `unchecked`: the numbers cannot tell, and `reason` says why: what it takes differs already. Integers can verify a region,
  but not refute it: exporters compute shapes, indices and masks in ways of their own.

A region that PyTorch alone computes, from nothing that the inputs hold, is verified where the exported graph has its numbers
stored: whatever of its results is read by calls that depend on the inputs.

The graph that ran is what counts; where it could not be run with more outputs, the exported one stands in for it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from attrib.analysis.lineage.components import input_free_values, unique_names
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.match.ops import DRAWS, IDENTITY_OPS, base_op, call_role, onnx_role
from attrib.analysis.match.step_values import CallClasses, StepValues
from attrib.model.region import Method, Region, Verified
from attrib.model.values import GraphValue
from attrib.model.work import Work

_MOVING = ("layout", "cast", "quantize", "memcpy")
"""Roles of nodes that hand on the numbers that they were given."""

DIVIDING: frozenset[Method] = frozenset({"values", "fx-node", "weight-name", "data-flow"})
"""What tells apart the parts of work that the numbers only know as a whole; order alone does not."""


class ValueVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the numbers say of one region.

    Attributes:
        state: See above; empty where there is nothing on one side.
        reason: Why it is not verified.
        value: The leaving value, or the call, that decided.
        elsewhere: Calls outside the region that return that value.
        strange: All values that leave it and are nowhere in PyTorch, where nothing else speaks against it.
    """

    state: Verified
    reason: str = ""
    value: str = ""
    elsewhere: tuple[str, ...] = ()
    strange: frozenset[str] = frozenset()


_VERIFIED = ValueVerdict(state="verified")
_LARGEST = 256
"""Regions of a block, beyond which names have to say too much."""

_PART = ValueVerdict(
    state="verified",
    reason="they are PyTorch's again behind what reads its results, which names divide from it",
)
_FED_OTHERWISE = ValueVerdict(state="unchecked", reason="what it takes differs from PyTorch's already")
_UNREAD = ValueVerdict(state="unchecked", reason="PyTorch's tensors could not be read")


class ValueCheck:
    """Checks the regions of one analysis."""

    def __init__(
        self,
        values: StepValues,
        work: Sequence[Work],
        graphs: Mapping[str, Graph],
        *,
        rough: bool,
        free: Collection[str] = (),
    ) -> None:
        """Prepare the check.

        Args:
            values: What the step computed.
            work: PyTorch's work.
            graphs: The chain of graphs, as exported first, the one that ran last.
            rough: Quantized numbers take part, so that a tensor that is nowhere is no error.
            free: Ids of the calls that depend on no input of the model.
        """
        read = [path for path in graphs if values.graphs.get(path)]
        self._graph = graphs[read[-1]] if read else None
        self._free_values = input_free_values(self._graph) if self._graph else frozenset[str]()
        self._stage = list(graphs).index(read[-1]) if read else 0
        self._values: Mapping[str, GraphValue] = values.graphs[read[-1]] if read else {}
        self._step = values
        self._work = {unit.id: unit for unit in work}
        self._members = values.calls_of_members(work)
        self._rough = rough
        self._free = frozenset(free)
        stored = values.graphs.get(next(iter(graphs), ""), {})
        self._constants = {number for value in stored.values() for number in value.same}
        self._moved = {
            name
            for node in (self._graph.nodes if self._graph else ())
            if onnx_role(node.op) in _MOVING
            for name in node.outputs
        }
        self._returning: dict[int, list[str]] = defaultdict(list)
        self._makers: dict[int, set[str]] = defaultdict(set)
        for call, classes in values.calls.items():
            for number in dict.fromkeys(classes.outputs):
                self._returning[number].append(call)
            for number in classes.made:
                self._makers[number].add(call)
        self._readers = _readers(values)

    def verdicts(self, regions: Sequence[Region]) -> dict[str, ValueVerdict]:
        """The verdict on every region with work on both sides."""
        if self._graph is None:
            return {}
        leaving, readers = self._leaving(regions, self._graph)
        found = {r.id: self._verdict(r, leaving[r.id]) for r in regions if r.origin == "both"}
        found = {**found, **self._as_parts(regions, found, leaving, readers)}
        folded = [r for r in regions if r.calls and not r.nodes and r.match.method != "none"]
        return found | {r.id: self._stored(r) for r in folded}

    def _stored(self, region: Region) -> ValueVerdict:
        """What the numbers say of calls whose results the export stored."""
        recorded = [self._step.calls[call] for call in region.calls if call in self._step.calls]
        made = {number for call in recorded for number in call.made if self._step.tells(number)}
        if not made:
            return ValueVerdict(state="unchecked", reason="one number throughout")
        missing = {number for number in made if not self._readers[number] <= self._free} - self._constants
        return (
            ValueVerdict(state="unchecked", reason="no constant holds its numbers") if missing else _VERIFIED
        )

    def _verdict(self, region: Region, leaving: Sequence[str]) -> ValueVerdict:
        """What the numbers say of one region, whose leaving values are these."""
        ops = {base_op(self._work[call].op) for call in region.calls}
        if ops & DRAWS.keys() - IDENTITY_OPS:
            return ValueVerdict(state="unchecked", reason="random numbers are others in each run")
        ours = self._calls_of(region)
        values = {name: self._values[name] for name in leaving if name in self._values}
        telling = {name: value for name, value in values.items() if value.kind != "constant"}
        unread = any(name not in values and name not in self._free_values for name in leaving)
        reason = "something that leaves it was not read" if unread else _uncheckable(values, telling, ours)
        if reason:
            return ValueVerdict(state="unchecked", reason=reason)
        returned = {number for call in ours.values() for number in call.outputs}
        taken = {number for call in ours.values() for number in call.inputs}
        moves = all(map(self._hands_on, region.calls))
        certain = {name: value for name, value in telling.items() if value.kind == "numbers"}
        strange, distinct = dict[str, GraphValue](), False
        for name, value in (certain or telling).items():
            mine = returned.intersection(value.same)
            if not mine and (name in self._moved or moves):
                mine = taken.intersection(value.same)
            if not mine:
                strange[name] = value
            distinct |= any(len(self._makers[number] - set(region.calls)) <= 1 for number in mine)
        if strange:
            whole = all(call.is_whole for call in ours.values())
            return self._strange(strange, taken) if whole else _UNREAD
        if not distinct:
            return ValueVerdict(state="unchecked", reason="unrelated calls return the same numbers")
        for call in self._unseen(region, telling.values(), region.calls):
            reason = "a call's result goes elsewhere, and no value that leaves has it"
            return ValueVerdict(state="loose", reason=reason, value=call)
        return _VERIFIED

    def _calls_of(self, region: Region) -> dict[str, CallClasses]:
        """The recorded calls behind a region's work: their own, or for a compiled kernel those that it covers."""
        found = {}
        for call in region.calls:
            if call in self._step.calls:
                found[call] = self._step.calls[call]
            for place, member in enumerate(self._work[call].members):
                for n, eager in enumerate(self._members.get(member, ())):
                    found[f"{call} {place} {n}"] = self._step.calls[eager]
        return found

    def _hands_on(self, call: str) -> bool:
        op = self._work[call].op
        return base_op(op) in IDENTITY_OPS or call_role(self._work[call]) == "layout"

    def _leaving(
        self, regions: Sequence[Region], graph: Graph
    ) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
        """Values that leave each region, and the regions that read each; the caller's name is empty."""
        by_name = unique_names(graph)
        region_of: dict[int, str] = {}
        for region in regions:
            positions = region.lineage[self._stage] if region.lineage else ()
            positions = positions or tuple(by_name[name] for name in region.nodes if name in by_name)
            region_of |= dict.fromkeys(positions, region.id)
        makers = {name: node.index for node in graph.nodes for name in node.outputs if name}
        readers: dict[str, set[str]] = defaultdict(set)
        for name in graph.outputs:
            readers[name].add("")
        for node in graph.nodes:
            for name in node.inputs:
                if name in makers and region_of.get(makers[name]) != region_of.get(node.index):
                    readers[name].add(region_of.get(node.index, ""))
        found: dict[str, list[str]] = {region.id: [] for region in regions}
        for name, maker in makers.items():
            if name in readers and maker in region_of:
                found[region_of[maker]].append(name)
        return found, readers

    def _strange(self, values: Mapping[str, GraphValue], taken: set[int]) -> ValueVerdict:
        """What it means that these values leave a region and that none of its calls returns them."""
        there = [name for name, value in values.items() if any(map(self._returning.get, value.same))]
        name = next(iter(there or values))
        value = values[name]
        elsewhere = tuple(call for number in value.same for call in self._returning[number])
        state: Verified = "wrong"
        if value.kind != "numbers":
            state, reason = "unchecked", "integers that PyTorch has in another form"
        elif taken.intersection(value.same):
            state, reason = "loose", "what its calls take leaves it as well"
        elif elsewhere:
            reason = "another call returns this"
        elif self._rough:
            state, reason = "unchecked", "quantized too coarsely to tell"
        else:
            reason = "no call returns this"
        nowhere = all(value.kind == "numbers" and not value.same for value in values.values())
        strange = frozenset(values if nowhere else ())
        return ValueVerdict(state=state, reason=reason, value=name, elsewhere=elsewhere, strange=strange)

    def _unseen(
        self, region: Region, leaving: Iterable[GraphValue], inside: Collection[str]
    ) -> Iterator[str]:
        """Calls that hand new numbers on to others than these, which ONNX Runtime does not let out of the region."""
        known = {number for value in leaving for number in value.same}
        ours, within = self._calls_of(region), set(inside)
        for call in region.calls:
            for number in ours[call].made if call in ours else ():
                # Of numbers that several calls make, it is not known whose are read where.
                alone = len(self._makers[number]) == 1
                new = alone and self._step.kinds[number] == "numbers" and number not in known
                if new and not self._readers.get(number, set()) <= within:
                    yield call

    def _as_parts(
        self,
        regions: Sequence[Region],
        verdicts: Mapping[str, ValueVerdict],
        leaving: Mapping[str, Sequence[str]],
        readers: Mapping[str, Collection[str]],
    ) -> dict[str, ValueVerdict]:
        """The verdicts on regions that hand on what is nowhere in PyTorch, each as a part of what it leads to."""
        by_id = {region.id: region for region in regions}
        waiting = {name for name, verdict in verdicts.items() if verdict.strange}
        after = {
            name: {reader for value in verdicts[name].strange for reader in readers[value]}
            for name in waiting
        }
        fed_otherwise = waiting.intersection(set().union(*after.values()))
        # A part is known by all that its results lead to until they are PyTorch's again.
        blocks = {name: {name} for name, verdict in verdicts.items() if verdict.state == "verified"}
        open_parts = [name for name in waiting if by_id[name].match.method in DIVIDING]
        found: dict[str, ValueVerdict] = {}
        while parts := [name for name in open_parts if after[name] <= blocks.keys()]:
            open_parts = [name for name in open_parts if name not in parts]
            for name in parts:
                block = {name}.union(*(blocks[other] for other in after[name]))
                if len(block) <= _LARGEST and not self._goes_past(by_id, name, block, leaving[name]):
                    blocks[name] = block
                    found[name] = _PART
        return {**dict.fromkeys(fed_otherwise, _FED_OTHERWISE), **found}

    def _goes_past(
        self, regions: Mapping[str, Region], name: str, block: Collection[str], leaving: Iterable[str]
    ) -> bool:
        """Whether calls of a region hand numbers on to others than the calls of its block."""
        inside = [call for one in block for call in regions[one].calls]
        values = [self._values[value] for value in leaving if value in self._values]
        return any(self._unseen(regions[name], values, inside))


def _readers(values: StepValues) -> dict[int, set[str]]:
    """By class, the calls that use its numbers; what only hands them on (a view, a dropout) is looked through."""
    found: dict[int, set[str]] = defaultdict(set)
    for call, classes in values.calls.items():
        for number in classes.inputs:
            if set(classes.outputs) != {number}:
                found[number].add(call)
    return found


def _uncheckable(
    values: Mapping[str, GraphValue], telling: Mapping[str, GraphValue], ours: Mapping[str, CallClasses]
) -> str:
    reasons: dict[str, bool] = {
        "nothing leaves it that could be watched": not values,
        "one number throughout": not telling,
        "its calls do not run in eager mode": not ours,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def with_verdicts(regions: Sequence[Region], verdicts: Mapping[str, ValueVerdict]) -> tuple[Region, ...]:
    """The regions with what the numbers say of each; what they refute is no match to rely on."""
    found = []
    for region in regions:
        verdict = verdicts.get(region.id)
        if verdict is None:
            found.append(region)
            continue
        match = msgspec.structs.replace(region.match, verified=verdict.state)
        if verdict.reason and verdict.state != "wrong":
            match = msgspec.structs.replace(
                match, evidence=(*match.evidence, f"the values: {verdict.reason}")
            )
        if verdict.state == "wrong":
            there = f": {', '.join(verdict.elsewhere[:_NAMED])}" if verdict.elsewhere else ""
            said = f"NUMBERS DIFFER: {verdict.value} leaves this region, and {verdict.reason}{there}"
            match = msgspec.structs.replace(
                match, confidence=match.confidence * _REFUTED, evidence=(said, *match.evidence)
            )
        found.append(msgspec.structs.replace(region, match=match))
    return tuple(found)


_NAMED = 3
"""Calls named that return a value instead."""

_REFUTED = 0.1
"""What is left of the confidence of a match that the numbers refute."""
