"""Timed steps, outside any profiler or under one: the columns of `latency.parquet`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.model.disturbance import UNSEEN, BlockEvidence, disturbances
from attrib.model.manifest import Role

StepPhase = Literal["warmup", "plain", "profiled"]

LATENCY_COLUMNS = ("engine", "phase", "block", "iteration", "start_ns", "wall_ns")
"""Columns that every `latency.parquet` has; `engine` holds the role, `start_ns` is nanoseconds since the epoch."""

EVIDENCE_COLUMNS = BlockEvidence.__struct_fields__
"""What was counted while the block of a step was timed; the same in every row of the block."""

REFERENCES = ("product_ns", "copy_ns", "own_ns", "shared_ns")
"""What fixed work took in a round, in a process that is no engine (`attrib.capture.system.disturbance.ReferenceTimes`)."""

BLOCK_COLUMNS = ("launch", "attempt", *REFERENCES, *EVIDENCE_COLUMNS)
"""Columns that captures of older versions lack.

`launch` numbers the starts of the engines' processes, `attempt` the times that a block was measured, both from 0.
"""

STEP_FAULTS = "step_faults"
"""Column of the page faults of a single step; captures of older versions lack it, too."""

OPTIONAL_COLUMNS = (*BLOCK_COLUMNS, STEP_FAULTS)
"""What `LatencyTable.more` may hold."""

Int64s = npt.NDArray[np.int64]


class BlockKey(NamedTuple):
    """One attempt at one block of one side."""

    role: Role
    phase: StepPhase
    block: int
    attempt: int


class TimedBlock(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one block: its steps, and what happened beside them.

    Attributes:
        role: Which side.
        phase: Plain or profiled.
        number: The round; block 3 of one side was measured beside block 3 of the other.
        launch: Which start of the engines' processes.
        attempt: The how manieth attempt at it, from 0.
        walls_ns: Its steps, in order of time.
        disturbed: Why it is disturbed: keys of `REASONS`.
        evidence: What was counted beside it.
        faults: Page faults of each step; `UNSEEN` where a step has no count of its own.
        counted: It counts: for the headline, or for the shares.
        product_ns: What the fixed product took in that round; `UNSEEN` where none was timed.
        copy_ns: What the fixed copy took.
        own_ns: What two threads took to read memory of their own.
        shared_ns: What two threads took to read the same memory.
    """

    role: Role
    phase: StepPhase
    number: int
    launch: int
    attempt: int
    walls_ns: tuple[int, ...]
    disturbed: tuple[str, ...] = ()
    evidence: BlockEvidence
    faults: tuple[int, ...] = ()
    counted: bool = True
    product_ns: int = UNSEEN
    copy_ns: int = UNSEEN
    own_ns: int = UNSEEN
    shared_ns: int = UNSEEN

    @property
    def step_faults(self) -> tuple[float, ...]:
        """Page faults of each step, the block's mean where single steps have no count; nothing where nobody counted."""
        if self.faults and min(self.faults) >= 0:
            return self.faults
        if self.evidence.faults < 0:
            return ()
        return (self.evidence.faults / len(self.walls_ns),) * len(self.walls_ns)


@dataclass(frozen=True, eq=False, kw_only=True)
class LatencyTable:
    """Every timed step of both sides; row `i` of each column is step `i`.

    `block` numbers the interleaved rounds of a phase, over all launches: block 3 of one side was measured beside block 3
    of the other. `more` holds the columns of `OPTIONAL_COLUMNS` that were recorded.
    """

    engine: Sequence[Role]
    phase: Sequence[StepPhase]
    block: Int64s
    iteration: Int64s
    start_ns: Int64s
    wall_ns: Int64s
    more: Mapping[str, Int64s] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.wall_ns)

    def column(self, name: str) -> Int64s:
        """A column of `OPTIONAL_COLUMNS`; where it was not recorded, all 0 (launch, attempt) or `UNSEEN`."""
        missing = 0 if name in ("launch", "attempt") else UNSEEN
        return self.more[name] if name in self.more else np.full(len(self), missing, dtype=np.int64)

    @cached_property
    def _groups(self) -> dict[BlockKey, npt.NDArray[np.intp]]:
        """Rows of each attempt at each block, in order of time."""
        found: dict[BlockKey, list[int]] = {}
        keys = zip(self.engine, self.phase, self.block.tolist(), self.column("attempt").tolist(), strict=True)
        for row, key in enumerate(keys):
            found.setdefault(BlockKey(*key), []).append(row)
        return {
            key: np.array(rows)[np.argsort(self.start_ns[rows], kind="stable")] for key, rows in found.items()
        }

    @cached_property
    def _disturbed(self) -> dict[BlockKey, tuple[str, ...]]:
        columns = {name: self.column(name) for name in EVIDENCE_COLUMNS}
        return {
            key: disturbances(BlockEvidence(**{name: int(its[rows[0]]) for name, its in columns.items()}))
            for key, rows in self._groups.items()
            if key.phase != "warmup"
        }

    def clean_rounds(self, phase: StepPhase) -> tuple[dict[int, int], set[int]]:
        """The attempt at each round in which no side was disturbed, and the rounds that have none."""
        attempts: dict[tuple[int, int], list[bool]] = {}
        for key, why in self._disturbed.items():
            if key.phase == phase:
                attempts.setdefault((key.block, key.attempt), []).append(not why)
        clean: dict[int, int] = {}
        for (number, attempt), fine in sorted(attempts.items()):
            if all(fine):
                clean[number] = attempt
        return clean, {number for number, _ in attempts} - set(clean)

    def is_busy(self, phase: StepPhase) -> bool:
        """Whether more rounds of a phase stayed disturbed, whatever was tried, than were measured."""
        clean, disturbed = self.clean_rounds(phase)
        return len(disturbed) > len(clean)

    @cached_property
    def _counted(self) -> set[BlockKey]:
        """What counts: the undisturbed attempt at each round; on a busy machine, where most have none, the last one too."""
        chosen: set[BlockKey] = set()
        for phase in ("plain", "profiled"):
            clean, disturbed = self.clean_rounds(phase)
            last: dict[int, int] = {}
            for key in self._groups:
                if key.phase == phase and key.block in disturbed:
                    last[key.block] = max(key.attempt, last.get(key.block, 0))
            wanted = clean | last if len(disturbed) > len(clean) else clean
            chosen |= {k for k in self._groups if k.phase == phase and wanted.get(k.block) == k.attempt}
        return chosen

    def select(self, role: Role, phase: StepPhase) -> npt.NDArray[np.intp]:
        """Positions of the steps of one side and phase that count, in order of time; all of a warm-up."""
        chosen = [
            rows
            for key, rows in self._groups.items()
            if key.role == role and key.phase == phase and (phase == "warmup" or key in self._counted)
        ]
        rows = np.concatenate(chosen) if chosen else np.array([], dtype=np.intp)
        return np.asarray(rows[np.argsort(self.start_ns[rows], kind="stable")])

    def blocks(self, role: Role, phase: StepPhase) -> dict[int, Int64s]:
        """Wall times in nanoseconds of one side and phase that count, by block number, in order of time."""
        return {
            key.block: self.wall_ns[rows]
            for key, rows in sorted(self._groups.items(), key=lambda item: item[0].block)
            if key.role == role and key.phase == phase and key in self._counted
        }

    def launches(self) -> dict[int, int]:
        """The launch of each round; blocks of a warm-up, which have numbers of their own, are none."""
        rows = zip(self.phase, self.block.tolist(), self.column("launch").tolist(), strict=True)
        return {block: launch for phase, block, launch in rows if phase != "warmup"}

    def every_block(self, phase: StepPhase) -> tuple[TimedBlock, ...]:
        """Every attempt at every block of a phase, counted or not, in order of time."""
        columns = {name: self.column(name) for name in BLOCK_COLUMNS}
        found = []
        for key, rows in self._groups.items():
            if key.phase != phase:
                continue
            its = {name: int(values[rows[0]]) for name, values in columns.items()}
            found.append(
                (
                    int(self.start_ns[rows[0]]),
                    TimedBlock(
                        role=key.role,
                        phase=phase,
                        number=key.block,
                        launch=its.pop("launch"),
                        attempt=its.pop("attempt"),
                        walls_ns=tuple(self.wall_ns[rows].tolist()),
                        faults=tuple(self.column(STEP_FAULTS)[rows].tolist()),
                        disturbed=self._disturbed.get(key, ()),
                        counted=key in self._counted,
                        **{name: its.pop(name) for name in REFERENCES},
                        evidence=BlockEvidence(**its),
                    ),
                )
            )
        return tuple(block for _, block in sorted(found, key=lambda pair: pair[0]))

    def before_plain(self, role: Role) -> tuple[int, ...]:
        """Wall times in nanoseconds of one side's steps before its first plain one, in order of time."""
        plain, rows = self.select(role, "plain"), self.select(role, "warmup")
        chosen = rows[self.start_ns[rows] < self.start_ns[plain].min()] if plain.size else rows
        return tuple(self.wall_ns[chosen].tolist())
