"""The machine that a capture runs on: usable cores, hardware, software versions.

Everything here works without an engine: package versions come from their metadata, never from importing them.
"""

import contextlib
import math
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Iterator
from importlib import metadata
from pathlib import Path, PurePosixPath

from attrib.errors import UsageError
from attrib.model.execution_providers import PROVIDERS
from attrib.model.manifest import Environment
from attrib.scrub import scrub

ROOT = Path("/")

PACKAGES = sorted({
    "numpy", "onnx", "onnx-ir", "onnxruntime-training", "onnxscript", "onnxslim", "openvino", "safetensors", "tensorrt",
    "tokenizers", "torch", "transformers", "triton", *(row.package for row in PROVIDERS),
})  # fmt: skip
"""Packages whose version bears on speed or on what was exported; those not installed are left out."""

MATRIX_FLAGS = (
    "avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8",
    "asimd", "asimddp", "i8mm", "bf16", "sve", "svebf16", "sme",
)  # fmt: skip
"""Flags (x86) and features (ARM) of /proc/cpuinfo that change the speed of a matrix product."""

_MOUNT = re.compile(r"\S+ \S+ \S+ (?P<root>\S+) (?P<point>\S+) .*?- (?P<type>\S+) \S+ (?P<options>\S+)")
"""One line of `/proc/self/mountinfo`, see proc(5)."""

_TICKS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""Columns of the first line of `/proc/stat`, see proc(5)."""

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
    # v2: `cpu.max` holds `QUOTA PERIOD` in microseconds, or `max PERIOD` where there is no limit.
    pairs = [
        read_text(folder / "cpu.max").partition(" ")[::2] for folder in cgroup_folders(root, "cgroup2", "")
    ]
    # v1: the CFS quota and period in microseconds; a quota of -1 is no limit.
    pairs += [
        (read_text(folder / "cpu.cfs_quota_us"), read_text(folder / "cpu.cfs_period_us"))
        for folder in cgroup_folders(root, "cgroup", "cpu")
    ]
    stripped = [(quota.strip(), period.strip()) for quota, period in pairs]
    return tuple(
        int(quota) / int(period)
        for quota, period in stripped
        if quota.isdecimal() and period.isdecimal() and int(quota) and int(period)
    )


def _affinity_set() -> set[int] | None:
    getter = getattr(os, "sched_getaffinity", None)  # absent on macOS
    return getter(0) if getter else None


def allowed_processors() -> frozenset[int] | None:
    """Numbers of the processors that this process may run on; None where the system does not tell."""
    allowed = _affinity_set()
    return None if allowed is None else frozenset(allowed)


def affinity() -> int:
    """Processors that this process may run on."""
    allowed = _affinity_set()
    return len(allowed) if allowed else (os.cpu_count() or 1)


def cgroup_folders(root: Path, filesystem: str, controller: str) -> Iterator[Path]:
    """This process's cgroup directory and its parents, up to the mount point of the hierarchy.

    The formats are those of proc(5) and cgroups(7): `/proc/self/cgroup` has lines `ID:CONTROLLERS:PATH` (no
    controllers for v2), `/proc/self/mountinfo` names the part of the hierarchy that is mounted and where.
    """
    paths = []
    for line in read_text(root / "proc/self/cgroup").splitlines():
        controllers, _, named = line.partition(":")[2].partition(":")
        if controller in controllers.split(","):  # v2 has the one line without controllers
            paths.append(PurePosixPath(named))
    for line in read_text(root / "proc/self/mountinfo").splitlines():
        mount = _MOUNT.match(line)
        if not mount or mount["type"] != filesystem:
            continue
        if controller and controller not in mount["options"].split(","):
            continue
        top = root / mount["point"].lstrip("/")
        for path in paths:
            yield top
            # A path outside this namespace (`/../..`) or outside the mounted part has no folder of its own here.
            if ".." not in path.parts and path.is_relative_to(mount["root"]):
                inside = path.relative_to(mount["root"]).parts
                for depth in range(len(inside)):
                    yield top.joinpath(*inside[: depth + 1])


def describe_environment(root: Path = ROOT) -> Environment:
    """The machine and its software. What happens during the capture `attrib.capture.system.machine` adds at its end."""
    return Environment(
        cpu=cpu_model(root),
        logical_cores=os.cpu_count() or 0,
        usable_cores=usable_cores(root),
        affinity=affinity(),
        cpu_quota=min(cpu_quotas(root), default=0.0),
        cpu_flags=cpu_flags(root),
        memory_bytes=memory_bytes(root),
        system=scrub(f"{platform.system()} {platform.release()}".strip()),
        python=platform.python_version(),
        libc=" ".join(platform.libc_ver()).strip(),
        packages=package_versions(),
        accelerators=accelerators(),
        load_before=current_load(),
    )


def current_load(root: Path = ROOT, *, seconds: float = 0.3) -> float:
    """Cores that are busy now, time stolen by other machines on the host included.

    Not the load average, which still counts a capture that ended half a minute ago; it stands in where the system has
    no `/proc/stat`, and 0 where it has neither.
    """
    begin = processor_ticks(root)
    if begin is not None:
        time.sleep(seconds)
        end = processor_ticks(root)
        if end is not None and (total := sum(end.values()) - sum(begin.values())) > 0:
            idle = sum(end[column] - begin[column] for column in ("idle", "iowait"))
            return round((total - idle) / total * (os.cpu_count() or 1), 2)
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return 0.0


def processor_ticks(root: Path, processors: Collection[int] | None = None) -> dict[str, int] | None:
    """Ticks since the system started, by what they were spent on; None where nothing says so.

    Args:
        root: Where `/proc` is, for tests.
        processors: Numbers of those to sum; None for all.
    """
    names = {"cpu"} if processors is None else {f"cpu{number}" for number in processors}
    total: dict[str, int] = {}
    for line in read_text(root / "proc/stat").splitlines():
        name, *fields = line.split() or [""]
        if name not in names:
            continue
        fields = fields[: len(_TICKS)]
        if len(fields) < len(_TICKS) or not all(field.isdecimal() for field in fields):
            return None
        total = {
            column: total.get(column, 0) + int(field) for column, field in zip(_TICKS, fields, strict=True)
        }
    return total or None


def cpu_model(root: Path = ROOT) -> str:
    """The processor's name as the system gives it."""
    for processor in cpuinfo(root):
        for key in ("model name", "Model", "cpu model", "cpu"):  # x86, ARM boards, MIPS, POWER
            if processor.get(key):
                return " ".join(processor[key].split())
    brand = _command("sysctl", "-n", "machdep.cpu.brand_string") if platform.system() == "Darwin" else ""
    return brand or platform.processor() or platform.machine()


def cpu_flags(root: Path = ROOT) -> tuple[str, ...]:
    """Instruction sets of the first processor that matrix products may use; empty where nothing says so."""
    first = next(iter(cpuinfo(root)), {})
    stated = set((first.get("flags") or first.get("Features") or "").split())
    return tuple(flag for flag in MATRIX_FLAGS if flag in stated)


def memory_bytes(root: Path = ROOT) -> int:
    """Memory that this process may use: the machine's, or the smallest limit of the cgroups above it."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        total = 0
    found = re.search(r"^MemTotal:\s*(\d+) kB", read_text(root / "proc/meminfo"), re.MULTILINE)
    machine = int(found[1]) * 1024 if found else total
    texts = [read_text(folder / "memory.max") for folder in cgroup_folders(root, "cgroup2", "")]
    folders = cgroup_folders(root, "cgroup", "memory")
    texts += [read_text(folder / "memory.limit_in_bytes") for folder in folders]
    return min([machine, *(int(text) for text in map(str.strip, texts) if text.isdecimal())])


def package_versions() -> dict[str, str]:
    """Installed versions of the packages that matter, from their metadata."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            # A folder that an uninstallation left behind has no version.
            if version := metadata.version(name):
                versions[name] = version
    return versions


def accelerators() -> tuple[str, ...]:
    """Names of the NVIDIA GPUs with their driver's version, e.g. `NVIDIA H100 80GB HBM3 (driver 570.86)`."""
    output = _command("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader")
    rows = [line.rsplit(",", 1) for line in output.splitlines() if line.count(",")]
    return tuple(f"{name.strip()} (driver {driver.strip()})" for name, driver in rows)


def cpuinfo(root: Path) -> Iterator[dict[str, str]]:
    """The processors as `/proc/cpuinfo` lists them: one mapping a paragraph."""
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
