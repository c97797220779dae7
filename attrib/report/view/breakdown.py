"""How the time of the profiled steps divides among op types, for each side."""

import msgspec

from attrib.model.document import Document, StepTimes
from attrib.model.manifest import ROLES, Role
from attrib.wording import counted

_ROWS = 22


class OperatorTime(msgspec.Struct, frozen=True, kw_only=True):
    """The time of one op type in a profiled step, its calls, and its share of the step (0 to 1)."""

    op: str
    count: int
    ns: int
    share: float


class Breakdown(msgspec.Struct, frozen=True, kw_only=True):
    """How the mean profiled step of one side divides among op types; `rest_ns` lies outside every op."""

    role: Role
    name: str
    step_ns: int
    steps: int
    ops: tuple[OperatorTime, ...]
    other: OperatorTime | None
    rest_ns: int


def breakdowns_of(document: Document, names: dict[Role, str]) -> tuple[Breakdown, ...]:
    """The profiled step of each side that there is, by op type, the largest first."""
    sides = [role for role in ROLES if role in document.profiled]
    return tuple(breakdown(role, names[role], document.profiled[role]) for role in sides)


def breakdown(role: Role, name: str, times: StepTimes) -> Breakdown:
    """Divide the mean profiled step of one side among its op types; the smallest are summed in one."""
    steps = max(len(times.steps_ns), 1)
    step_ns = round(sum(times.steps_ns) / steps)
    ops = [
        OperatorTime(
            op=op,
            count=times.counts.get(op, 0),
            ns=round(ns / steps),
            share=ns / steps / step_ns if step_ns else 0.0,
        )
        for op, ns in sorted(times.by_op_ns.items(), key=lambda item: (-item[1], item[0]))
    ]
    other = None
    if hidden := ops[_ROWS:]:
        ns = sum(row.ns for row in hidden)
        other = OperatorTime(
            op=f"other ({counted(len(hidden), 'op type')})",
            count=sum(row.count for row in hidden),
            ns=ns,
            share=ns / step_ns if step_ns else 0.0,
        )
    return Breakdown(
        role=role,
        name=name,
        step_ns=step_ns,
        steps=len(times.steps_ns),
        ops=tuple(ops[:_ROWS]),
        other=other,
        rest_ns=step_ns - sum(op.ns for op in ops),
    )
