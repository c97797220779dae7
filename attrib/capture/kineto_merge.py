"""Several Kineto files of one process, one a profiled block, as one file without names of people, hosts or paths."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec

_KEPT_METADATA = frozenset({"process_name", "process_labels", "process_sort_index", "thread_name"})
_LABELS = {"process_name": {"name": "python"}, "process_labels": {"labels": ""}}


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


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


_kind = msgspec.json.Decoder(_Kind).decode
_event = msgspec.json.Decoder(dict[str, Any]).decode


def merge_kineto(files: Sequence[Path], stream: _Sink) -> None:
    """Write the events of every file into one; each event is copied as it stands, unread.

    Args:
        files: Kineto JSON files that share a process, in order of time.
        stream: Where the merged file goes.
    """
    base = 0
    written: set[bytes] = set()
    for position, file in enumerate(files):
        trace = msgspec.json.decode(file.read_bytes(), type=_File)
        if position == 0:
            base = trace.baseTimeNanoseconds
            stream.write(_head(trace))
        shift_us = (trace.baseTimeNanoseconds - base) / 1000
        for event in _events(trace, shift_us, written):
            stream.write(b",\n" + event)
    stream.write(b"\n]}\n")


def _head(trace: _File) -> bytes:
    top = {
        "schemaVersion": trace.schemaVersion,
        "deviceProperties": trace.deviceProperties,
        "displayTimeUnit": trace.displayTimeUnit,
        "baseTimeNanoseconds": trace.baseTimeNanoseconds,
        "record_shapes": 1,
    }
    # The list begins with a metadata event of our own, so that every other one can be preceded by a comma.
    first = {"ph": "M", "name": "attrib", "pid": 0, "tid": 0, "ts": 0, "args": {}}
    return msgspec.json.encode(top)[:-1] + b',"traceEvents":[\n' + msgspec.json.encode(first)


def _events(trace: _File, shift_us: float, written: set[bytes]) -> Iterator[bytes]:
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
            yield _shifted(raw, shift_us) if shift_us else bytes(raw)


def _metadata(raw: msgspec.Raw, kind: _Kind) -> bytes:
    """Names of tracks, without what the process was called; empty for other metadata."""
    if kind.name not in _KEPT_METADATA:
        return b""
    event = _event(raw) | {"ts": 0}
    event["args"] = _LABELS.get(kind.name, event.get("args", {}))
    return msgspec.json.encode(event)


def _shifted(raw: msgspec.Raw, shift_us: float) -> bytes:
    event = _event(raw)
    event["ts"] += shift_us
    return msgspec.json.encode(event)
