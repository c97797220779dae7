"""How far either engine is from what the machine can do, in a sentence."""

from collections.abc import Iterable

from attrib.attribute.roofline import Limit, row_limits
from attrib.attribute.roofline_peaks import machine_limits
from attrib.findings.protocol import Evidence
from attrib.findings.select import ENGINE_NAMES
from attrib.model.document import LedgerRow
from attrib.model.manifest import ROLES, Role
from attrib.model.roofline import Bound
from attrib.units import whole_percent

_CAN_DO: dict[Bound, str] = {
    "compute": "this machine's matrix products can do",
    "memory": "this machine's memory can deliver",
    "cache": "this machine's caches can deliver",
}
"""Work that is bound by the cost of starting it has no limit worth naming."""

_ABOVE = " (more than 100 %: the machine was busier when its peaks were measured)"


def limit_sentence(evidence: Evidence, rows: Iterable[LedgerRow]) -> str:
    """The share of the limit that either engine reaches in these rows, e.g. `PyTorch reaches 29 % of what ...`.

    Returns:
        Nothing where the limit of a row is unknown, or says nothing.
    """
    rows = tuple(rows)
    peaks = machine_limits(evidence.manifest.sides) if evidence.manifest else {}
    limits = [row_limits(row, evidence.work, peaks) for row in rows]
    if not rows or not all(limits):
        return ""
    bounds = {limit.bound for its in limits for limit in its.values()}
    bound = next(iter(bounds))
    shares = {role: share for role in ROLES if (share := _share(rows, limits, role))}
    if len(bounds) > 1 or bound not in _CAN_DO or not shares:
        return ""
    told = [f"{ENGINE_NAMES[role]} {{}}{whole_percent(share)}" for role, share in shares.items()]
    lead = told[0].format("reaches ") + f" of what {_CAN_DO[bound]}"
    above = _ABOVE if max(shares.values()) > 1 else ""
    return ", ".join([lead, *(part.format("") for part in told[1:])]) + above


def _share(rows: tuple[LedgerRow, ...], limits: list[dict[Role, Limit]], role: Role) -> float:
    """Limit divided by time on one side, over all rows; 0 where a row has no limit there."""
    spent = sum(row.torch_ns if role == "torch" else row.onnxruntime_ns for row in rows)
    known = all(role in its for its in limits)
    return round(sum(its[role].ns for its in limits) / spent, 3) if known and spent > 0 else 0.0
