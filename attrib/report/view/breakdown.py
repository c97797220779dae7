"""Where the profiled steps of either side go, by op type."""

from collections.abc import Iterable
from dataclasses import dataclass

from attrib.model.document import Document, StepTimes
from attrib.model.manifest import ROLES, Role
from attrib.report.view.text import plural

_ROWS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """Time of one op type per profiled step, with its calls per step and its share of the step."""

    op: str
    count: int
    ns: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Where the profiled step of one side goes, by op type; `rest_ns` lies outside every op."""

    role: Role
    name: str
    step_ns: int
    steps: int
    ops: tuple[OperatorTime, ...]
    other: OperatorTime | None
    rest_ns: int


def breakdowns_of(document: Document, names: dict[Role, str]) -> tuple[Breakdown, ...]:
    """The profiled step of each side that there is, by op type, the largest first."""
    return tuple(
        _breakdown(role, names[role], document.profiled[role]) for role in ROLES if role in document.profiled
    )


def _breakdown(role: Role, name: str, times: StepTimes) -> Breakdown:
    steps = max(len(times.steps_ns), 1)
    step_ns = round(sum(times.steps_ns) / steps)
    ops = [
        OperatorTime(
            op=op, count=times.counts.get(op, 0), ns=round(ns / steps), share=_share(ns / steps, step_ns)
        )
        for op, ns in sorted(times.by_op_ns.items(), key=lambda item: (-item[1], item[0]))
    ]
    hidden = ops[_ROWS:]
    return Breakdown(
        role=role,
        name=name,
        step_ns=step_ns,
        steps=len(times.steps_ns),
        ops=tuple(ops[:_ROWS]),
        other=_other(hidden, step_ns) if hidden else None,
        rest_ns=step_ns - sum(op.ns for op in ops),
    )


def _other(hidden: Iterable[OperatorTime], step_ns: int) -> OperatorTime:
    rows = list(hidden)
    ns = sum(row.ns for row in rows)
    count = sum(row.count for row in rows)
    return OperatorTime(
        op=f"other ({plural(len(rows), 'op type')})", count=count, ns=ns, share=_share(ns, step_ns)
    )


def _share(part: float, whole: int) -> float:
    return part / whole if whole else 0.0
