"""The same work at another speed: kernels by op and shape, with the rates of matrix products."""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import msgspec

from attrib.analysis.attribution.roofline.peaks import machine_limits
from attrib.analysis.attribution.roofline.roofline import row_limits
from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, both_times, ids, rows_of, side_ns, step_ns
from attrib.findings.evidence.significance import is_certain
from attrib.findings.protocol import Evidence, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.model.estimate import Delta
from attrib.model.manifest import ENGINE_NAMES, ROLES, Role
from attrib.model.roofline import Bound
from attrib.model.work import Work
from attrib.units import format_ns, whole_percent
from attrib.wording import counted

_CAN_DO: dict[Bound, str] = {
    "compute": "this machine's matrix products can do",
    "memory": "this machine's memory can deliver",
    "cache": "this machine's caches can deliver",
}
"""Work that is bound by the cost of starting it has no limit worth naming."""

_ABOVE = " (more than 100 %: the machine was busier when its peaks were measured)"


def limit_sentence(evidence: Evidence, rows: Iterable[LedgerRow]) -> str:
    """A sentence on the share of the limit that either engine reaches, e.g. `PyTorch reaches 29 % of what ...`.

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
    known = [role for role in ROLES if all(role in its for its in limits) and side_ns(rows, role) > 0]
    shares = {
        role: share
        for role in known
        if (share := round(sum(its[role].ns for its in limits) / side_ns(rows, role), 3))
    }
    if len(bounds) > 1 or bound not in _CAN_DO or not shares:
        return ""
    told = [f"{ENGINE_NAMES[role]} {{}}{whole_percent(share)}" for role, share in shares.items()]
    lead = told[0].format("reaches ") + f" of what {_CAN_DO[bound]}"
    above = _ABOVE if max(shares.values()) > 1 else ""
    return ", ".join([lead, *(part.format("") for part in told[1:])]) + above


MIN_GROUP_SHARE = 0.005
"""Half a percent of the step: a smaller difference of one kind of operator changes no decision."""

MOST_SHAPES = 2
"""The factors of a product; biases, scales and results follow from them."""

MATRIX_NODES = frozenset({"Gemm", "MatMul", "FusedMatMul", "FusedGemm", "TransposeMatMul"})
MATRIX_CALLS = frozenset({"linear", "addmm", "matmul", "baddbmm"})


class KernelGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Kernel rows with the same ops and shapes.

    Attributes:
        label: e.g. `aten::linear → Gemm` and its shapes.
        rows: The rows.
        delta: Sum of their deltas with its interval.
    """

    label: str
    rows: tuple[LedgerRow, ...]
    delta: Delta


def compare_kernels(
    evidence: Evidence, direction: Literal["slower", "faster"]
) -> tuple[RuleResult, tuple[KernelGroup, ...]]:
    """Judge the kernels that are slower, or faster, in ONNX Runtime: all but the fix.

    Returns:
        The result, and the groups that differ for certain in this direction, the largest first.
    """
    every = kernel_groups(evidence)
    groups = differing_groups(evidence, every, 1 if direction == "slower" else -1)
    if not groups:
        kinds = counted(len(every), "kind of operator", "kinds of operators")
        summary = f"{kinds} compared by op and shape: none is {direction} for certain."
        return RuleResult(failed=False, summary=summary), ()
    rows = tuple(row for group in groups for row in group.rows)
    products = [group for group in groups if group_flops(evidence, group.rows, "onnxruntime")]
    limit = limit_sentence(evidence, [row for group in products for row in group.rows])
    result = RuleResult(
        failed=True,
        rows=ids(rows),
        detail=counted(len(groups), "kind of operator runs", "kinds of operators run"),
        summary=f"The same work takes {both_times(rows)}; the largest part is {groups[0].label}."
        + (f" {limit}." if limit else ""),
        evidence=group_lines(evidence, groups),
    )
    return result, groups


def differing_groups(
    evidence: Evidence, groups: tuple[KernelGroup, ...], sign: int
) -> tuple[KernelGroup, ...]:
    """Choose the groups that differ for certain in one direction, the largest first.

    Rows are grouped by what they are before anything is chosen by its sign, and the interval of a group is
    widened for the number of groups (Bonferroni): to pick the rows that happen to be positive would make a
    finding of noise.

    Args:
        evidence: The ledger.
        groups: All groups.
        sign: 1 for kernels slower in ONNX Runtime, -1 for faster ones.
    """
    least = MIN_GROUP_SHARE * step_ns(evidence)
    chosen = [
        g
        for g in groups
        if sign * g.delta.median > least and is_certain(g.delta, len(groups), evidence.launches)
    ]
    return tuple(sorted(chosen, key=lambda g: (-abs(g.delta.median), g.label)))


def kernel_groups(evidence: Evidence) -> tuple[KernelGroup, ...]:
    """All kernel rows with work on both sides, grouped by ops and shapes; of others a wider rule has explained a side."""
    by_key: dict[tuple[tuple[str, ...], ...], list[LedgerRow]] = defaultdict(list)
    for row in rows_of(evidence, "kernel"):
        if row.torch_calls and row.onnx_nodes:
            by_key[(row.torch_ops, row.onnx_ops, row.shapes)].append(row)
    found = []
    for (calls, nodes, shapes), rows in sorted(by_key.items()):
        label = " → ".join(" + ".join(dict.fromkeys(ops)) for ops in (calls, nodes))
        shown = ", ".join(([shape for shape in shapes if "×" in shape] or list(shapes))[:MOST_SHAPES])
        label += f" of {shown}" if shown else ""
        found.append(KernelGroup(label=label, rows=tuple(rows), delta=evidence.ledger.total(ids(rows))))
    return tuple(found)


def group_lines(evidence: Evidence, groups: Iterable[KernelGroup]) -> tuple[EvidenceRow, ...]:
    """One line a group: how many, the time on either side, the rate of products, and how far either is from the limit."""
    found = []
    for group in list(groups)[:MOST_GROUPS]:
        limit = limit_sentence(evidence, group.rows)
        text = (
            f"{len(group.rows)} times {group.label}: {_side(evidence, group, 'onnxruntime')} in ONNX Runtime,"
            f" {_side(evidence, group, 'torch')} in PyTorch" + (f"; {limit}" if limit else "")
        )
        found.append(EvidenceRow(text=text, rows=ids(group.rows), value_ns=group.delta.median))
    return tuple(found)


def _side(evidence: Evidence, group: KernelGroup, role: Role) -> str:
    spent = side_ns(group.rows, role)
    flops = group_flops(evidence, group.rows, role)
    rate = f" ({flops / spent:,.0f} GFLOP/s)" if flops and spent > 0 else ""  # operations per ns are GFLOP/s
    return format_ns(spent) + rate


def group_flops(evidence: Evidence, rows: Iterable[LedgerRow], role: Role) -> int:
    """Operations of the matrix products on one side; 0 where a shape is unknown or there is other work."""
    works = [work for row in rows for work in (row.torch_calls if role == "torch" else row.onnx_nodes)]
    known = [evidence.work.get(role, {}).get(work) for work in works]
    products = [work for work in known if work is not None and is_product(work)]
    counts = [flops_of(work) for work in products]
    return sum(counts) if counts and all(counts) and len(known) == len(products) else 0


def is_product(work: Work) -> bool:
    """Whether the work is a matrix product."""
    return base_op(work.op) in MATRIX_CALLS if work.engine == "torch" else work.op in MATRIX_NODES


def flops_of(work: Work) -> int:
    """Operations of a matrix product, 2·M·N·K for each matrix, from its shapes; 0 for other work and unknown shapes."""
    if not is_product(work):
        return 0
    shapes = [tensor.shape for tensor in work.inputs]
    if work.engine != "torch":
        result, left = (work.outputs[0].shape, shapes[0]) if work.outputs and shapes else ((), ())
        if len(result) < 2 or len(left) < 2:  # noqa: PLR2004 - matrices
            return 0
        inner = left[-1] if left[-2] == result[-2] else left[-2]  # else the first factor is transposed
        return 2 * math.prod(result) * inner
    name = base_op(work.op)
    if name in ("addmm", "baddbmm"):
        shapes = shapes[1:]  # the first is what the product is added to
    if len(shapes) < 2 or not shapes[0] or not shapes[1]:  # noqa: PLR2004 - two factors
        return 0
    left, right = shapes[0], shapes[1]
    columns = right[0] if name == "linear" else right[-1] if len(right) > 1 else 1
    batch = math.prod(right[:-2]) if len(right) > len(left) else 1
    return 2 * math.prod(left) * columns * batch
