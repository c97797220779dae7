"""Sums over rows of a recording, in exact microseconds."""

from collections.abc import Iterable, Iterator

import numpy as np

from attrib.model.events import ABSENT, Int32s
from attrib.traces.inspection.inspection import Microseconds, MovedUse, NamedUse, Use
from attrib.traces.recording.recording import Recording, Rows

UNKNOWN_PROVIDER = "not recorded"


def microseconds(nanoseconds: int | np.int64) -> Microseconds:
    """Nanoseconds as exact microseconds: an integer where they are whole."""
    whole, rest = divmod(int(nanoseconds), 1000)
    return whole if not rest else int(nanoseconds) / 1000


def sum_us(recording: Recording, rows: Rows) -> Microseconds:
    """The sum of the rows' durations."""
    return microseconds(recording.duration_ns[rows].sum())


def use_of(recording: Recording, rows: Rows) -> Use:
    """How many rows, and the sum of their durations."""
    return Use(events=rows.size, dur_us=sum_us(recording, rows))


def use_or_none(recording: Recording, rows: Rows) -> Use | None:
    """How many rows and their time; None without rows: no event is not an event that took no time."""
    return use_of(recording, rows) if rows.size else None


def transfer_use(recording: Recording, rows: Rows) -> MovedUse:
    """How many copies, the sum of their durations, and of their bytes where the trace says any."""
    sizes = recording.bytes[rows]
    known = sizes[sizes != ABSENT]
    return MovedUse(
        events=rows.size, dur_us=sum_us(recording, rows), bytes=sum(known.tolist()) if known.size else None
    )


def by_provider(recording: Recording, rows: Rows, nodes: Rows) -> Iterator[tuple[str, Rows]]:
    """The rows by the execution provider of their nodes, in order of its name.

    Args:
        recording: An ORT profile.
        rows: Any rows.
        nodes: The row of the node of each.
    """
    providers = recording.provider[nodes]
    codes = {recording.text(int(code)) or UNKNOWN_PROVIDER: code for code in np.unique(providers)}
    return ((name, rows[providers == codes[name]]) for name in sorted(codes))


def by_time(recording: Recording, rows: Rows, column: Int32s) -> tuple[NamedUse, ...]:
    """Events by name and provider, the longest sum first; equal sums in order of name."""
    keys, group = np.unique(np.stack([column[rows], recording.provider[rows]]), axis=1, return_inverse=True)
    group = group.reshape(-1)
    counts = np.bincount(group, minlength=keys.shape[1])
    sums = np.zeros(keys.shape[1], np.int64)
    np.add.at(sums, group, recording.duration_ns[rows])
    found = [
        (-int(total), recording.text(int(name)), recording.text(int(provider)), int(count))
        for (name, provider), total, count in zip(keys.T, sums, counts, strict=True)
    ]
    return largest_uses(found)


def largest_uses(found: Iterable[tuple[int, str, str, int]]) -> tuple[NamedUse, ...]:
    """Uses from (negative sum in nanoseconds, name, provider, events), in that order."""
    return tuple(
        NamedUse(name=name, provider=provider, events=count, dur_us=microseconds(-total))
        for total, name, provider, count in sorted(found)
    )
