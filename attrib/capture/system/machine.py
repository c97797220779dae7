"""What happens to the processor during a capture: quota, heat, and time that the host gave to others.

Counters of the system, read at the start and at the end; what a system does not count is None, never 0.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from attrib.capture.system.environment import (
    ROOT,
    affinity,
    cgroup_folders,
    cpu_quotas,
    cpuinfo,
    current_load,
    read_text,
)
from attrib.model.manifest import Environment

MATRIX_FLAGS = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",
    "asimd", "asimddp", "i8mm", "bf16", "sve", "svebf16", "sme",
)  # fmt: skip
"""Flags (x86) and features (ARM) of /proc/cpuinfo that change the speed of a matrix product."""

_TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""Columns of the first line of /proc/stat, see proc(5)."""

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
    """Reads the counters when it is made, and again when it is asked."""

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


def with_limits(environment: Environment, root: Path = ROOT) -> Environment:
    """The environment with what limits its processors, and their instruction sets."""
    return msgspec.structs.replace(
        environment,
        cpu_flags=cpu_flags(root),
        affinity=affinity(),
        cpu_quota=min(cpu_quotas(root), default=0.0),
    )


def cpu_flags(root: Path = ROOT) -> tuple[str, ...]:
    """Instruction sets of the first processor that matrix products may use; empty where nothing says so."""
    first = next(iter(cpuinfo(root)), {})
    stated = set((first.get("flags") or first.get("Features") or "").split())
    return tuple(flag for flag in MATRIX_FLAGS if flag in stated)


def _difference(begin: _Number | None, end: _Number | None) -> _Number | None:
    return None if begin is None or end is None else max(end - begin, type(end)(0))


def _read_counters(root: Path) -> _Counters:
    stolen, ticks = _ticks(root)
    return _Counters(stolen, ticks, _throttled(root), _thermal(root))


def _ticks(root: Path) -> tuple[int | None, int]:
    """Stolen and all ticks since the system started."""
    fields = read_text(root / "proc/stat").partition("\n")[0].split()[1:]
    if len(fields) < len(_TICKS) or not all(field.isdecimal() for field in fields[: len(_TICKS)]):
        return None, 0
    ticks = [int(field) for field in fields[: len(_TICKS)]]
    return ticks[_TICKS.index("steal")], sum(ticks)


def _throttled(root: Path) -> float | None:
    """Seconds for which quotas stopped this process's cgroups: `cpu.stat` (v2 microseconds, v1 nanoseconds)."""
    found = [_stat(folder, "throttled_usec", _US) for folder in cgroup_folders(root, "cgroup2", "")]
    found += [_stat(folder, "throttled_time", _NS) for folder in cgroup_folders(root, "cgroup", "cpu")]
    return _sum(found)


def _stat(folder: Path, key: str, unit: int) -> float | None:
    pairs = (line.split() for line in read_text(folder / "cpu.stat").splitlines())
    values = [pair[1] for pair in pairs if len(pair) == 2 and pair[0] == key and pair[1].isdecimal()]  # noqa: PLR2004
    return int(values[0]) / unit if values else None


def _thermal(root: Path) -> int | None:
    """Throttle events of all cores, where the processor counts them (Intel)."""
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle/core_throttle_count"))
    counts = [int(text) for file in files if (text := read_text(file).strip()).isdecimal()]
    return sum(counts) if counts else None


def _sum(found: Iterable[float | None]) -> float | None:
    known = [value for value in found if value is not None]
    return sum(known) if known else None
