"""Ends a killed capture's workers and removes its temporary folder: `watchdog.py FOLDER`, a process of its own.

A SIGKILL gives the parent no chance to clean up, and a worker that is inside a long native call notices nothing. This
process sleeps on a pipe that only the parent writes to: `+PID` for a worker that was started, `-PID` for one that is
being stopped. When the pipe ends, the parent is gone, and so is what is left. It imports nothing of attrib, and starts
in some 10 ms.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable

_ATTEMPTS_S = 20.0
_PAUSE_S = 0.05


def watch(lines: Iterable[str], folder: str) -> None:
    """Follow the parent until it is gone, then clean up; where it has cleaned up itself, there is nothing to do."""
    running: set[int] = set()
    for line in lines:
        pid = int(line[1:])
        (running.add if line[0] == "+" else running.discard)(pid)
    for pid in filter(None, running):  # 0 would be this process's own group
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)  # what a worker has started ends with it
    deadline = time.monotonic() + _ATTEMPTS_S
    while os.path.isdir(folder) and time.monotonic() < deadline:  # noqa: PTH112  (pathlib takes longer to import)
        shutil.rmtree(folder, ignore_errors=True)  # a process that is being killed may still write
        time.sleep(_PAUSE_S)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(sys.stdin, sys.argv[1])
