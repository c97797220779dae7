"""Region by region: do the tensors that leave it in ONNX Runtime equal what its own PyTorch calls return?

- `verified`: every tensor that leaves it in ONNX Runtime equals an output of one of its calls (for a node or a region that
  only moves data, an input will do); every tensor that its calls hand on to others leaves it in ONNX Runtime too; and at
  least one of these equals no unrelated computation of the model.
- `loose`: what leaves is right, but the region holds calls whose results go to calls outside of it, and ONNX Runtime
  has no such tensor there; or nodes that only prepare what its calls take: it is too large, or a part belongs elsewhere.
- `wrong`: a tensor that leaves equals no output of its calls. `elsewhere` names the calls that do return it.
- `unchecked`: the numbers cannot tell, and `reason` says why. Integers can verify a region, but not refute it: exporters
  compute shapes, indices and masks in ways of their own.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal

from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.match.ops import IDENTITY_OPS, base_op, call_role
from attrib.model.region import Region
from attrib.model.work import Member, Work
from tests.numeric.tensors import ROUGH, Values, same
from tests.numeric.torch_values import Call

State = Literal["verified", "loose", "wrong", "unchecked"]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the numbers say of one region.

    Attributes:
        region: Its id.
        state: See above.
        reason: Why it is not verified.
        value: The leaving value, or the call, that decided.
        elsewhere: Calls outside the region that return that value.
    """

    region: str
    state: State
    reason: str = ""
    value: str = ""
    elsewhere: tuple[str, ...] = ()


@dataclass(eq=False)
class Step:
    """One PyTorch step.

    Attributes:
        calls: Its calls in order.
        tolerance: Two tensors are the same within it.
        members: Positions of the calls behind what compiled kernels cover.
        family: By call, a number that calls share which return one tensor because one was made from the other.
        readers: By call and output, the calls that take it.
    """

    calls: Sequence[Call]
    tolerance: float
    members: Mapping[Member, list[int]] = field(default_factory=dict)
    by_id: dict[str, int] = field(init=False)
    family: list[int] = field(init=False)
    readers: dict[tuple[int, int], set[int]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_id = {call.id: i for i, call in enumerate(self.calls)}
        self.readers = defaultdict(set)
        sets = DisjointSets(len(self.calls))
        for i, call in enumerate(self.calls):
            for maker in call.makers:
                self.readers[maker].add(i)
                made = self.calls[maker[0]].outputs[maker[1]]
                if any(self.same(made, output) for output in call.outputs):
                    sets.union(i, maker[0])
        self.family = [sets.find(i) for i in range(len(self.calls))]

    def same(self, a: Values, b: Values) -> bool:
        """Whether two tensors hold the same numbers; a quantized one knows them up to its scale and zero point."""
        if a.is_quantized or b.is_quantized:
            return a.numbers.size == b.numbers.size and same(a.standard, b.standard, self.tolerance)
        return same(a, b, self.tolerance)

    def compares(self, value: Values) -> bool:
        """Whether a tensor holds numbers that can be compared, and not indices or a mask."""
        return value.is_float or (value.is_quantized and self.tolerance > ROUGH)

    def returning(self, value: Values) -> Iterator[int]:
        """Positions of the calls that return these numbers."""
        return (i for i, c in enumerate(self.calls) if any(self.same(value, out) for out in c.outputs))

    def users(self, call: int, output: int, inside: set[int]) -> set[int]:
        """The calls that use one output; for one that hands it on as it is (a dropout), those that use its output.

        Args:
            call: Position of the call.
            output: Position of the output.
            inside: Calls that are not looked through.
        """
        found = set()
        for reader in self.readers.get((call, output), ()):
            same_numbers = self.family[reader] == self.family[call] and len(self.calls[reader].outputs) == 1
            if reader in inside or not same_numbers:
                found.add(reader)
            else:
                found |= self.users(reader, 0, inside)
        return found

    def positions(self, work: Sequence[Work]) -> list[int]:
        """The calls behind units of work: their own, or for a compiled kernel those that it covers."""
        own = [self.by_id[w.id] for w in work if w.id in self.by_id]
        return own + [i for w in work for m in w.members for i in self.members.get(m, ())]


def members_of(work: Sequence[Work], calls: Sequence[Call]) -> dict[Member, list[int]]:
    """Positions of the eager calls behind each member of a compiled kernel.

    Inside one module, the n-th traced node of an op is the n-th call of that op; where their numbers differ, a member may
    be any of the calls.
    """
    traced: dict[tuple[str, str], set[Member]] = defaultdict(set)
    for member in (m for w in work for m in w.members):
        traced[member.scope, base_op(member.op)].add(member)
    eager: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, call in enumerate(calls):
        eager[call.scope, base_op(call.op)].append(i)
    found: dict[Member, list[int]] = {}
    for key, members in traced.items():
        places, ordered = eager[key], sorted(members, key=_number)
        alone = len(places) == len(ordered)
        found |= {m: [places[n]] if alone else places for n, m in enumerate(ordered)}
    return found


def _number(member: Member) -> int:
    """The number that torch.fx puts after a name that is taken: `add`, `add_1`, ... `add_10`."""
    digits = member.name.rpartition("_")[2]
    return int(digits) if digits.isdigit() else 0


def verdict(
    region: Region, work: Sequence[Work], values: Mapping[str, Values], moved: Set[str], step: Step
) -> Verdict:
    """Compare what leaves one region.

    Args:
        region: A region with calls and nodes.
        work: Its calls.
        values: What leaves it in ONNX Runtime, by name.
        moved: Values of nodes that compute nothing.
        step: What PyTorch computed.
    """
    telling = {name: value for name, value in values.items() if not value.is_trivial}
    certain = {name: value for name, value in telling.items() if step.compares(value)}
    ours = step.positions(work)
    if reason := _uncheckable(values, telling, ours):
        return Verdict(region=region.id, state="unchecked", reason=reason)
    distinct = False
    for name, value in (certain or telling).items():
        returning = list(step.returning(value))
        mine = [i for i in returning if i in ours] or _handed_on(value, ours, step, name in moved)
        if not mine:
            return _strange(region, name, value, ours, step)
        families = {step.family[i] for i in mine}
        distinct |= all(step.family[i] in families for i in returning)
    if not distinct:
        return Verdict(region=region.id, state="unchecked", reason="unrelated calls return the same numbers")
    for call in _unseen(ours, list(telling.values()), step):
        reason = "a call's result goes elsewhere, and no value that leaves has it"
        return Verdict(region=region.id, state="loose", reason=reason, value=call.id)
    return Verdict(region=region.id, state="verified")


def _strange(region: Region, name: str, value: Values, ours: list[int], step: Step) -> Verdict:
    """A leaving value that none of the region's calls returns."""
    elsewhere = tuple(step.calls[i].id for i in step.returning(value))
    state: State = "wrong"
    if not step.compares(value):
        state, reason = "unchecked", "integers that PyTorch has in another form"
    elif any(step.same(value, given) for i in ours for given in step.calls[i].inputs):
        state, reason = "loose", "what its calls take leaves it as well"
    elif elsewhere:
        reason = "another call returns this"
    elif step.tolerance > ROUGH:
        state, reason = "unchecked", "quantized too coarsely to tell"
    else:
        reason = "no call returns this"
    return Verdict(region=region.id, state=state, reason=reason, value=name, elsewhere=elsewhere)


def _uncheckable(values: Mapping[str, Values], telling: Mapping[str, Values], ours: list[int]) -> str:
    reasons = {
        "nothing leaves it in the main graph": not values,
        "one number throughout": not telling,
        "its calls do not run in eager mode": not ours,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _handed_on(value: Values, ours: list[int], step: Step, moved: bool) -> list[int]:
    """Calls that take this value, if nothing was computed: by the node that hands it on, or in the whole region."""
    if not moved and not all(_moves(step.calls[i]) for i in ours):
        return []
    return [i for i in ours if any(step.same(value, given) for given in step.calls[i].inputs)]


def _moves(call: Call) -> bool:
    op = base_op(call.op)
    return op in IDENTITY_OPS or call_role(Work(id="", engine="torch", op=call.op)) == "layout"


def _unseen(ours: list[int], leaving: list[Values], step: Step) -> Iterator[Call]:
    """Calls that hand a new tensor on to others, which ONNX Runtime does not let out of the region."""
    inside = set(ours)
    for i in ours:
        call = step.calls[i]
        for k, output in enumerate(call.outputs):
            new = step.compares(output) and not output.is_trivial
            if (
                new
                and not step.users(i, k, inside) <= inside
                and not any(step.same(output, known) for known in (*leaving, *call.inputs))
            ):
                yield call
