"""`resume`: go on with a capture that was interrupted, from what its own directory says."""

from pathlib import Path

import msgspec

from attrib.capture.config.progress import NoProgress, Progress
from attrib.capture.config.user_supplied import UserSupplied
from attrib.capture.session.capture import (
    run_session,
    source_of_module,
    with_graph_of,
    with_interpreter,
)
from attrib.capture.session.capture_request import options_to_resume
from attrib.capture.session.checkpoint import Checkpoint
from attrib.capture.session.latencies import Latencies
from attrib.capture.session.session import Session
from attrib.capture.storage.interrupts import Interrupts
from attrib.capture.storage.writer import MANIFEST, TraceWriter, lock_directory
from attrib.capture.workload.handover import Handover
from attrib.capture.workload.sources import resolve_source
from attrib.errors import AttribError
from attrib.model.manifest import ROLES, Manifest
from attrib.traces.directory.manifest_file import check_inside
from attrib.traces.directory.trace_directory import check_file, open_directory

_BEGIN = "begin one: attrib profile --model NAME -o DIR"


def resume(
    root: Path,
    supplied: UserSupplied | None = None,
    *,
    progress: Progress | None = None,
    handover: Handover | None = None,
) -> bool:
    """Measure what an interrupted capture lacks. The rounds, graphs and inputs that it has stay.

    Args:
        root: Its trace directory. It may come from a stranger: no model, file or program is taken from it.
        supplied: What the user names (again); a built-in model needs nothing.
        progress: Who is told how far it is.
        handover: The live module of a capture that had one.

    Returns:
        False where the capture was complete already.

    Raises:
        UsageError: The user has to name something, or names what the capture did not have.
        SideError: One engine could not be measured, again.
        CaptureInterrupted: Ctrl-C or SIGTERM; what was complete is kept, and can be resumed.
        AttribError: The directory holds no capture, or not one of this machine, these versions and this model.
    """
    manifest = _read_manifest(root)
    complete = [role for role in ROLES if role in manifest.sides and manifest.sides[role].state == "complete"]
    if len(complete) == len(ROLES):
        return False
    options = with_interpreter(
        options_to_resume(manifest, supplied or UserSupplied(), live=handover is not None)
    )
    options = msgspec.structs.replace(options, output=root)
    source = source_of_module(options) if handover else resolve_source(options)
    options = with_graph_of(source, options)
    told = progress or NoProgress()

    def make(interrupts: Interrupts) -> Session:
        session = Session(options, source, root, interrupts, told, _open_checkpoint(root))
        session.handover = handover
        return session

    run_session(make)
    return True


def _read_manifest(root: Path) -> Manifest:
    if root.is_dir() and not (root / MANIFEST).exists():
        raise AttribError(f"{root}: holds no capture that could be resumed", hint=_BEGIN)
    manifest = open_directory(root).manifest
    assert manifest is not None  # noqa: S101  (it is there)
    return manifest


def _open_checkpoint(root: Path) -> Checkpoint:
    """Take over what the directory holds, once nobody else writes into it; every file as its manifest has it.

    Raises:
        AttribError: Another capture writes into it, or a file is not what the manifest says.
    """
    lock = lock_directory(root)
    try:
        manifest = _read_manifest(root)  # of the capture that held the lock until now
        directory = TraceWriter(root, existing=manifest)
        directory.hold(lock)
        found = open_directory(root)
        for entry in manifest.files:
            if entry.state == "complete":
                check_file(check_inside(root, entry.path), entry)
        directory.forget_missing()
        directory.clean()
        table = found.latency()
        latencies = Latencies.from_table(table) if table is not None else Latencies()
    except BaseException:
        lock.release()
        raise
    return Checkpoint(
        directory, manifest, latencies, profiled=any(launch.profiled for launch in manifest.launches)
    )
