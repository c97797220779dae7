"""Some steps of a trace, and what belongs to them.

Steps of a Kineto trace have the number in their name (`ProfilerStep#6`); runs of an ORT profile are counted from 1, in
order of time. To a step belongs:

1. on the host, what starts in its window, on any thread;
2. of the device's work, what was launched in its window, whenever it ran: work that the step before launched and that runs
   in this window is not this step's;
3. device work whose launch is not in the trace, if it starts in the window.

In an ORT profile a node belongs to the run of its thread, and a kernel goes with its node.
"""

import re
from typing import TypeVar

import numpy as np

from attrib.errors import AttribError, UsageError
from attrib.traces.recording.intervals import Int64s
from attrib.traces.recording.recording import Recording, Rows

Steps = tuple[range, ...]
"""Numbers of the wanted steps."""

_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
R = TypeVar("R", bound=Recording)


def steps_from_text(text: str) -> Steps:
    """The steps that `3-5,8` names.

    Raises:
        UsageError: It is not a list of numbers and ranges.
    """
    parts = [_PART.fullmatch(part.strip()) for part in text.split(",")]
    found = tuple(range(int(part[1]), int(part[2] or part[1]) + 1) for part in parts if part)
    if len(found) < len(parts) or not all(found):
        raise UsageError(f"{text[:40]!r} names no steps", hint="write numbers and ranges: 3-5,8")
    return found


def find_steps(recording: Recording, steps: Steps, name: str) -> Rows:
    """Rows of the wanted steps.

    Raises:
        AttribError: The trace holds none of them.
    """
    numbers, unit = recording.step_numbers(), recording.step_unit
    wanted = np.array([any(number in part for part in steps) for number in numbers], dtype=bool)
    if wanted.any():
        found: Rows = recording.steps()[wanted]
        return found
    if not numbers:
        raise AttribError(
            f"{name}: holds no {unit} to choose from", hint="leave --steps out to see all of it"
        )
    raise AttribError(
        f"{name}: holds none of these {unit}",
        hint=f"it holds {len(numbers):,}: {min(numbers)} to {max(numbers)}",
    )


def find_same_steps(recording: Recording, other: Recording, chosen: Rows) -> Rows:
    """Rows of the steps that are some of another recording's; a part of a profile counts its runs differently."""
    wanted, rows = set(_identities(other, chosen)), recording.steps()
    is_same = [one in wanted for one in _identities(recording, rows)]
    same: Rows = rows[np.array(is_same, dtype=bool)]
    return same


def _identities(recording: Recording, rows: Rows) -> list[tuple[int, int, str, str]]:
    """What tells a step from every other: start and duration in nanoseconds, name and track."""
    return [
        (
            int(recording.start_ns[row]),
            int(recording.duration_ns[row]),
            recording.text(recording.name[row]),
            recording.text(recording.track[row]),
        )
        for row in rows.tolist()
    ]


def select_events(recording: R, chosen: Rows) -> R:
    """What belongs to some steps, in file order; strings and shapes of everything else are left out.

    Args:
        recording: A trace, or a part of one that holds all of the chosen steps, every step that overlaps one of them,
            every call of a device's runtime, and all device work.
        chosen: Rows of steps, in order of time.
    """
    is_chosen = np.isin(recording.steps(), chosen)
    position = recording.step_of_events()
    return recording.take(
        np.flatnonzero(np.append(is_chosen, False)[position])
    )  # the last one stands for NONE, -1


def find_overlapping_windows(recording: Recording, chosen: Rows) -> Int64s:
    """First and last nanosecond of each step that has an instant in common with a chosen one, by start: `[steps, 2]`."""
    rows = recording.steps()
    starts, ends = recording.start_ns[rows], recording.ends(rows)
    begun = np.searchsorted(starts, recording.ends(chosen), side="right")
    latest = np.maximum.accumulate(ends)  # so that the ones before the first that reaches the window are out
    reached = np.searchsorted(latest, recording.start_ns[chosen], side="left")
    inside = np.zeros(rows.size + 1, np.int64)
    np.add.at(inside, reached, 1)
    np.add.at(inside, begun, -1)
    kept = np.cumsum(inside[:-1]) > 0
    return np.column_stack([starts[kept], ends[kept]]).astype(np.int64)
