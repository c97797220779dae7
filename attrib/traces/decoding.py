"""What the stream asks of a format: how its events are decoded, one by one and in blocks."""

from collections.abc import Sized
from typing import NamedTuple, Protocol, TypeVar

import msgspec

E = TypeVar("E")
B_co = TypeVar("B_co", bound=Sized, covariant=True)
B = TypeVar("B", bound=Sized)

REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What the decoder raises for a block that it cannot take as it is."""


class Span(NamedTuple):
    """Where one event lies in the block."""

    start: int
    end: int


class EventDecoder(Protocol[B_co, E]):
    """How one format's events are read."""

    def decode(self, block: bytes) -> B_co:
        """Decode a JSON array of events; raises one of `REFUSED` where it is not what the format says."""
        ...

    def rescue(self, event: bytes) -> E:
        """Decode one event that is not; raises ValueError where nothing can be made of it."""
        ...

    def batch(self, events: list[E]) -> B_co:
        """What `decode` returns, of rescued events."""
        ...

    def split(self, text: str) -> list[Span]:
        """Events of a block whose JSON is broken, by the format's layout; empty where that does not help."""
        ...
