"""What the calls and the values of the graphs hold, from `values.json`, by position and by name.

Numbered cases, cited in the code:

1. A call of eager PyTorch is known by its id.
2. A member of a compiled kernel is the n-th call of its op in its module, where eager PyTorch makes as many of them.
3. A class that the file does not describe is one that could not be read.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec

from attrib.analysis.match.ops import base_op
from attrib.model.values import CallValues, GraphValue, Kind, Values
from attrib.model.work import Member, Work


class CallClasses(msgspec.Struct, frozen=True, eq=False):
    """Classes of numbers that a call took and returned.

    Attributes:
        inputs: What it took.
        outputs: What it returned.
        is_whole: Everything that it returned could be read.
        near: Classes within the tolerance of what it took.
    """

    inputs: frozenset[int]
    outputs: tuple[int, ...]
    is_whole: bool = True
    near: frozenset[int] = frozenset()

    @property
    def made(self) -> frozenset[int]:
        """Those that it did not take, nor any too near to be told apart: what it computed, and not only handed on."""
        return frozenset(self.outputs) - self.inputs - self.near


class StepValues:
    """What one step computed.

    Attributes:
        kinds: What each class can tell.
        near: Classes that are too near to be told apart from each.
        calls: Classes of each call that was recorded, by its id.
        graphs: The values of each graph that was read, by path and name.
    """

    def __init__(self, values: Values) -> None:
        self.kinds: tuple[Kind, ...] = values.kinds
        # Numbers of classes that the file does not have come from a damaged or a hostile one (case 3).
        known = range(len(values.kinds))
        self.graphs: Mapping[str, Mapping[str, GraphValue]] = {
            path: {
                name: GraphValue(value.kind, tuple(number for number in value.same if number in known))
                for name, value in its.items()
            }
            for path, its in values.graphs.items()
        }
        self.near: dict[int, set[int]] = defaultdict(set)
        for one, other in values.near:
            if one in known and other in known:
                self.near[one].add(other)
                self.near[other].add(one)
        self.calls = {call.id: _classes(call, known, self.near) for call in values.calls}
        self._recorded = values.calls

    def tells(self, number: int) -> bool:
        """Whether a class holds more than one number throughout."""
        return self.kinds[number] != "constant"

    def calls_of_members(self, work: Iterable[Work]) -> dict[Member, tuple[str, ...]]:
        """Ids of the eager calls behind each member of the compiled kernels (case 2).

        Where a module makes another number of calls of that op, a member may be any of them.
        """
        traced: dict[tuple[str, str], set[Member]] = defaultdict(set)
        for unit in work:
            for member in unit.members:
                traced[member.scope, base_op(member.op)].add(member)
        if not traced:
            return {}
        eager: dict[tuple[str, str], list[str]] = defaultdict(list)
        for call in self._recorded:
            scope, _, op = call.id.rpartition("#")[0].rpartition("/")
            eager[scope, base_op(op)].append(call.id)
        found: dict[Member, tuple[str, ...]] = {}
        for key, members in traced.items():
            its, ordered = eager[key], sorted(members, key=_number)
            alone = len(its) == len(ordered)
            found |= {member: (its[n],) if alone else tuple(its) for n, member in enumerate(ordered)}
        return found


def _classes(call: CallValues, known: range, near: Mapping[int, set[int]]) -> CallClasses:
    read = tuple(number for number in call.outputs if number in known)
    taken = frozenset(number for number in call.inputs if number in known)
    close = frozenset(other for number in taken for other in near.get(number, ()))
    return CallClasses(taken, read, is_whole=len(read) == len(call.outputs), near=close)


def _number(member: Member) -> int:
    """The number that torch.fx puts after a name that is taken: `add`, `add_1`, ... `add_10`."""
    digits = member.name.rpartition("_")[2]
    return int(digits) if digits.isdigit() else 0
