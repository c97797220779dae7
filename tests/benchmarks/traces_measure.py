"""Runs readers in processes of their own, interleaved, and keeps what each run took."""

import contextlib
import json
import math
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import msgspec
from peers import ATTRIB, READERS
from recordings import CHUNK

HERE = Path(__file__).resolve().parent
POLL_S = 0.03

Way = Literal["plain", "gzip", "zstd", "pipe"]


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One read: wall and processor seconds, peak bytes, events; or why there is none of this."""

    seconds: float = math.nan
    processor: float = math.nan
    peak: int = 0
    entries: int | None = None
    complete: int | None = None
    error: str = ""


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One reader on one file, under one interpreter."""

    reader: str
    file: Path
    python: str
    way: Way = "plain"

    @property
    def label(self) -> str:
        """What the tables call it."""
        return self.reader if self.way == "plain" else f"{self.reader}, {self.way}"


class Limits(msgspec.Struct, frozen=True):
    """What one read may take, and how long one reader may take on one file in all before its repeats are cut."""

    seconds: float
    memory: int
    patience: float


def missing(python: str, names: list[str]) -> list[str]:
    """Readers among these whose package an interpreter does not have."""
    asked = {name: READERS[name].package for name in names}
    code = (
        "import importlib.util, json, sys; wanted = json.loads(sys.argv[1]);"
        "print(json.dumps([n for n, p in wanted.items() if importlib.util.find_spec(p) is None]))"
    )
    command = [python, "-c", code, json.dumps(asked)]
    done = subprocess.run(command, capture_output=True, check=True, cwd=HERE.parents[1])
    return json.loads(done.stdout)


def warm(file: Path) -> None:
    """Read the file once, so that every reader finds it in the page cache."""
    with file.open("rb") as stream:
        while stream.read(CHUNK):
            pass


def measure(task: Task, limits: Limits) -> Sample:
    """One read in a process of its own."""
    warm(task.file)
    file = Path("/dev/stdin") if task.way == "pipe" else task.file
    command = [task.python, str(HERE / "peers_read.py"), "--reader", task.reader, "--file", str(file)]
    command += ["--memory", str(limits.memory)]
    with _standard_input(task) as stdin:
        process = subprocess.Popen(
            command, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=_quiet()
        )
        with Watch(process.pid) as watch:
            try:
                out, err = process.communicate(timeout=limits.seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return Sample(error=f"more than {limits.seconds:.0f} s")
    return sample_from(out, err, process.returncode, watch.peak)


@contextlib.contextmanager
def _standard_input(task: Task) -> Iterator[int]:
    """The file through a pipe, where that is what is measured."""
    if task.way != "pipe":
        yield subprocess.DEVNULL
        return
    with subprocess.Popen(["cat", str(task.file)], stdout=subprocess.PIPE) as source:
        assert source.stdout is not None
        try:
            yield source.stdout.fileno()
        finally:
            source.kill()


def _quiet() -> dict[str, str]:
    """One set of warnings fewer, and hash seeds alike."""
    return {**os.environ, "PYTHONWARNINGS": "ignore", "PYTHONHASHSEED": "0"}


def sample_from(out: bytes, err: bytes, code: int, tree_peak: int) -> Sample:
    """What a process printed, or how it ended."""
    if code == -9:
        return Sample(error="out of memory")
    if code:
        lines = err.decode(errors="replace").strip().splitlines() or [f"exit code {code}"]
        return Sample(error="out of memory" if "MemoryError" in lines[-1] else lines[-1][:150])
    sample = msgspec.json.decode(out.splitlines()[-1], type=Sample)
    return msgspec.structs.replace(sample, peak=max(sample.peak, tree_peak))


class Watch:
    """Memory of a process together with its children, where it has any: Linux's proportional share of each."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _follow(self) -> None:
        while not self._end.wait(POLL_S):
            family = list(_family(self._pid))
            if len(family) > 1:
                self.peak = max(self.peak, sum(map(_share, family)))


def _family(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for listed in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in listed.read_text().split():
                yield from _family(int(child))


def _share(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


Samples = dict[str, list[Sample | None]]
"""By label: one entry a round, None where the reader sat that round out."""


def rounds(tasks: list[Task], repeats: int, limits: Limits, say: Callable[[str], None]) -> Samples:
    """Every task once a round, in another order each round."""
    samples: Samples = {task.label: [] for task in tasks}
    for number in range(repeats):
        for task in in_turn(tasks, number):
            found = samples[task.label]
            if not is_due(task, found, limits.patience):
                found.append(None)
                continue
            begin = time.perf_counter()
            found.append(sample := measure(task, limits))
            told = sample.error or f"{sample.seconds:.2f} s, {sample.peak / 1e6:.0f} MB"
            say(f"  {number + 1}/{repeats} {task.label}: {told} ({time.perf_counter() - begin:.0f} s in all)")
    return samples


def in_turn(tasks: list[Task], number: int) -> list[Task]:
    """The order of one round: attrib's reads together in the middle, near all the others, which move on by one."""
    ours = [task for task in tasks if task.reader == ATTRIB]
    others = [task for task in tasks if task.reader != ATTRIB]
    shift, middle = number % max(1, len(others)), len(others) // 2
    others = others[shift:] + others[:shift]
    return others[:middle] + (ours[::-1] if number % 2 else ours) + others[middle:]


def is_due(task: Task, found: list[Sample | None], patience: float) -> bool:
    """Whether a task runs again: attrib always; another as long as it works, and would not exceed the patience."""
    past = [sample for sample in found if sample is not None]
    if not past or task.reader == ATTRIB:
        return True
    spent = sum(sample.seconds for sample in past)
    return not past[-1].error and spent + past[-1].seconds <= patience
