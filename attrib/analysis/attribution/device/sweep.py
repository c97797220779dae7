"""One step on a device, instant by instant: every nanosecond of the wall gets exactly one owner.

The instants of a step, in this order:

1. Work of the step runs on the device: the instant is shared equally among everything of it that runs.
2. Work that the step did not launch runs: it belongs to another step, which is all that can be said of the instant.
3. The device is idle, and the launch of what runs next has begun: the launch is on its way, and its owner has the instant.
4. The device is idle, and the host has not begun that launch (or nothing follows): the instant belongs to what the host was
   doing: a call or node, waiting for the device, asking for memory, or a part of the framework.

Shares of an instant are exact: they are summed as fractions with a common denominator, and each owner's sum is rounded once,
so that the whole is kept. Nothing depends on the order of the events in the file.
"""

import math
from typing import Any

import msgspec
import numpy as np

from attrib.analysis.attribution.device.host import ALLOCATION, HOST, IDLE, SYNC, HostStep, Spans
from attrib.model.device import SPENT
from attrib.model.events import Int64s
from attrib.traces.recording.recording import Bools

_SAFE = 1 << 62


class StepWork(msgspec.Struct, frozen=True, eq=False):
    """Device work that one step launched: times, owner (unit or part), kind, and the launch's start (or its own).

    `foreign_*` are intervals of all other device work near the step.
    """

    start: Int64s
    end: Int64s
    owner: Int64s
    kind: Int64s
    launched: Int64s
    foreign_start: Int64s
    foreign_end: Int64s


class Owners(msgspec.Struct, frozen=True):
    """Which owners are units of work, and which position each part has: units first, then the parts.

    Attributes:
        total: Units and parts together.
        works: Units.
        other_step: The part for work of other steps.
        syncs: The part for waiting outside units.
        allocations: The part for allocating outside units.
        on_host: Units that the host computes itself.
    """

    total: int
    works: int
    other_step: int
    syncs: int
    allocations: int
    on_host: Bools


def sweep(step: HostStep, work: StepWork, waits: Spans, owners: Owners) -> tuple[Int64s, int]:
    """Split one step among its owners, instant by instant.

    Args:
        step: The host.
        work: The device.
        waits: Waiting calls of the step's thread.
        owners: What the positions of owners mean.

    Returns:
        Nanoseconds `[kinds, owners]`, which sum to the wall, and the nanoseconds in which the device was busy for the step.
    """
    low, high = step.start_ns, step.end_ns
    start, end = np.clip(work.start, low, high), np.clip(work.end, low, high)
    live = np.flatnonzero(end > start)
    start, end = start[live], end[live]
    owner, kind, launched = work.owner[live], work.kind[live], work.launched[live]
    foreign = np.clip(work.foreign_start, low, high), np.clip(work.foreign_end, low, high)
    cuts = np.concatenate([start, end, *foreign, launched, step.edges(), waits.edges(), [low, high]])
    edges = np.unique(np.clip(cuts, low, high))
    length = np.diff(edges)
    running = _count_running(edges, start, end)
    found, busy = _share_busy(edges, running, (start, end, owner, kind), (len(SPENT), owners.total))
    idle = np.flatnonzero(running == 0)
    instants = edges[:-1][idle]
    held, spent = _host_at(step, instants, waits, owners)
    order = np.lexsort((owner, launched, start))
    following = np.searchsorted(start[order], instants)
    after = order[np.minimum(following, max(len(order) - 1, 0))] if len(order) else following
    on_way = following < len(order)
    if len(order):
        on_way &= launched[after] <= instants  # 3
        held = np.where(on_way, owner[after], held)
        spent = np.where(on_way, IDLE, spent)
    others = _count_running(edges, *foreign)[idle] > 0  # 2
    held, spent = np.where(others, owners.other_step, held), np.where(others, IDLE, spent)
    np.add.at(found, (spent, held), length[idle])
    return found, busy


def _host_at(step: HostStep, instants: Int64s, waits: Spans, owners: Owners) -> tuple[Int64s, Int64s]:
    """What the host was doing at each instant (case 4): owner and kind."""
    held, waiting = step.owner(instants), waits.at(instants)
    unit = held < owners.works
    computes = unit & owners.on_host[np.where(unit, held, 0)] if owners.works else unit
    spent = np.where(computes, HOST, IDLE)
    spent = np.where((waiting >= 0) & ~computes, waiting, spent)
    for kind, part in ((SYNC, owners.syncs), (ALLOCATION, owners.allocations)):
        held = np.where(~unit & (spent == kind), part, held)
    return held, spent


def _count_running(edges: Int64s, start: Int64s, end: Int64s) -> Int64s:
    """How many intervals hold each piece between two edges; every start and end is an edge."""
    change = np.zeros(len(edges), dtype=np.int64)
    np.add.at(change, np.searchsorted(edges, start), 1)
    np.subtract.at(change, np.searchsorted(edges, end), 1)
    return np.asarray(np.cumsum(change)[:-1])


def _share_busy(
    edges: Int64s, running: Int64s, work: tuple[Int64s, Int64s, Int64s, Int64s], shape: tuple[int, int]
) -> tuple[Int64s, int]:
    """Busy pieces, shared equally among what runs in each (case 1): `[kinds, owners]`, and their length."""
    start, end, owner, kind = work
    length = np.where(running > 0, np.diff(edges), 0)
    busy = int(length.sum())
    scale = math.lcm(*np.unique(running[running > 0]).tolist())
    # Beyond 64 bits numpy's arrays of Python integers are slower, and as exact.
    number: Any = np.int64 if max(busy, 1) * scale < _SAFE else object
    per = length.astype(number) * (scale // np.maximum(running, 1).astype(number))
    until = np.concatenate([np.zeros(1, dtype=number), np.cumsum(per)])
    amount = until[np.searchsorted(edges, end)] - until[np.searchsorted(edges, start)]
    sums = np.zeros(shape, dtype=number)
    np.add.at(sums, (kind, owner), amount)
    # Whole numbers that keep the total: the largest remainders are rounded up.
    whole = (sums // scale).astype(np.int64)
    missing = busy - int(whole.sum())
    if missing:
        rest = (sums % scale).ravel().astype(np.float64)
        whole.ravel()[np.argsort(-rest, kind="stable")[:missing]] += 1
    return whole, busy
