# ruff: noqa: T201, BLE001 - a command that reports every exception
"""Runs attrib on many directories in one process, each under a stopwatch, and notes what it opened and how it ended.

    python hostile_batch.py JOBS.json: a list of {"name", "args", "stdout"}; prints one line of JSON a job.

The whole process runs under RLIMIT_AS. A job that does not end is interrupted by an alarm, or, where it sits in C code, by
the parent's own limit: the line that announces a job tells which one.
"""

import gc
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

MEMORY = 3 << 30
SECONDS = 20

opened: list[str] = []


def note_opened(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook: what was opened or listed, links resolved."""
    if event in ("open", "os.listdir", "os.scandir") and args and isinstance(args[0], str | bytes):
        opened.append(os.path.realpath(os.fsdecode(args[0])))


def too_long(*_: object) -> None:
    raise TimeoutError("the job does not end")


def run(args: list[str]) -> int:
    """One command line, as `python -m attrib` runs it; -1 for an escaped exception, -2 for no end, -3 for no memory."""
    from attrib.cli.main import run as attrib

    signal.alarm(SECONDS)
    try:
        return attrib(args)
    except TimeoutError:
        return -2
    except Exception as error:
        traceback.print_exc()
        return -3 if isinstance(error, MemoryError) else -1
    finally:
        signal.alarm(0)


def job(args: list[str], folder: Path) -> dict[str, Any]:
    """Run one job with its output in files, and measure it."""
    gc.enable()
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _peak()
    opened.clear()
    began = time.monotonic()
    with _Captured(folder / "stdout", sys.stdout), _Captured(folder / "stderr", sys.stderr):
        code = run(args)
    seen = sorted(set(opened))
    return {
        "code": code,
        "seconds": time.monotonic() - began,
        "memory": _peak() - before,
        "opened": seen,
    }


class _Captured:
    """File descriptors 1 and 2 in a file: C code writes there too."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        self._path, self._stream = path, stream

    def __enter__(self) -> None:
        self._stream.flush()
        self._saved = os.dup(self._stream.fileno())
        with self._path.open("wb") as file:
            os.dup2(file.fileno(), self._stream.fileno())

    def __exit__(self, *_: object) -> None:
        self._stream.flush()
        os.dup2(self._saved, self._stream.fileno())
        os.close(self._saved)


def _peak() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


def main() -> None:
    jobs = json.loads(Path(sys.argv[1]).read_bytes())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, too_long)
    import attrib.api  # so that the first job pays for no import
    import attrib.report.html.page
    import attrib.traces.directory.latency_file  # noqa: F401

    sys.addaudithook(note_opened)
    for item in jobs:
        print(json.dumps({"begins": item["name"]}), flush=True)
        done = job(item["args"], Path(item["folder"]))
        print(json.dumps({"name": item["name"], **done}), flush=True)


if __name__ == "__main__":
    main()
