"""Collecting timed steps, and the file they go into."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgspec
import numpy as np

from attrib.capture.workers.messages import Steps
from attrib.model.disturbance import UNSEEN
from attrib.model.latency import LATENCY_COLUMNS, OPTIONAL_COLUMNS, REFERENCES, LatencyTable, StepPhase
from attrib.model.manifest import ROLES, Role

Row = tuple[Any, ...]

_TEXTS = 2
"""So many of the first columns hold texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Which attempt at a block its steps belong to, and how fast the machine was by itself.

    Attributes:
        launch: Which start of the engines' processes, from 0.
        number: The how manieth attempt at the block, from 0.
        reference: What fixed work took in this round, in the order of `REFERENCES`.
    """

    launch: int = 0
    number: int = 0
    reference: tuple[int, ...] = (UNSEEN,) * len(REFERENCES)


@dataclass(slots=True)
class Latencies:
    """Every timed step so far, in the order of `LATENCY_COLUMNS` and `OPTIONAL_COLUMNS`.

    A block's lead-in counts as warm-up: it is timed, but the other engine has just emptied the caches.
    """

    rows: list[Row] = field(default_factory=list)
    _warmup_blocks: dict[Role, int] = field(default_factory=dict)
    _written: int = 0

    @classmethod
    def from_table(cls, table: LatencyTable) -> "Latencies":
        """The steps of an earlier start, to be added to."""
        integers = (table.block, table.iteration, table.start_ns, table.wall_ns)
        columns = [*integers, *(table.column(name) for name in OPTIONAL_COLUMNS)]
        rows = zip(table.engine, table.phase, *(column.tolist() for column in columns), strict=True)
        found = cls(rows=[*rows])
        found._warmup_blocks = {
            role: 1 + max((row[2] for row in found.rows if row[:2] == (role, "warmup")), default=-1)
            for role in ROLES
        }
        found._written = len(found.rows)
        return found

    def table(self) -> LatencyTable:
        """The steps so far, as they are read back."""
        columns: list[Any] = list(zip(*self.rows, strict=True)) or [()] * (
            len(LATENCY_COLUMNS) + len(OPTIONAL_COLUMNS)
        )
        integers = [np.array(column, dtype=np.int64) for column in columns[_TEXTS:]]
        own = len(LATENCY_COLUMNS) - _TEXTS
        block, iteration, start_ns, wall_ns = integers[:own]
        return LatencyTable(
            engine=columns[0],
            phase=columns[1],
            block=block,
            iteration=iteration,
            start_ns=start_ns,
            wall_ns=wall_ns,
            more=dict(zip(OPTIONAL_COLUMNS, integers[own:], strict=True)),
        )

    def keep(self, wanted: Callable[[Row], bool]) -> None:
        """Keep the steps for which `wanted` is true, and no other."""
        self.rows = [row for row in self.rows if wanted(row)]
        self._written = len(self.rows)

    def unwritten(self) -> "Latencies":
        """The steps that are in no file yet."""
        return Latencies(rows=self.rows[self._written :])

    def mark_written(self) -> None:
        """Note that all steps so far are in files."""
        self._written = len(self.rows)

    def rounds(self, phase: StepPhase) -> set[int]:
        """Numbers of the rounds in which both sides have steps of a phase."""
        found = [{row[2] for row in self.rows if row[:2] == (role, phase)} for role in ROLES]
        return set.intersection(*found)

    def add(
        self, role: Role, phase: StepPhase, block: int, steps: Steps, attempt: Attempt = Attempt()
    ) -> None:
        """Add the steps of one block; a warm-up block gets the next free number."""
        lead_in = steps.lead_in if phase != "warmup" else len(steps.wall_ns)
        number = self._warmup_blocks.get(role, 0)
        if lead_in:
            self._warmup_blocks[role] = number + 1
        faults = steps.faults or (UNSEEN,) * len(steps.wall_ns)
        times = list(zip(steps.start_ns, steps.wall_ns, faults, strict=True))
        beside = (
            attempt.launch,
            attempt.number,
            *attempt.reference,
            *msgspec.structs.astuple(steps.evidence),
        )
        lead, own = times[:lead_in], times[lead_in:]
        self.rows += [(role, "warmup", number, i, *at, *beside, seen) for i, (*at, seen) in enumerate(lead)]
        self.rows += [(role, phase, block, i, *at, *beside, seen) for i, (*at, seen) in enumerate(own)]

    def count(self, role: Role, phase: StepPhase) -> int:
        """Steps of one side and phase."""
        return sum(row[:2] == (role, phase) for row in self.rows)

    def write(self, stream: BinaryIO) -> None:
        """Write them as `latency.parquet`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        names = (*LATENCY_COLUMNS, *OPTIONAL_COLUMNS)
        columns = list(zip(*self.rows, strict=True)) or [()] * len(names)
        types = (pa.string(), pa.string(), *(pa.int64() for _ in names[_TEXTS:]))
        arrays = [pa.array(list(column), kind) for column, kind in zip(columns, types, strict=True)]
        pq.write_table(pa.table(dict(zip(names, arrays, strict=True))), stream)
