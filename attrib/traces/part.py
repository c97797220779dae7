"""What the two processes that read one large trace tell each other."""

import msgspec

from attrib.model.events import Format
from attrib.traces.stream import Start

MARK = b"attrib part\n"
"""What a part begins with: a site's own start-up code may print something before."""

LENGTH = 8
"""Bytes of the length of a part's header, which follows the mark."""


class Request(msgspec.Struct, frozen=True):
    """What to read.

    Attributes:
        descriptor: The open file, whose position is the other process's.
        format: What it holds.
        start: Where to begin.
    """

    descriptor: int
    format: Format
    start: Start


class Column(msgspec.Struct, frozen=True):
    """One column, whose bytes follow the part."""

    name: str
    dtype: str
    rows: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
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
