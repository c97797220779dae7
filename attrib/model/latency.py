"""Timed steps, outside any profiler or under one: the columns of `latency.parquet`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from attrib.model.manifest import Role

StepPhase = Literal["warmup", "plain", "profiled"]

LATENCY_COLUMNS = ("engine", "phase", "block", "iteration", "start_ns", "wall_ns")
"""Columns of `latency.parquet`; `engine` holds the role, `start_ns` is nanoseconds since the epoch."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LatencyTable:
    """Every timed step of both sides; row `i` of each column is step `i`.

    `block` numbers the interleaved rounds of a phase: block 3 of one side was measured beside block 3 of the other.
    """

    engine: Sequence[Role]
    phase: Sequence[StepPhase]
    block: npt.NDArray[np.int64]
    iteration: npt.NDArray[np.int64]
    start_ns: npt.NDArray[np.int64]
    wall_ns: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.wall_ns)

    def select(self, role: Role, phase: StepPhase) -> npt.NDArray[np.intp]:
        """Positions of the steps of one side and phase, in order of time."""
        chosen = np.array(
            [e == role and p == phase for e, p in zip(self.engine, self.phase, strict=True)], dtype=bool
        )
        rows = np.flatnonzero(chosen)
        return np.asarray(rows[np.argsort(self.start_ns[rows], kind="stable")])

    def blocks(self, role: Role, phase: StepPhase) -> dict[int, npt.NDArray[np.int64]]:
        """Wall times in nanoseconds of one side and phase, by block number, in order of time."""
        rows = self.select(role, phase)
        return {
            int(number): self.wall_ns[rows[self.block[rows] == number]]
            for number in np.unique(self.block[rows])
        }

    def before_plain(self, role: Role) -> tuple[int, ...]:
        """Wall times in nanoseconds of one side's steps before its first plain one, in order of time."""
        plain, rows = self.select(role, "plain"), self.select(role, "warmup")
        chosen = rows[self.start_ns[rows] < self.start_ns[plain].min()] if plain.size else rows
        return tuple(self.wall_ns[chosen].tolist())
