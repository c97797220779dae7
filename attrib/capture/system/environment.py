"""The machine that a capture runs on: usable cores, hardware, software versions.

Everything here works without an engine: package versions come from their metadata, never from importing them.
"""

import math
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from attrib.errors import UsageError
from attrib.model.execution_providers import PROVIDERS
from attrib.model.manifest import Environment
from attrib.scrub import scrub

__all__ = [
    "ROOT", "accelerators", "affinity", "cgroup_folders", "cpu_model", "cpu_quotas", "cpuinfo", "current_load",
    "describe_environment", "memory_bytes", "package_versions", "physical_cores", "read_text", "scrub",
    "thread_count", "usable_cores",
]  # fmt: skip

ROOT = Path("/")

PACKAGES = sorted({
    "numpy", "onnx", "onnx-ir", "onnxruntime-training", "onnxscript", "onnxslim", "openvino", "safetensors", "tensorrt",
    "tokenizers", "torch", "transformers", "triton", *(row.package for row in PROVIDERS),
})  # fmt: skip
"""Packages whose version bears on speed or on what was exported; those not installed are left out."""

_MOUNT = re.compile(r"\S+ \S+ \S+ (?P<root>\S+) (?P<point>\S+) .*?- (?P<type>\S+) \S+ (?P<options>\S+)")
"""One line of `/proc/self/mountinfo`, see proc(5)."""

QUERY_TIMEOUT = 5.0
"""Seconds that `nvidia-smi` and `sysctl` may take: on a healthy machine both answer within one."""


def usable_cores(root: Path = ROOT) -> float:
    """Cores that this process may really use: the least of its affinity and every processor quota above it.

    Args:
        root: Where `/proc` and `/sys` are, for tests.

    Returns:
        Cores, e.g. 1.5 in a container with that quota.
    """
    return min(float(affinity()), *(quota for quota in cpu_quotas(root)), math.inf)


def thread_count(requested: int | None, root: Path = ROOT) -> int:
    """Intra-op threads for both engines: what was asked for, else one for each whole usable core.

    Two hardware threads of one core count as one: both engines size their own pools by physical cores.

    Raises:
        UsageError: Fewer than one thread was asked for.
    """
    if requested is not None and requested < 1:
        raise UsageError(f"--threads {requested}: at least one thread is needed", hint="leave --threads out")
    if requested is not None:
        return requested
    return max(1, int(min(usable_cores(root), physical_cores(root))))


def physical_cores(root: Path = ROOT) -> float:
    """Physical cores behind the processors that this process may use; infinity where nothing says so."""
    allowed = _affinity_set()
    cores: set[tuple[str, str]] = set()
    for processor in cpuinfo(root):
        number = processor.get("processor", "")
        if "core id" not in processor or not number.isdecimal():
            return math.inf
        if allowed is None or int(number) in allowed:
            cores.add((processor.get("physical id", ""), processor["core id"]))
    return len(cores) or math.inf


def cpu_quotas(root: Path = ROOT) -> tuple[float, ...]:
    """Quotas, in cores, of this process's cgroup and of every cgroup above it (v2 `cpu.max`, v1 CFS)."""
    quotas = [_quota_v2(folder) for folder in cgroup_folders(root, "cgroup2", "")]
    quotas += [_quota_v1(folder) for folder in cgroup_folders(root, "cgroup", "cpu")]
    return tuple(quota for quota in quotas if quota is not None)


def _affinity_set() -> set[int] | None:
    getter = getattr(os, "sched_getaffinity", None)  # absent on macOS
    return getter(0) if getter else None


def affinity() -> int:
    """Processors that this process may run on."""
    allowed = _affinity_set()
    return len(allowed) if allowed else (os.cpu_count() or 1)


def _quota_v2(folder: Path) -> float | None:
    """`cpu.max` holds `QUOTA PERIOD` in microseconds, or `max PERIOD` where there is no limit."""
    quota, _, period = read_text(folder / "cpu.max").strip().partition(" ")
    return _ratio(quota, period)


def _quota_v1(folder: Path) -> float | None:
    """The CFS quota and period in microseconds; a quota of -1 is no limit."""
    return _ratio(read_text(folder / "cpu.cfs_quota_us"), read_text(folder / "cpu.cfs_period_us"))


def _ratio(quota: str, period: str) -> float | None:
    quota, period = quota.strip(), period.strip()
    if not (quota.isdecimal() and period.isdecimal() and int(quota) and int(period)):
        return None
    return int(quota) / int(period)


def cgroup_folders(root: Path, filesystem: str, controller: str) -> Iterator[Path]:
    """This process's cgroup directory and its parents, up to the mount point of the hierarchy.

    The formats are those of proc(5) and cgroups(7): `/proc/self/cgroup` has lines `ID:CONTROLLERS:PATH` (no
    controllers for v2), `/proc/self/mountinfo` names the part of the hierarchy that is mounted and where.
    """
    for mounted_root, mount_point in _cgroup_mounts(root, filesystem, controller):
        top = root / mount_point.lstrip("/")
        for path in _cgroup_paths(root, controller):
            inside = _below(path, mounted_root)
            yield top
            for depth in range(len(inside)):
                yield top.joinpath(*inside[: depth + 1])


def _cgroup_mounts(root: Path, filesystem: str, controller: str) -> Iterator[tuple[str, str]]:
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        found = _MOUNT.match(line)
        if found and found["type"] == filesystem and controller in ("", *found["options"].split(",")):
            yield found["root"], found["point"]


def _cgroup_paths(root: Path, controller: str) -> Iterator[str]:
    for line in read_text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller in controllers.split(","):  # v2 has the one line without controllers
            yield path


def _below(path: str, mounted_root: str) -> tuple[str, ...]:
    """Components of a cgroup path below the mounted part; none outside this namespace (`/../..`)."""
    pure = PurePosixPath(path)
    if ".." in pure.parts or not pure.is_relative_to(mounted_root):
        return ()
    return pure.relative_to(mounted_root).parts


def describe_environment(root: Path = ROOT) -> Environment:
    """The machine and the software. `load_after` stays 0 until the capture has ended: see `current_load`."""
    return Environment(
        cpu=cpu_model(root),
        logical_cores=os.cpu_count() or 0,
        usable_cores=usable_cores(root),
        memory_bytes=memory_bytes(root),
        system=scrub(f"{platform.system()} {platform.release()}".strip()),
        python=platform.python_version(),
        packages=package_versions(),
        accelerators=accelerators(),
        load_before=current_load(),
    )


def current_load(root: Path = ROOT, *, seconds: float = 0.3) -> float:
    """Cores that are busy now, time stolen by other machines on the host included.

    Not the load average, which still counts a capture that ended half a minute ago; it stands in where the system has
    no `/proc/stat`, and 0 where it has neither.
    """
    begin = _processor_ticks(root)
    if begin is not None:
        time.sleep(seconds)
        end = _processor_ticks(root)
        if end is not None and end[1] > begin[1]:
            return round((end[0] - begin[0]) / (end[1] - begin[1]) * (os.cpu_count() or 1), 2)
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return 0.0


def _processor_ticks(root: Path) -> tuple[int, int] | None:
    """Busy and total ticks of all processors (proc(5): user, nice, system, idle, iowait, irq, softirq, steal)."""
    try:
        first = (root / "proc/stat").read_text().splitlines()[0].split()
        ticks = [int(field) for field in first[1:9]]
    except (OSError, ValueError, IndexError):
        return None
    idle = sum(ticks[3:5])
    return sum(ticks) - idle, sum(ticks)


def cpu_model(root: Path = ROOT) -> str:
    """The processor's name as the system gives it."""
    for processor in cpuinfo(root):
        for key in ("model name", "Model", "cpu model", "cpu"):  # x86, ARM boards, MIPS, POWER
            if processor.get(key):
                return " ".join(processor[key].split())
    brand = _command("sysctl", "-n", "machdep.cpu.brand_string") if platform.system() == "Darwin" else ""
    return brand or platform.processor() or platform.machine()


def memory_bytes(root: Path = ROOT) -> int:
    """Memory that this process may use: the machine's, or the smallest limit of the cgroups above it."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        total = 0
    found = re.search(r"^MemTotal:\s*(\d+) kB", read_text(root / "proc/meminfo"), re.MULTILINE)
    machine = int(found[1]) * 1024 if found else total
    return min([machine, *_memory_limits(root)])


def _memory_limits(root: Path) -> list[int]:
    texts = [read_text(folder / "memory.max") for folder in cgroup_folders(root, "cgroup2", "")]
    folders = cgroup_folders(root, "cgroup", "memory")
    texts += [read_text(folder / "memory.limit_in_bytes") for folder in folders]
    return [int(text) for text in map(str.strip, texts) if text.isdecimal()]


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that matter, from their metadata."""
    versions = {name: _version(name) for name in PACKAGES}
    return {name: version for name, version in versions.items() if version}


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def accelerators() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs with their driver's version, e.g. `NVIDIA H100 80GB HBM3 (driver 570.86)`."""
    output = _command("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    rows = [line.rsplit(",", 1) for line in output.splitlines() if line.count(",")]
    return tuple(f"{name.strip()} (driver {driver.strip()})" for name, driver in rows)


def cpuinfo(root: Path) -> Iterator[dict[str, str]]:
    """One mapping a paragraph of `/proc/cpuinfo`."""
    for paragraph in read_text(root / "proc/cpuinfo").split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines())
        found = {key.strip(): value.strip() for key, _, value in pairs}
        if found:
            yield found


def read_text(path: Path) -> str:
    """A small file of the kernel's; empty where it is absent, which every caller reads as "no limit"."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _command(program: str, *arguments: str) -> str:
    """What a system program prints; empty where it is absent, fails or hangs."""
    found = shutil.which(program)
    if not found:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - fixed programs of the system with fixed arguments
            [found, *arguments], capture_output=True, text=True, timeout=QUERY_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout.strip()
