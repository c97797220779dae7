"""Whether two traces that somebody laid side by side are of one model.

Exporters transpose weights, flatten batches and split heads; none of that changes the number of elements of a tensor. Two
traces of one model on inputs of one size share the sizes of most tensors that their large operators read and write: of a
product the matrix, of an attention the heads. Traces of another batch or length still share the weights, unless these were
packed, which profiles leave out: so that no shared size may mean either.
"""

from collections.abc import Mapping, Sequence

from attrib.analysis.match.ops import role
from attrib.model.manifest import Role
from attrib.model.tensor import Tensor
from attrib.model.work import Partition, Work
from attrib.units import format_percent

LARGE = 1024
"""Elements from which on a tensor's size says something of the model: vectors of a common width are in many."""

ALIKE = 0.25
"""Least share of either side's computing time that works on a size which the other side has, too."""

KNOWN = 0.5
"""Least share of either side's computing time whose sizes were recorded: else nothing is said."""


def strangers(partitions: Mapping[Role, Partition]) -> str:
    """Why two sides cannot be of one model; empty where they can, or where the sizes are not known.

    Args:
        partitions: The steps of both sides, by role.
    """
    if len(partitions) < 2:  # noqa: PLR2004  (there is nothing to compare)
        return ""
    sizes = {side: _sizes(its.work) for side, its in partitions.items()}
    every = {side: frozenset().union(*found) if found else frozenset[int]() for side, found in sizes.items()}
    shares = []
    for side, its in partitions.items():
        other = next(every[name] for name in partitions if name != side)
        times = its.work_ns.sum(axis=1).tolist()
        rows = [
            (ns, own)
            for work, ns, own in zip(its.work, times, sizes[side], strict=True)
            if role(work) == "compute"
        ]
        total = sum(ns for ns, _ in rows)
        known = sum(ns for ns, own in rows if own)
        if not total or known < KNOWN * total:
            return ""
        shares.append(sum(ns for ns, own in rows if own & other) / known)
    if max(shares) >= ALIKE:
        return ""
    least = format_percent(1 - max(shares))
    said = (
        "all operators that compute"
        if max(shares) == 0
        else f"operators with {least} of the computing time or more"
    )
    return (
        f"the two traces are of different models, or of one model on inputs of other sizes: {said} work on tensors of sizes"
        " that the other trace has nowhere"
    )


def _sizes(works: Sequence[Work]) -> list[frozenset[int]]:
    """By unit of work, the numbers of elements of its large tensors."""
    return [frozenset(t.elements for t in _tensors(work) if t.elements >= LARGE) for work in works]


def _tensors(work: Work) -> tuple[Tensor, ...]:
    return (*work.inputs, *work.outputs)
