"""`capture`: run both engines on one workload and write a trace directory."""

import contextlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from attrib.capture.config.options import check_options
from attrib.capture.config.progress import NoProgress, Progress
from attrib.capture.session.commands import providers_of
from attrib.capture.session.session import Session
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.storage.writer import MANIFEST
from attrib.capture.system.interpreter import check_interpreter
from attrib.capture.workers.process import WorkerError
from attrib.capture.workload.handover import Handover
from attrib.capture.workload.sources import Source, resolve_source
from attrib.errors import AttribError, UsageError
from attrib.model.capture_options import CaptureOptions


class SideError(AttribError):
    """One engine could not be measured; the other's part of the directory is complete.

    Attributes:
        directory: The trace directory.
        details: The worker's traceback, where there is one.
    """

    def __init__(self, engine: str, error: AttribError, directory: Path, *, measured: bool = False) -> None:
        what = "what was measured" if measured else "the engine that ran"
        shown = f"`attrib report {directory}` shows {what}, `attrib profile --resume {directory}` tries again"
        hint = f"{error.hint}; {shown}" if error.hint else shown
        ended = "did not get to its end" if measured else "was not measured"
        super().__init__(f"{engine} {ended}: {error}", hint=hint)
        self.directory = directory
        self.details = error.details if isinstance(error, WorkerError) else ""


class CaptureInterrupted(KeyboardInterrupt):
    """The user stopped the capture.

    Attributes:
        directory: The trace directory, where something complete is in it; None where nothing was kept.
        message: One line: what is usable.
        hint: How to go on.
    """

    def __init__(self, directory: Path | None, message: str, hint: str) -> None:
        super().__init__(message)
        self.directory = directory
        self.message = message
        self.hint = hint


def capture(
    options: CaptureOptions, *, progress: Progress | None = None, handover: Handover | None = None
) -> Path:
    """Run both engines on one workload and write a trace directory.

    Args:
        options: What to run and how.
        progress: Who is told how far it is.
        handover: A live module with its inputs, instead of a model to be found; `options.model` is then its name.

    Returns:
        The trace directory.

    Raises:
        UsageError: The options contradict each other.
        SideError: One engine could not be measured; the directory holds the other.
        CaptureInterrupted: Ctrl-C or SIGTERM; what was complete is kept.
        AttribError: Nothing could be measured.
    """
    check_options(options)
    options = with_interpreter(options)
    source = source_of_module(options) if handover else resolve_source(options)
    options = with_graph_of(source, options)
    output = options.output or default_output(source)
    told = progress or NoProgress()

    def make(interrupts: Interrupts) -> Session:
        session = Session(options, source, output, interrupts, told)
        session.handover = handover
        return session

    return run_session(make)


def with_interpreter(options: CaptureOptions) -> CaptureOptions:
    """The options with the absolute path of the interpreter for ONNX Runtime, checked where there is one.

    Raises:
        AttribError: It cannot run ONNX Runtime's worker.
    """
    if options.ort_python is None:
        return options
    path = check_interpreter(options.ort_python, providers_of(options))
    return msgspec.structs.replace(options, ort_python=path)


def source_of_module(options: CaptureOptions) -> Source:
    """The source of a live module, which has only a name."""
    return Source(kind="saved", location="", model=options.model, source="module")


def with_graph_of(source: Source, options: CaptureOptions) -> CaptureOptions:
    """The options with the ONNX file that the source brings, where it brings one.

    Raises:
        UsageError: An option says how to export, and nothing is exported.
    """
    if source.onnx is None:
        return options
    found = msgspec.structs.replace(options, onnx=source.onnx)
    check_options(found)
    return found


def run_session(make: Callable[[Interrupts], Session]) -> Path:
    """Run a capture, a new one or one that goes on.

    Args:
        make: Makes it; what it began is undone where it cannot be made.

    Returns:
        The trace directory.
    """
    with Interrupts() as interrupts, contextlib.ExitStack() as stack:
        with interrupts.defer():
            session = make(interrupts)
            # Interrupts raise once, so where one cuts the first call short, the second one is whole.
            stack.callback(session.close)
            stack.callback(session.close)
        _run(session, interrupts)
    output = session.directory.root
    for role, error in session.sides.failures.items():
        measured = role in session.traces_written or bool(
            session.checkpoint and session.checkpoint.is_measured
        )
        raise SideError(session.sides.title(role), error, output, measured=measured)
    return output


def _run(session: Session, interrupts: Interrupts) -> None:
    try:
        session.run()
    except KeyboardInterrupt as error:
        with interrupts.defer(forget=True):
            session.keep_what_is_complete()
        raise CaptureInterrupted(*_describe_what_is_left(session)) from error
    except UsageError:
        with interrupts.defer(forget=True):
            if session.checkpoint is None:
                session.directory.withdraw()
        raise
    except AttribError:
        with interrupts.defer(forget=True):
            session.keep_what_is_complete()
        raise


def _describe_what_is_left(session: Session) -> tuple[Path | None, str, str]:
    """The directory, what is in it, and how to go on."""
    root = session.directory.root
    if not (root / MANIFEST).is_file() or session.directory.replaces:
        return (
            None,
            "interrupted before anything was measured; nothing was kept",
            "the same command again",
        )
    again = f"`attrib profile --resume {root}`"
    if not session.latencies.rounds("plain"):
        return (
            root,
            f"interrupted before anything was measured; {root} holds the inputs and the graphs so far",
            f"{again} for the rest",
        )
    return (
        root,
        f"interrupted; {root} holds what was measured",
        f"`attrib report {root}`, or {again} for the rest",
    )


def default_output(source: Source) -> Path:
    """`attrib-<model>-<date>-<time>`, in the current directory."""
    name = re.sub(r"[^\w.-]+", "-", source.model.rsplit("/", 1)[-1]).strip("-.") or "model"
    return Path(f"attrib-{name}-{datetime.now(UTC).astimezone():%Y%m%d-%H%M%S}")
