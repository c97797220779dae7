"""What the two processes that read one large trace tell each other."""

from typing import Literal

import msgspec

MARK = b"attrib part\n"
"""What a part begins with: a site's own start-up code may print something before."""

LENGTH = 8
"""Bytes of the length of a part's header, which follows the mark."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the middle of the events a reader begins, and what it has to know.

    Attributes:
        container: What holds the events.
        separator: What lies between two of them.
        members: Members of the top-level object up to the events.
        after: Where the event before it ends.
        position: Where the first event begins.
    """

    container: Literal["object", "array"]
    separator: bytes
    members: int
    after: int
    position: int


class ReadRequest(msgspec.Struct, frozen=True):
    """What to read.

    Attributes:
        descriptor: The open file, whose position is the other process's.
        format: Name of the format of what it holds.
        start: Where to begin.
    """

    descriptor: int
    format: str
    start: Start


class Column(msgspec.Struct, frozen=True):
    """One column, whose bytes follow the part."""

    name: str
    dtype: str
    rows: int


class ReadPart(msgspec.Struct, frozen=True, kw_only=True):
    """What was read; the codes of the columns count from 0 within the part.

    Attributes:
        count: Events of every phase.
        rows: Complete events.
        unusable: Of the events, those without a usable time.
        negative: Those of negative duration.
        missing: Those that give no duration.
        facts: Raw JSON of the wanted members behind the events.
        strings: What the codes of string columns stand for.
        raw: What the codes of columns of raw JSON stand for.
        columns: The columns that follow.
    """

    count: int
    rows: int
    unusable: int
    negative: int
    missing: int
    facts: dict[str, str]
    strings: tuple[str, ...]
    raw: dict[str, tuple[tuple[bytes, ...], ...]]
    columns: tuple[Column, ...]
