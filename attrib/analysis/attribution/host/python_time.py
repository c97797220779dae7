"""Time of PyTorch's modules in their own Python: inside `forward`, but in no call and in no module that it calls.

A forward that loops in Python, copies lists or waits for a lock leaves no trace of its own: a profile of operators shows
nothing but gaps. Between the marks of the modules the gaps have owners. Where one module owns much more of them than
modules usually do, its share becomes a part of its own.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec.structs import replace

from attrib.analysis.attribution.host.intervals import parents
from attrib.model.events import Int64s
from attrib.model.manifest import Role
from attrib.model.work import Partition

OWN_PYTHON = "Python of "
"""What the part of one module is called, before the module's name."""

ROOT = "(root)"
"""The model itself, whose name is empty."""

LEAST_SHARE = 0.005
"""Of the step: below this a module's own Python decides nothing."""

USUAL_FACTOR = 8.0
"""Times what modules usually spend for what they call. The modules of eager transformers differ by a factor of three."""


def own_python(
    starts: Int64s, ends: Int64s, holders: Int64s, durations: Int64s, begin: int, end: int
) -> tuple[Int64s, Int64s, Int64s]:
    """For each mark of a module call (in nesting order): its own nanoseconds, and the calls and marks directly inside.

    Args:
        starts: Starts of the marks.
        ends: Their ends.
        holders: For each call the position of the innermost mark that holds it; -1 for none.
        durations: Duration of each call.
        begin: Start of the step.
        end: End of the step.
    """
    lengths = np.clip(ends, begin, end) - np.clip(starts, begin, end)
    own, calls, marks = lengths.copy(), np.zeros_like(lengths), np.zeros_like(lengths)
    inside = holders >= 0
    np.subtract.at(own, holders[inside], durations[inside])
    np.add.at(calls, holders[inside], 1)
    above = parents(starts, ends)
    nested = above >= 0
    np.subtract.at(own, above[nested], lengths[nested])
    np.add.at(marks, above[nested], 1)
    return np.maximum(own, 0), calls, marks


def sum_by_module(scopes: Sequence[str], modules: Sequence[str], values: Int64s) -> Int64s:
    """Values of module calls, summed by module."""
    number = {name: i for i, name in enumerate(modules)}
    found = np.zeros(len(modules), dtype=np.int64)
    np.add.at(found, [number[scope] for scope in scopes], values)
    return found


def conspicuous_modules(partition: Partition) -> tuple[str, ...]:
    """Modules with much more Python of their own than modules usually have.

    Each call and each module that a `forward` calls costs some Python, so that a module is measured by what it calls.
    """
    python = partition.python
    if python is None or not partition.steps or not python.modules:
        return ()
    own = np.median(python.own_ns, axis=1)
    things = 1 + python.calls + python.marks
    usual = USUAL_FACTOR * float(np.median(own / things)) * things
    least = np.maximum(LEAST_SHARE * float(np.median(partition.walls_ns)), usual)
    return tuple(name for name, spent, most in zip(python.modules, own, least, strict=True) if spent > most)


def with_module_parts(partitions: Mapping[Role, Partition]) -> dict[Role, Partition]:
    """The partitions with a part for each conspicuous module; the same parts on every side that knows the module."""
    chosen = dict.fromkeys(
        name for partition in partitions.values() for name in conspicuous_modules(partition)
    )
    return {role: _split(partition, tuple(chosen)) for role, partition in partitions.items()}


def module_of_part(part: str) -> str:
    """The module whose own Python a part is; empty for the model itself, and for every other part."""
    return part.removeprefix(OWN_PYTHON).removeprefix(ROOT) if part.startswith(OWN_PYTHON) else ""


def _split(partition: Partition, chosen: tuple[str, ...]) -> Partition:
    """Take the time of some modules out of the first part, and give each a part of its own."""
    python = partition.python
    rows = [python.modules.index(name) for name in chosen if name in python.modules] if python else []
    if python is None or not rows:
        return partition
    works = len(partition.work)
    own = np.minimum(python.own_ns[rows], partition.parts_ns[0])
    rest = partition.parts_ns[0] - own.sum(axis=0)
    own[:, rest < 0] = 0
    first = partition.parts_ns[0] - own.sum(axis=0)
    return replace(
        partition,
        parts=(*partition.parts, *(OWN_PYTHON + (python.modules[row] or ROOT) for row in rows)),
        parts_ns=np.vstack([first[None, :], partition.parts_ns[1:], own]),
        inside=_move_counts(partition.inside, works, np.zeros(len(rows), dtype=np.int64)),
        outside=_move_counts(partition.outside, works, python.calls[rows]),
        scopes=_move_counts(partition.scopes, works, python.marks[rows]),
    )


def _move_counts(counts: Int64s, position: int, moving: Int64s) -> Int64s:
    """Event counts by segment, with some moved from one segment to new ones at the end."""
    left = counts.copy()
    left[position] = max(int(left[position]) - int(moving.sum()), 0)
    return np.concatenate([left, moving])
