"""Work that repeated layers do alike, put together: one way for the tables of a report and for a diff."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

from attrib.model.document import LedgerRow
from attrib.wording import fold_numbers

Work = TypeVar("Work")


def pattern_of(rows: Sequence[LedgerRow]) -> str:
    """The module of the row that takes the most, its numbers as `*`; the region where that has no module."""
    largest = max(rows, key=lambda row: (max(row.torch_ns, row.onnxruntime_ns), row.id))
    return fold_numbers(largest.module) or largest.region


def fold_repeats(
    works: Iterable[Work], sides: Callable[[Work], Sequence[Sequence[LedgerRow]]]
) -> list[list[Work]]:
    """Put work together that differs in nothing but a number in its module's name, in the order of the first of each.

    Args:
        works: What to fold.
        sides: The rows of one of them: those of each capture, where several are compared.
    """
    groups: dict[Hashable, list[Work]] = {}
    for work in works:
        its = sides(work)
        kinds = (
            (
                tuple(sorted(op for row in rows for op in row.torch_ops)),
                tuple(sorted(op for row in rows for op in row.onnx_ops)),
                frozenset(row.cause for row in rows),
            )
            for rows in its
        )
        groups.setdefault((pattern_of([row for rows in its for row in rows]), *kinds), []).append(work)
    return list(groups.values())
