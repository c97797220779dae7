"""What a cost is, and what its formulas have in common: sizes in bytes, broadcasting, and the way to say "unknown"."""

from collections.abc import Iterable, Sequence

import msgspec

from attrib.model.tensor import Tensor

SIZES = {
    "float": 4, "double": 8, "float16": 2, "bfloat16": 2, "int8": 1, "uint8": 1, "bool": 1, "int16": 2, "uint16": 2,
    "int32": 4, "uint32": 4, "int64": 8, "uint64": 8, "float8e4m3fn": 1, "float8e4m3fnuz": 1, "float8e5m2": 1,
    "float8e5m2fnuz": 1,
}  # fmt: skip
"""Bytes of an element."""


class UnknownCostError(Exception):
    """The tensors do not tell; `cost_of` answers with None."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit of work has to do at least.

    Attributes:
        ops: Arithmetic operations in all.
        bytes: Bytes read and written.
        products: Those of the operations that are in matrix products.
        kind: Element type in which the products are computed; empty without products.
    """

    ops: int
    bytes: int
    products: int = 0
    kind: str = ""


def require(condition: object) -> None:
    """Check something without which the cost is unknown.

    Raises:
        UnknownCostError: It does not.
    """
    if not condition:
        raise UnknownCostError


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """Bytes of all these tensors."""
    return sum(tensor.elements * size_of(tensor.dtype) for tensor in tensors)


def size_of(dtype: str) -> int:
    """Bytes of one element."""
    require(dtype in SIZES)
    return SIZES[dtype]


def broadcast(shapes: Iterable[Sequence[int]]) -> tuple[int, ...]:
    """The shape to which all of these are broadcast (numpy's rules)."""
    found: list[int] = []
    for shape in shapes:
        found = [1] * (len(shape) - len(found)) + found
        for place, size in enumerate(shape, start=len(found) - len(shape)):
            require(size == found[place] or 1 in (size, found[place]))
            found[place] = max(size, found[place]) if 0 not in (size, found[place]) else 0
    return tuple(found)
