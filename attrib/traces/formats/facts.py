"""The facts beside a Kineto trace's events: only those that name no person, host, path or environment."""

import json
from typing import Any

from attrib.traces.formats.times import LIMIT_NS

NUMBERS = frozenset({
    "schemaVersion",
    "record_shapes",
    "profile_memory",
    "with_stack",
    "with_flops",
    "with_modules",
    "cuda_runtime_version",
    "cuda_driver_version",
    "cupti_version",
    "roctracer_version",
    "hip_runtime_version",
    "hip_driver_version",
})  # fmt: skip
"""Facts that are shown, and only as numbers. Traces also hold host and user names, paths and environments."""

WANTED = NUMBERS | {"deviceProperties", "baseTimeNanoseconds", "distributedInfo"}
_PLACE = ("rank", "world_size")
"""Of a distributed job, what tells one process's trace from another's; the rest may name hosts and groups."""
_LONGEST_NAME = 100


def base_ns(facts: dict[str, str]) -> int:
    """What the file's times count from, in nanoseconds since the epoch; 0 where it does not say."""
    try:
        base = int(facts.get("baseTimeNanoseconds", "0").strip('"'))
    except ValueError:
        return 0
    return base if abs(base) < LIMIT_NS else 0


def device_names(facts: dict[str, str]) -> list[str] | None:
    """Names of the devices (empty strings where the vendor gives none); None where the file does not say."""
    devices = _load(facts.get("deviceProperties", "null"))
    if not isinstance(devices, list):
        return None
    names = [device.get("name") for device in devices if isinstance(device, dict)]
    return [name[:_LONGEST_NAME] if isinstance(name, str) else "" for name in names]


def facts_for_show(facts: dict[str, str]) -> dict[str, str]:
    """The facts that may be shown, by name."""
    shown = {
        name: facts[name]
        for name in sorted(NUMBERS & facts.keys())
        if len(facts[name]) < _LONGEST_NAME and type(_load(facts[name])) in (int, float)
    }
    devices = device_names(facts)
    if devices:
        shown["devices"] = ", ".join(name or "unnamed device" for name in devices)
    place = _load(facts.get("distributedInfo", "null"))
    if isinstance(place, dict):
        shown |= {key: str(place[key]) for key in _PLACE if type(place.get(key)) is int}
    return shown


def _load(raw: str) -> Any:
    """The value of one raw member, whose bytes are kept as one character each; None where it is not JSON."""
    try:
        return json.loads(raw.encode("latin-1").decode("utf-8", "replace"), strict=False)
    except (ValueError, RecursionError):
        return None
