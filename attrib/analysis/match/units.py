"""What the matchers see of PyTorch's calls: one unit an aten op, also where a compiled kernel covers several.

Numbered cases, cited in the code:

1. A call of eager PyTorch is its own unit.
2. A compiled kernel is one unit for each op that it covers. An op that is inlined into several kernels (one attention
   mask feeds every layer) belongs to the first kernel that lists it, and must not tie the others to it.
3. A kernel that is left without an op of its own (the second half of a layer norm) joins the kernel whose op it completes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from attrib.model.work import Member, Work


class Units(NamedTuple):
    """Units in the order of the calls.

    Attributes:
        works: What the matchers see.
        owner: Position of the call that each unit belongs to.
        members: The member of a compiled kernel that each unit stands for; None for a call of its own.
        joined: Pairs of positions of calls that are one (case 3).
    """

    works: tuple[Work, ...]
    owner: tuple[int, ...]
    members: tuple[Member | None, ...]
    joined: tuple[tuple[int, int], ...]


def expand_units(calls: Sequence[Work]) -> Units:
    """Expand the calls that cover several ops."""
    works: list[Work] = []
    owner: list[int] = []
    stands_for: list[Member | None] = []
    joined: list[tuple[int, int]] = []
    seen: dict[Member, int] = {}
    for position, call in enumerate(calls):
        if not call.members:
            works.append(call)  # 1
            owner.append(position)
            stands_for.append(None)
        fresh = [member for member in dict.fromkeys(call.members) if member not in seen]
        for member in fresh:  # 2
            seen[member] = position
            works.append(
                Work(
                    id=f"{call.id} ({member.name or member.op})",
                    engine=call.engine,
                    op=member.op,
                    scope=member.scope,
                    order=call.order,
                )
            )
            owner.append(position)
            stands_for.append(member)
        if call.members and not fresh:
            joined.append((position, seen[call.members[-1]]))  # 3
    return Units(tuple(works), tuple(owner), tuple(stands_for), tuple(joined))
