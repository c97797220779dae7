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

    def blocks(self, role: Role, phase: StepPhase) -> dict[int, npt.NDArray[np.int64]]:
        """Wall times in nanoseconds of one side and phase, by block number, in order of iteration."""
        chosen = np.array(
            [e == role and p == phase for e, p in zip(self.engine, self.phase, strict=True)], dtype=bool
        )
        numbers, walls = self.block[chosen], self.wall_ns[chosen]
        return {int(number): walls[numbers == number] for number in np.unique(numbers)}
