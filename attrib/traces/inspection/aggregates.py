"""Sums over rows of an event table, in exact microseconds."""

from collections.abc import Iterable

import numpy as np

from attrib.model.events import ABSENT, EventTable, Int32s
from attrib.traces.inspection.inspection import Microseconds, MovedUse, NamedUse, Use
from attrib.traces.recording.activity_types import Rows

MOST_ROWS = 20


def microseconds(nanoseconds: int | np.int64) -> Microseconds:
    """Exact microseconds."""
    whole, rest = divmod(int(nanoseconds), 1000)
    return whole if not rest else int(nanoseconds) / 1000


def summed(table: EventTable, rows: Rows) -> Microseconds:
    """The sum of the rows' durations."""
    return microseconds(table.duration_ns[rows].sum())


def use_of(table: EventTable, rows: Rows) -> Use:
    """How many rows, and the sum of their durations."""
    return Use(events=rows.size, dur_us=summed(table, rows))


def some(table: EventTable, rows: Rows) -> Use | None:
    """The same, or None where there are no rows: no event is not an event that took no time."""
    return use_of(table, rows) if rows.size else None


def moved(table: EventTable, rows: Rows) -> MovedUse:
    """How many copies, the sum of their durations, and of their bytes where the trace says any."""
    sizes = table.bytes[rows]
    known = sizes[sizes != ABSENT]
    return MovedUse(
        events=rows.size, dur_us=summed(table, rows), bytes=sum(known.tolist()) if known.size else None
    )


def by_time(table: EventTable, rows: Rows, column: Int32s, most: int = MOST_ROWS) -> tuple[NamedUse, ...]:
    """Events by name and provider, the longest sum first; equal sums in order of name."""
    keys, group = np.unique(np.stack([column[rows], table.provider[rows]]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    counts = np.bincount(group, minlength=keys.shape[1])
    sums = np.zeros(keys.shape[1], np.int64)
    np.add.at(sums, group, table.duration_ns[rows])
    found = [
        (-int(total), table.text(int(name)), table.text(int(provider)), int(count))
        for (name, provider), total, count in zip(keys.T, sums, counts, strict=True)
    ]
    return ranked(found, most)


def ranked(found: Iterable[tuple[int, str, str, int]], most: int = MOST_ROWS) -> tuple[NamedUse, ...]:
    """Uses from (negative sum in nanoseconds, name, provider, events), the first ones in that order."""
    return tuple(
        NamedUse(name=name, provider=provider, events=count, dur_us=microseconds(-total))
        for total, name, provider, count in sorted(found)[:most]
    )
