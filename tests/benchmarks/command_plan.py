"""What one capture ran, from its trace directory, as blocks that can be run again without attrib."""

from pathlib import Path
from typing import Any

import msgspec

from attrib.model.latency import LatencyTable
from attrib.model.manifest import ROLES, Manifest, Role
from attrib.traces.directory.latency_file import read_latency

PROFILED_WARMUP = 3
"""Steps at the end of the warm-up that run under the profiler."""

LEAD_IN = 1


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a capture."""
    return msgspec.json.decode((folder / "manifest.json").read_bytes(), type=Manifest)


def plan_of(folder: Path) -> dict[str, Any]:
    """The same number of steps of each kind, in the same rounds: what `command_reference.py` runs."""
    manifest, latency = read_manifest(folder), read_latency(folder / "latency.parquet")
    protocol, workload = manifest.protocol, manifest.workload
    assert protocol is not None
    warm_up = [block for role in ROLES for block in _warm_up(role, latency, 2 * protocol.rounds * LEAD_IN)]
    measure = [
        _block(role, steps, profiled=profiled, lead_in=LEAD_IN)
        for number in range(protocol.rounds)
        for profiled, steps in ((False, protocol.iterations), (True, protocol.profiled_iterations))
        for role in (ROLES if number % 2 else ROLES[::-1])
    ]
    return {
        "threads": manifest.sides["torch"].threads,
        "layers": workload.layers,
        "seq_len": workload.seq_len,
        "warm-up": warm_up,
        "measure": measure,
    }


def _warm_up(role: Role, latency: LatencyTable, lead_ins: int) -> list[dict[str, Any]]:
    """Steps before the first round: all of a side's warm-up but the lead-ins of its blocks."""
    plain = len(latency.select(role, "warmup")) - lead_ins - PROFILED_WARMUP
    return [_block(role, plain, profiled=False), _block(role, PROFILED_WARMUP, profiled=True)]


def _block(role: Role, steps: int, *, profiled: bool, lead_in: int = 0) -> dict[str, Any]:
    return {"role": role, "steps": steps, "profiled": profiled, "lead_in": lead_in}


def step_seconds(folder: Path) -> float:
    """Time inside the model's steps of a capture, both engines, all phases."""
    return float(read_latency(folder / "latency.parquet").wall_ns.sum()) / 1e9


def phase_seconds(folder: Path) -> dict[str, float]:
    """Seconds of each phase, by its name."""
    return {phase.name: phase.seconds for phase in read_manifest(folder).phases}
