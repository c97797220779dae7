"""Starts captures quickly: a process that has imported everything forks one for each line that it reads.

`fault_launcher.py` reads jobs as JSON lines and answers each with the pid of the process and, when that has ended, with
how it ended.
"""

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet  # noqa: F401  (each capture writes with it)
from onnx import helper  # noqa: F401

from attrib.capture import CaptureInterrupted, CaptureOptions, SideError, UserSupplied, capture, resume
from attrib.capture.workers import process
from attrib.errors import AttribError

CODES = {"captured": 0, "complete": 10, "side": 4, "error": 3, "interrupted": 130}


def main() -> None:
    """Serve until the jobs end."""
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(job)
        _say({"pid": pid})
        _, status = os.waitpid(pid, 0)
        _say({"code": os.waitstatus_to_exitcode(status)})


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _child(job: dict[str, Any]) -> None:
    code = 70
    try:
        code = _run(job)
    finally:
        os._exit(code)


def _run(job: dict[str, Any]) -> int:
    os.environ.update(job.get("environment", {}))
    os.environ["TMPDIR"] = job["tmp"]
    log = os.open(job["log"], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    os.dup2(log, 2)
    os.dup2(log, 1)
    if job.get("fake"):
        from fault_engines import GRAPH, START, graph

        os.environ[GRAPH] = graph().hex()
        process._START = START
    if "die_at" in job:
        _die_at(job["die_at"], job["count"])
    try:
        return CODES[_act(job)]
    except SideError as error:
        _note(error)
        return CODES["side"]
    except AttribError as error:
        _note(error)
        return CODES["error"]
    except CaptureInterrupted as stop:
        sys.stderr.write(f"{stop.message}\n  try: {stop.hint}\n")
        sys.stderr.flush()
        return CODES["interrupted"]


def _note(error: AttribError) -> None:
    sys.stderr.write(f"attrib: error: {error}\n  try: {error.hint}\n")
    sys.stderr.flush()


def _act(job: dict[str, Any]) -> str:
    out = Path(job["out"])
    if job["act"] == "resume":
        return "captured" if resume(out, UserSupplied(model=job["model"])) else "complete"
    capture(CaptureOptions(model=job["model"], output=out, **job.get("options", {})))
    return "captured"


def _die_at(number: int, count: str) -> None:
    """End like a power cut just before a call that changes the disk; each call is counted in a file's length."""
    seen = 0

    def counted(call: Any) -> Any:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return wrapped

    for name in ("fsync", "replace", "unlink", "rmdir", "mkdir"):
        setattr(os, name, counted(getattr(os, name)))

    _counts(count, lambda: seen)


def _counts(path: str, seen: Any) -> None:
    """Leave the number of calls behind where the capture ends by itself."""
    exit_now = os._exit

    def leaving(code: int) -> None:
        Path(path).write_text(str(seen()))
        exit_now(code)

    os._exit = leaving  # type: ignore[assignment]


if __name__ == "__main__":
    main()
