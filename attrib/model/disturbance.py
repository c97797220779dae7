"""What shows that something else used the machine while a block of steps was timed: read beside the block, and judged.

A block is disturbed by this evidence, never by how long it took: to leave out what is slow would bend the result.
"""

from collections.abc import Sequence

import msgspec

UNSEEN = -1
"""Stands for what the system did not tell."""

WAITING_LIMIT = 0.05
"""Time that the block's threads waited for a processor, summed, over its wall time. Two threads on two quiet cores wait for
about 1 % of it (the kernel's own work), beside half a busy core for 40 % (`python tests/benchmarks/waiting.py`)."""

STOLEN_LIMIT = 0.03
"""Processor time that the host gave to other machines, over wall time and processors."""

OTHERS_LIMIT = 0.10
"""Processor time of all other processes, over wall time and processors: they share caches and memory, and the clock of the
processor, also where every thread has a core of its own."""

PREEMPTED_PER_S = 100.0
"""Involuntary switches of a second, above which threads were driven from their processors, where waiting is not counted.
Two quiet cores show about 30 in a second, beside half a busy core 150 (the same command)."""


class BlockEvidence(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the worker and the system counted while a block was timed; `UNSEEN` where a count is not to be had.

    Attributes:
        elapsed_ns: Wall time from the first count to the last.
        processors: Processors that the counts of others and of stolen time are of: those on which the worker may run.
        cpu_ns: Processor time of the worker.
        waiting_ns: Time that its threads were ready and had no processor, summed over them (`schedstat`).
        switches: How often they were driven from one (involuntary context switches).
        others_ns: Processor time of everything else on these processors.
        stolen_ns: Processor time that the host gave to other machines.
        pressure_ns: Time in which some process of the machine waited for a processor (`/proc/pressure/cpu`).
        faults: Page faults of the worker.
        major_faults: Those of them that waited for a disk.
        frequency_khz: Mean clock of the processors at the end.
    """

    elapsed_ns: int = UNSEEN
    processors: int = UNSEEN
    cpu_ns: int = UNSEEN
    waiting_ns: int = UNSEEN
    switches: int = UNSEEN
    others_ns: int = UNSEEN
    stolen_ns: int = UNSEEN
    pressure_ns: int = UNSEEN
    faults: int = UNSEEN
    frequency_khz: int = UNSEEN
    major_faults: int = UNSEEN


REASONS = {
    "waiting": "its threads waited for a processor",
    "preempted": "its threads were driven from their processors",
    "others": "other programs used the processors",
    "stolen": "the host gave processor time to other machines",
}
"""Why a block counts as disturbed, by the key that `disturbances` gives."""


def disturbances(seen: BlockEvidence) -> tuple[str, ...]:
    """Why a block is disturbed: keys of `REASONS`; empty for a quiet one, and for one of which nothing was seen."""
    if seen.elapsed_ns <= 0:
        return ()
    capacity = seen.elapsed_ns * max(seen.processors, 1)
    waiting_known = seen.waiting_ns != UNSEEN
    found = {
        "waiting": waiting_known and seen.waiting_ns > WAITING_LIMIT * seen.elapsed_ns,
        "preempted": not waiting_known and seen.switches > PREEMPTED_PER_S * max(seen.elapsed_ns / 1e9, 0.1),
        "others": seen.others_ns > OTHERS_LIMIT * capacity,
        "stolen": seen.stolen_ns > STOLEN_LIMIT * capacity,
    }
    return tuple(key for key, is_so in found.items() if is_so)


UNSEEN_NAMES = {
    "waiting_ns": "how long threads wait for a processor",
    "others_ns": "what other processes use",
    "stolen_ns": "time stolen by other machines on the host",
    "pressure_ns": "pressure on the processors",
    "frequency_khz": "the clock of the processors",
}
"""What a reader is told that a machine does not show, by the field that holds it."""


def unseen(blocks: Sequence[BlockEvidence]) -> tuple[str, ...]:
    """What no block shows, in words; everything where there is none."""
    return tuple(
        words for name, words in UNSEEN_NAMES.items() if all(getattr(b, name) == UNSEEN for b in blocks)
    )
