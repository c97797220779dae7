"""Collecting timed steps, and the file they go into."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO

from attrib.capture.workers.messages import Steps
from attrib.model.latency import LATENCY_COLUMNS, LatencyTable, StepPhase
from attrib.model.manifest import ROLES, Role

Row = tuple[Role, StepPhase, int, int, int, int]


@dataclass(slots=True)
class Latencies:
    """Every timed step so far, in the order of `LATENCY_COLUMNS`.

    A block's lead-in counts as warm-up: it is timed, but the other engine has just emptied the caches.
    """

    rows: list[Row] = field(default_factory=list)
    _warmup_blocks: dict[Role, int] = field(default_factory=dict)
    _written: int = 0

    @classmethod
    def from_table(cls, table: LatencyTable) -> "Latencies":
        """The steps of an earlier launch, to be added to."""
        columns = (table.block, table.iteration, table.start_ns, table.wall_ns)
        rows = zip(table.engine, table.phase, *(column.tolist() for column in columns), strict=True)
        found = cls(rows=[*rows])
        found._warmup_blocks = {
            role: 1 + max((row[2] for row in found.rows if row[:2] == (role, "warmup")), default=-1)
            for role in ROLES
        }
        found._written = len(found.rows)
        return found

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

    def add(self, role: Role, phase: StepPhase, block: int, steps: Steps) -> None:
        """Add the steps of one block; a warm-up block gets the next free number."""
        lead_in = steps.lead_in if phase != "warmup" else len(steps.wall_ns)
        number = self._warmup_blocks.get(role, 0)
        if lead_in:
            self._warmup_blocks[role] = number + 1
        times = list(zip(steps.start_ns, steps.wall_ns, strict=True))
        self.rows += [(role, "warmup", number, i, *time) for i, time in enumerate(times[:lead_in])]
        self.rows += [(role, phase, block, i, *time) for i, time in enumerate(times[lead_in:])]

    def count(self, role: Role, phase: StepPhase) -> int:
        """Steps of one side and phase."""
        return sum(row[0] == role and row[1] == phase for row in self.rows)

    def blocks(self, role: Role, phase: StepPhase) -> tuple[tuple[int, ...], ...]:
        """Wall times of one side's blocks of a phase, in the order in which they ran."""
        found: dict[int, list[int]] = {}
        for side, kind, block, _, _, wall in self.rows:
            if (side, kind) == (role, phase):
                found.setdefault(block, []).append(wall)
        return tuple(map(tuple, found.values()))

    def write(self, stream: BinaryIO) -> None:
        """Write them as a file with the columns of `latency.parquet`."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = list(zip(*self.rows, strict=True)) or [()] * len(LATENCY_COLUMNS)
        types = (pa.string(), pa.string(), pa.int64(), pa.int64(), pa.int64(), pa.int64())
        arrays = [pa.array(list(column), kind) for column, kind in zip(columns, types, strict=True)]
        pq.write_table(pa.table(dict(zip(LATENCY_COLUMNS, arrays, strict=True))), stream)
