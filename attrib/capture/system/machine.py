"""What happens to the processor during a capture: quota, heat, and time that the host gave to others.

Counters of the system, read at the start and at the end; what a system does not count is None, never 0.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from attrib.capture.system.environment import (
    ROOT,
    cgroup_folders,
    current_load,
    processor_ticks,
    read_text,
)
from attrib.model.manifest import Environment

_Number = TypeVar("_Number", int, float)

_NS = 1_000_000_000
_US = 1_000_000


@dataclass(frozen=True, slots=True)
class _Counters:
    """Readings at one moment: stolen and all processor ticks, seconds of throttling, thermal events."""

    stolen: int | None
    ticks: int
    throttled: float | None
    thermal: int | None


class MachineWatch:
    """The counters at its creation, and their differences at the `end`."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._begin = _read_counters(root)

    def end(self, environment: Environment) -> Environment:
        """The environment with what happened since, and the load at the end."""
        begin, end = self._begin, _read_counters(self._root)
        stolen = _difference(begin.stolen, end.stolen)
        ticks = end.ticks - begin.ticks
        throttled = _difference(begin.throttled, end.throttled)
        return msgspec.structs.replace(
            environment,
            load_after=current_load(self._root),
            stolen_share=None if stolen is None or ticks <= 0 else round(stolen / ticks, 4),
            throttled_seconds=None if throttled is None else round(throttled, 3),
            thermal_throttles=_difference(begin.thermal, end.thermal),
        )


def _difference(begin: _Number | None, end: _Number | None) -> _Number | None:
    return None if begin is None or end is None else max(end - begin, type(end)(0))


def _read_counters(root: Path) -> _Counters:
    ticks = processor_ticks(root)
    # Seconds for which quotas stopped this process's cgroups (v2 microseconds, v1 nanoseconds).
    found = [_stat(folder, "throttled_usec", _US) for folder in cgroup_folders(root, "cgroup2", "")]
    found += [_stat(folder, "throttled_time", _NS) for folder in cgroup_folders(root, "cgroup", "cpu")]
    throttled = [seconds for seconds in found if seconds is not None]
    # Throttle events of all cores, where the processor counts them (Intel).
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    counts = [int(text) for file in files if (text := read_text(file).strip()).isdecimal()]
    return _Counters(
        stolen=ticks["steal"] if ticks else None,
        ticks=sum(ticks.values()) if ticks else 0,
        throttled=sum(throttled) if throttled else None,
        thermal=sum(counts) if counts else None,
    )


def _stat(folder: Path, key: str, unit: int) -> float | None:
    """A number of a cgroup's `cpu.stat` in seconds; None where it does not count that."""
    pairs = (line.split() for line in read_text(folder / "cpu.stat").splitlines())
    values = [pair[1] for pair in pairs if len(pair) == 2 and pair[0] == key and pair[1].isdecimal()]  # noqa: PLR2004
    return int(values[0]) / unit if values else None
