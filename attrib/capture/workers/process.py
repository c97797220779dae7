"""The parent's end of a worker process."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from attrib.capture.system.interpreter import foreign_environment
from attrib.capture.workers.messages import Command, Failed, Ready, Reply
from attrib.errors import AttribError, InternalError, UsageError

_ROOT = str(Path(__file__).resolve().parents[3])
_START = (
    "import sys; sys.path.append(sys.argv.pop(1)); from attrib.capture.workers.worker import main; main()"
)
"""`-P` and this, not `-m`: a `profile.py` in the user's directory must not replace a module that the engines import."""

_START_ELSEWHERE = """
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
spec = PathFinder.find_spec("attrib", [sys.argv.pop(1)])
sys.modules["attrib"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["attrib"])
from attrib.capture.workers.worker import main
main()
"""
"""Another interpreter gets attrib and nothing else from here: what lies beside attrib was built for this one."""

_TAIL_LINES = 40
_GRACE_S = 2.0

R = TypeVar("R", bound=Reply)


class WorkerError(AttribError):
    """A worker could not do what it was told, or died.

    Attributes:
        details: Its traceback or the end of what it printed, for `ATTRIB_DEBUG`.
    """

    def __init__(self, message: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(message, hint=hint)
        self.details = details


class WorkerTimeout(WorkerError):  # noqa: N818  (its name says what happened)
    """A worker gave no answer in time, and was killed."""


class Worker:
    """One engine in its own process, session and process group: the terminal's Ctrl-C does not reach it."""

    def __init__(
        self,
        engine: str,
        environment: Mapping[str, str],
        interpreter: str = sys.executable,
        *,
        timeout_s: float | None = None,
        hear: Callable[[str, str], None] | None = None,
    ) -> None:
        """Start it.

        Args:
            engine: What it runs.
            environment: Its variables.
            interpreter: What runs it; another than this one must have what the engine imports: see `check_interpreter`.
            timeout_s: The longest wait for an answer; None for ever.
            hear: Is told each line that it prints, with the name of the engine.
        """
        self.engine = engine
        self.facts: Ready | None = None
        own = interpreter == sys.executable
        self._timeout_s = timeout_s
        self._hear = hear
        read_end, write_end = os.pipe()
        try:
            start = [interpreter, "-P", "-c", _START if own else _START_ELSEWHERE]
            self._process = subprocess.Popen(  # noqa: S603  (an interpreter that the user chose, this package)
                [*start, _ROOT, engine, str(write_end), environment["TMPDIR"]],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=(write_end,),
                start_new_session=True,
                env=dict(environment) if own else foreign_environment(environment),
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._reply_fd = read_end
        self._stopped = False
        self._unread = b""
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._drain = threading.Thread(target=self._keep_tail, daemon=True)
        self._drain.start()

    @property
    def pid(self) -> int:
        """The process, which leads its own group."""
        return self._process.pid

    def _keep_tail(self) -> None:
        """Read everything that libraries print, so that the worker never blocks on it; keep the last lines."""
        stream = self._process.stderr
        assert stream is not None  # noqa: S101  (Popen was given a pipe)
        with contextlib.suppress(ValueError, OSError):
            for line in stream:
                text = line[:2000].decode(errors="replace").rstrip()
                self._tail.append(text)
                if self._hear is not None and text:
                    with contextlib.suppress(
                        ValueError, OSError
                    ):  # whoever listened is gone; the worker goes on
                        self._hear(self.engine, text)

    def ready(self) -> str:
        """Wait until the engine is imported; returns its version. `facts` holds what else it says of itself."""
        self.facts = self.receive(Ready)
        return self.facts.version

    def send(self, command: Command) -> None:
        """Give a command; its reply is fetched by `receive`."""
        assert self._process.stdin is not None  # noqa: S101  (Popen was given a pipe)
        try:
            self._process.stdin.write(msgspec.json.encode(command) + b"\n")
            self._process.stdin.flush()
        except (BrokenPipeError, OSError) as error:
            raise self._explain_death() from error

    def receive(self, kind: type[R]) -> R:
        """Wait for the reply to the oldest command that has none yet.

        Raises:
            WorkerError: The worker could not do it, or died.
            WorkerTimeout: It gave no answer in time.
        """
        deadline = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        line = self._read_line(deadline)
        if line is None:
            raise self._explain_silence(deadline)
        reply = msgspec.json.decode(line, type=Reply)
        if isinstance(reply, kind):
            return reply
        if not isinstance(reply, Failed):
            raise InternalError(
                f"the {self.engine} worker answered {type(reply).__name__}, not {kind.__name__}"
            )
        if reply.exit_code == UsageError.exit_code:
            raise UsageError(reply.message, hint=reply.hint)
        raise WorkerError(reply.message, hint=reply.hint, details=reply.details)

    def ask(self, command: Command, kind: type[R]) -> R:
        """Give a command and wait for its reply."""
        self.send(command)
        return self.receive(kind)

    def last_words(self, command: Command, kind: type[R], seconds: float) -> R | None:
        """Give a last command after an interruption: replies that are still due are skipped, failures ignored."""
        if self._stopped:
            return None
        deadline = time.monotonic() + seconds
        with contextlib.suppress(WorkerError):
            self.send(command)
            while (line := self._read_line(deadline)) is not None:
                reply = msgspec.json.decode(line, type=Reply)
                if isinstance(reply, kind):
                    return reply
        return None

    def _read_line(self, deadline: float | None) -> bytes | None:
        """The next line of the worker; None where it ended, or said nothing before the deadline."""
        while b"\n" not in self._unread:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([self._reply_fd], [], [], left)[0]:
                return None
            data = os.read(self._reply_fd, 1 << 16)
            if not data:
                return None
            self._unread += data
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _explain_silence(self, deadline: float | None) -> WorkerError:
        """The error for an answer that did not come; a worker that hangs cannot be used any more, and is killed."""
        if deadline is None or time.monotonic() < deadline or self._process.poll() is not None:
            return self._explain_death()
        self.stop()
        details = "\n".join(self._tail)
        return WorkerTimeout(
            f"the {self.engine} process gave no answer within {self._timeout_s:g} s",
            hint="--timeout with more seconds, or --timeout 0 for no limit, where it was only slow",
            details=details,
        )

    def _explain_death(self) -> WorkerError:
        """The error for a worker that has ended, with the last line that it printed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S)
        self._drain.join(_GRACE_S)
        code = self._process.returncode
        last = next((line for line in reversed(self._tail) if line.strip()), "")
        how = f"ended with code {code}"
        if code is not None and code < 0:
            known = {number.value: number.name for number in signal.Signals}
            how = f"was killed by {known.get(-code, f'signal {-code}')}"
        out_of_memory = code == -signal.SIGKILL
        hint = (
            "it may have run out of memory: try a smaller --batch-size or --seq-len" if out_of_memory else ""
        )
        message = f"the {self.engine} process {how}" + (f": {last}" if last and not out_of_memory else "")
        return WorkerError(message, hint=hint, details="\n".join(self._tail))

    def stop(self) -> None:
        """End the worker and everything it started; never raises, and can be called twice."""
        if self._stopped:
            return
        self._stopped = True
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        self._process.wait()
        self._drain.join(_GRACE_S)
        if self._process.stderr is not None:
            self._process.stderr.close()
        with contextlib.suppress(OSError):
            os.close(self._reply_fd)


def stop_all(workers: Iterable[Worker]) -> None:
    """End every worker, each even where another cannot be ended."""
    with contextlib.ExitStack() as stack:
        for worker in workers:
            stack.callback(worker.stop)


def worker_environment(temporary: Path, *, offline: bool) -> dict[str, str]:
    """A worker's environment: what it puts into its temporary folder goes with the capture's."""
    from attrib.capture.workers.silence import ENVIRONMENT

    own = {"TMPDIR": str(temporary), "TORCHINDUCTOR_CACHE_DIR": str(temporary / "inductor")}
    hub = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"} if offline else {}
    return os.environ | ENVIRONMENT | own | hub
