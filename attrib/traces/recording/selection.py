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
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.errors import AttribError, UsageError
from attrib.model.events import EventTable, RawColumn
from attrib.traces.recording.activity_types import GPU_WORK, Kind, Rows, rows_of
from attrib.traces.recording.ort_kernels import node_of_work
from attrib.traces.recording.runs import (
    NONE,
    containing,
    gpu_rows,
    launches_of,
    node_rows,
    run_rows,
    step_of,
    step_rows,
)
from attrib.traces.recording.shapes import ShapeColumn

Steps = tuple[range, ...]
"""Numbers of the wanted steps."""

ON_DEVICE: frozenset[Kind] = GPU_WORK | {"gpu_annotation", "sync", "event"}
_PART = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")
_STRINGS = ("name", "category", "track", "op", "provider", "parent")
_NUMBERS = (
    "start_ns", "duration_ns", "correlation", "external_id", "node_index", "stream", "bytes",
)  # fmt: skip


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


def steps_of(table: EventTable) -> tuple[Rows, list[int]]:
    """Rows of the steps or runs of a trace, in order of time, and the number of each."""
    if table.format == "ort-profile":
        rows = run_rows(table)
        return rows, list(range(1, rows.size + 1))
    rows = step_rows(table)
    return rows, [int(table.text(code).rpartition("#")[2]) for code in table.name[rows].tolist()]


def chosen_steps(table: EventTable, steps: Steps, name: str) -> Rows:
    """Rows of the wanted steps.

    Raises:
        AttribError: The trace holds none of them.
    """
    rows, numbers = steps_of(table)
    wanted = np.array([any(number in part for part in steps) for number in numbers], dtype=bool)
    if wanted.any():
        found: Rows = rows[wanted]
        return found
    what = "runs" if table.format == "ort-profile" else "steps"
    if not numbers:
        raise AttribError(
            f"{name}: holds no {what} to choose from", hint="leave --steps out to see all of it"
        )
    raise AttribError(
        f"{name}: holds none of these {what}",
        hint=f"it holds {len(numbers):,}: {min(numbers)} to {max(numbers)}",
    )


def same_steps(table: EventTable, other: EventTable, chosen: Rows) -> Rows:
    """Rows of the steps that are some of another table's; a part of a profile counts its runs differently."""
    wanted = set(_identities(other, chosen))
    rows, _ = steps_of(table)
    same: Rows = rows[np.fromiter((one in wanted for one in _identities(table, rows)), bool, rows.size)]
    return same


def _identities(table: EventTable, rows: Rows) -> list[tuple[int, int, str, str]]:
    return [
        (
            int(table.start_ns[row]),
            int(table.duration_ns[row]),
            table.text(table.name[row]),
            table.text(table.track[row]),
        )
        for row in rows.tolist()
    ]


def selected(table: EventTable, chosen: Rows) -> EventTable:
    """What belongs to some steps, in file order; strings and shapes of everything else are left out.

    Args:
        table: A trace, or a part of one that holds all of the chosen steps, every step that overlaps one of them, every
            call of a device's runtime, and all device work.
        chosen: Rows of steps, in order of time.
    """
    owner = _owner_in_profile(table) if table.format == "ort-profile" else _owner_in_kineto(table)
    return taken(table, np.flatnonzero(np.isin(owner, chosen)))


def taken(table: EventTable, rows: Rows) -> EventTable:
    """Some rows of a table as a table of their own."""
    codes = np.concatenate([getattr(table, column)[rows] for column in _STRINGS])
    used, first = np.unique(codes, return_index=True)
    order = used[np.argsort(first, kind="stable")]
    order = order[order >= 0]
    renumbered = np.full(len(table.strings) + 1, -1, np.int32)  # the last one stands for ABSENT
    renumbered[order] = np.arange(order.size, dtype=np.int32)
    columns: dict[str, Any] = {column: renumbered[getattr(table, column)[rows]] for column in _STRINGS}
    columns |= {column: getattr(table, column)[rows] for column in _NUMBERS}
    return replace(
        table,
        strings=tuple(table.strings[code] for code in order.tolist()),
        inputs=_shapes(table.inputs, rows),
        outputs=_shapes(table.outputs, rows),
        **columns,
    )


def overlapping(table: EventTable, chosen: Rows) -> npt.NDArray[np.int64]:
    """First and last nanosecond of each step that has an instant in common with a chosen one, by start."""
    rows, _ = steps_of(table)
    starts, ends = table.start_ns[rows], table.start_ns[rows] + table.duration_ns[rows]
    begun = np.searchsorted(starts, table.start_ns[chosen] + table.duration_ns[chosen], side="right")
    latest = np.maximum.accumulate(ends)  # so that the ones before the first that reaches the window are out
    reached = np.searchsorted(latest, table.start_ns[chosen], side="left")
    inside = np.zeros(rows.size + 1, np.int64)
    np.add.at(inside, reached, 1)
    np.add.at(inside, begun, -1)
    kept = np.cumsum(inside[:-1]) > 0
    return np.column_stack([starts[kept], ends[kept]]).astype(np.int64)


def _owner_in_kineto(table: EventTable) -> Rows:
    """The row of the step that each event belongs to; `NONE` for none."""
    steps = step_rows(table)
    everything = np.arange(len(table))
    position = step_of(table, steps, everything)
    work = rows_of(table, ON_DEVICE)
    launches = launches_of(table, work)
    launched = launches != NONE
    position[work[launched]] = position[launches[launched]]
    return _rows_at(steps, position)


def _owner_in_profile(table: EventTable) -> Rows:
    runs = run_rows(table)
    position = containing(table, runs, np.arange(len(table)))
    position[runs] = np.arange(runs.size)
    work = gpu_rows(table)
    nodes = node_of_work(table, node_rows(table), work)
    known = nodes != NONE
    position[work[known]] = position[nodes[known]]
    return _rows_at(runs, position)


def _rows_at(steps: Rows, position: Rows) -> Rows:
    return np.where(position == NONE, NONE, steps[np.maximum(position, 0)]) if steps.size else position


def _shapes(column: RawColumn, rows: Rows) -> RawColumn:
    if isinstance(column, ShapeColumn):
        return column.taken(rows)
    found: Sequence[bytes | None] = [column[row] for row in rows.tolist()]
    return found
