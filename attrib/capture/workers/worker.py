"""One engine in its own process: `worker ENGINE REPLY_FD FOLDER`.

Two engines in one process disturb each other: ONNX Runtime's spinning pool slowed `torch.mm` from 11.7 to 33.3 ms.
Commands arrive on stdin, replies leave on a pipe of their own; what libraries print goes to stderr, which the parent
keeps to itself. The worker ends when its stdin does, so it cannot outlive its parent; FOLDER is the capture's temporary
folder, which is removed then, because a parent that stops its workers itself kills them.
"""

import importlib
import os
import platform
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import BinaryIO, Protocol

import msgspec

from attrib.capture.workers.messages import Command, Failed, Outputs, Ready, Reply, Run, Steps
from attrib.errors import AttribError, first_line, is_full_disk

_SLICE_S = 0.005
_LIMIT_S = 0.25
_QUIET_SHARE = 0.05


class IdleMeter:
    """Processor time of this process between one reply and the next command."""

    def __init__(self) -> None:
        self.cpu_ns = 0
        self.wall_ns = 0
        self._since = (0, 0)

    def start(self) -> None:
        """The worker has nothing to do from now on."""
        self._since = (time.process_time_ns(), time.perf_counter_ns())

    def stop(self) -> None:
        """A command has come: `cpu_ns` and `wall_ns` are those of the idle time that ends here."""
        cpu, wall = self._since
        self.cpu_ns, self.wall_ns = time.process_time_ns() - cpu, time.perf_counter_ns() - wall

    def settle(self) -> None:
        """Wait until the engine's pools have stopped spinning, so that the other engine gets the cores.

        ONNX Runtime's pool was measured to spin for some 40 ms after a run. To forbid the spinning would change the
        speed that is measured, so it is waited for instead.
        """
        deadline = time.perf_counter() + _LIMIT_S
        while time.perf_counter() < deadline:
            cpu, wall = time.process_time(), time.perf_counter()
            time.sleep(_SLICE_S)
            if time.process_time() - cpu < _QUIET_SHARE * (time.perf_counter() - wall):
                return


ENGINES = {
    "torch": ("attrib.capture.pytorch.engine", "PyTorchEngine"),
    "exporter": ("attrib.capture.export.engine", "ExportEngine"),
    "onnxruntime": ("attrib.capture.ort.engine", "OrtEngine"),
    "ablation": ("attrib.capture.bench.ablation_engine", "AblationEngine"),
}
"""Engine name -> its module, whose import is what makes a worker heavy, and its class."""


class EngineLike(Protocol):
    """What a worker drives: one method for each kind of command that the engine understands."""

    version: str
    handlers: dict[type, Callable[..., Reply]]


def main() -> None:
    """Serve commands until stdin ends."""
    engine_name, reply_fd, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(2, 1)
    code = 1
    try:
        with os.fdopen(reply_fd, "wb") as replies:
            engine = _start(engine_name, replies)
            if engine is not None:
                _serve(engine, sys.stdin.buffer, replies)
        code = 0
    except BrokenPipeError:
        pass  # the parent was killed while this worker was busy
    except BaseException:  # noqa: BLE001  (the parent shows the end of stderr)
        traceback.print_exc()
    shutil.rmtree(folder, ignore_errors=True)
    # Interpreters with engines loaded can hang or crash while they unload; everything is written by now.
    os._exit(code)


def _start(engine_name: str, replies: BinaryIO) -> EngineLike | None:
    """Import the engine and say that it is ready."""
    try:
        module, name = ENGINES[engine_name]
        engine: EngineLike = getattr(importlib.import_module(module), name)()
    except Exception as error:  # noqa: BLE001  (any failure to import an engine is reported to the parent)
        _send(replies, failure(error))
        return None
    package = getattr(engine, "package", "")
    _send(replies, Ready(version=engine.version, package=package, python=platform.python_version()))
    return engine


def _serve(engine: EngineLike, commands: BinaryIO, replies: BinaryIO) -> None:
    decode = msgspec.json.Decoder(Command).decode
    idle = IdleMeter()
    for line in commands:
        command = decode(line)
        idle.stop()
        reply = _answer(engine, command)
        if isinstance(command, Run | Outputs):
            idle.settle()
        if isinstance(command, Run) and isinstance(reply, Steps):
            reply = msgspec.structs.replace(reply, idle_cpu_ns=idle.cpu_ns, idle_wall_ns=idle.wall_ns)
        idle.start()
        _send(replies, reply)


def _answer(engine: EngineLike, command: Command) -> Reply:
    try:
        return engine.handlers[type(command)](command)
    except Exception as error:  # noqa: BLE001  (the parent decides what a failure means)
        return failure(error)


def failure(error: Exception) -> Failed:
    """The reply for an exception: the user's errors as they are, others with their type in front."""
    details = "".join(traceback.format_exception(error))
    if is_full_disk(error):
        hint = "free some space, or name a larger disk: TMPDIR=/path attrib profile ..."
        return Failed(message="there is no space left for a temporary file", hint=hint, details=details)
    if isinstance(error, AttribError):
        return Failed(message=str(error), hint=error.hint, exit_code=error.exit_code, details=details)
    return Failed(message=first_line(error), details=details)


def _send(replies: BinaryIO, reply: Reply) -> None:
    replies.write(msgspec.json.encode(reply) + b"\n")
    replies.flush()
