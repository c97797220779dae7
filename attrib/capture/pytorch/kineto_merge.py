"""Several Kineto files of one process, one a profiled block, as one file without names of people, hosts or paths.

A kernel and the runtime call that launched it share a correlation number. Where CUPTI was torn down between two blocks
its numbers begin anew, and a kernel of one block would seem to belong to calls of both: the later block's are raised.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import msgspec

from attrib.analysis.attribution.host.torch_kernels import is_wrapper
from attrib.traces.recording.clocks import is_run_range
from attrib.traces.recording.recording import RANGE

_KEPT_METADATA = frozenset({"process_name", "process_labels", "process_sort_index", "thread_name"})
_LABELS = {"process_name": {"name": "python"}, "process_labels": {"labels": ""}}
_DEVICE_LABEL = re.compile(r"GPU \d+")
"""How Kineto labels the rows of each device; any other label may be somebody's own."""
_LINKS = frozenset({"ac2g", "async_cpu_to_gpu"})
"""Categories of the arrows from a call to its kernel; an arrow's `id` is their correlation number."""
_RANGES = frozenset({"user_annotation", "gpu_user_annotation"})
UNNAMED = "(range)"
"""What is left of the name of a range that the model itself marks."""


class _File(msgspec.Struct):
    """The top level of a Kineto file; everything not named here (host, user, environment, path) is left behind."""

    traceEvents: list[msgspec.Raw]  # noqa: N815  (the file's own spelling)
    schemaVersion: int = 1  # noqa: N815
    deviceProperties: list[Any] = []  # noqa: N815
    baseTimeNanoseconds: int = 0  # noqa: N815
    displayTimeUnit: str = "ms"  # noqa: N815


class _Kind(msgspec.Struct):
    ph: str = ""
    cat: str = ""
    name: str = ""


class _Args(msgspec.Struct, frozen=True):
    correlation: int = 0


class _Linked(msgspec.Struct):
    args: _Args = _Args()


@dataclass(frozen=True, slots=True)
class _Moves:
    """What is added to the events of one file.

    Attributes:
        us: To their times.
        ids: To their correlation numbers and `External id`.
    """

    us: float
    ids: int


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


_kind = msgspec.json.Decoder(_Kind).decode
_linked = msgspec.json.Decoder(_Linked).decode
_event = msgspec.json.Decoder(dict[str, Any]).decode


def merge_kineto(files: Sequence[Path], stream: _Sink) -> None:
    """Write the events of every file into one; each event is copied as it stands, unread.

    Args:
        files: Kineto JSON files that share a process, in order of time.
        stream: Where the merged file goes.
    """
    base = highest = 0
    written: set[bytes] = set()
    for position, file in enumerate(files):
        trace = msgspec.json.decode(file.read_bytes(), type=_File)
        if position == 0:
            base = trace.baseTimeNanoseconds
            top = {
                "schemaVersion": trace.schemaVersion,
                "deviceProperties": trace.deviceProperties,
                "displayTimeUnit": trace.displayTimeUnit,
                "baseTimeNanoseconds": base,
                "record_shapes": 1,
            }
            # The list begins with an event of our own, so that every other one can be preceded by a comma.
            first = {"ph": "M", "name": "attrib", "pid": 0, "tid": 0, "ts": 0, "args": {}}
            head = msgspec.json.encode(top)[:-1] + b',"traceEvents":[\n' + msgspec.json.encode(first)
            stream.write(head)
        moves = _Moves(us=(trace.baseTimeNanoseconds - base) / 1000, ids=0)
        if span := _correlations(trace):
            moves = replace(moves, ids=max(0, highest + 1 - span[0]))
            highest = span[1] + moves.ids
        for event in _events(trace, moves, written):
            stream.write(b",\n" + event)
    stream.write(b"\n]}\n")


def _correlations(trace: _File) -> tuple[int, int] | None:
    """The lowest and the highest correlation number; None where the file has none, as on the CPU."""
    if not any(b'"correlation"' in bytes(raw) for raw in trace.traceEvents):
        return None
    used = []
    for raw in trace.traceEvents:
        try:
            number = _linked(raw).args.correlation
        except msgspec.ValidationError:  # of another type
            continue
        if number > 0:
            used.append(number)
    return (min(used), max(used)) if used else None


def _events(trace: _File, moves: _Moves, written: set[bytes]) -> Iterator[bytes]:
    moved = bool(moves.us or moves.ids)
    for raw in trace.traceEvents:
        kind = _kind(raw)
        if kind.ph == "M":
            if (data := _metadata(raw, kind)) and data not in written:
                written.add(data)
                yield data
        elif kind.cat == "Trace" or kind.ph == "i":
            # The profiler's own spans and window marks; one a block would look like several captures.
            continue
        else:
            event = _shift(raw, kind, moves) if moved else bytes(raw)
            yield _unnamed(event) if kind.cat in _RANGES and not _is_known(kind.name) else event


def _metadata(raw: msgspec.Raw, kind: _Kind) -> bytes:
    """Names of tracks, without what the process was called; empty for other metadata."""
    if kind.name not in _KEPT_METADATA:
        return b""
    event = _event(raw) | {"ts": 0}
    args = event.get("args", {})
    if not _DEVICE_LABEL.fullmatch(str(args.get("labels", ""))):
        args = _LABELS.get(kind.name, args)
    event["args"] = args
    return msgspec.json.encode(event)


def _is_known(name: str) -> bool:
    """Whether attrib or torch names a range so; any other name is the model's, and its words may be anything."""
    return is_run_range(name) or RANGE.match(name) is not None or is_wrapper(name)


def _unnamed(data: bytes) -> bytes:
    event = _event(data)
    event["name"] = UNNAMED
    return msgspec.json.encode(event)


def _shift(raw: msgspec.Raw, kind: _Kind, moves: _Moves) -> bytes:
    """The event with its times and numbers moved."""
    event = _event(raw)
    event["ts"] += moves.us
    if moves.ids and kind.cat in _LINKS:
        event["id"] += moves.ids
    args = event.get("args", {})
    for key in ("correlation", "External id"):
        if moves.ids and isinstance(args.get(key), int) and args[key] > 0:
            args[key] += moves.ids
    return msgspec.json.encode(event)
