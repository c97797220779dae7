"""Recognizes the format of a trace by what it holds, not by its name."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attrib.errors import AttribError
from attrib.model.events import Format
from attrib.traces.formats.facts import WANTED
from attrib.traces.io.recovery import LenientStream
from attrib.traces.io.source import Allowance, Progress, open_source
from attrib.traces.io.stream import EventStream

_NAMES: dict[Format, str] = {"kineto": "a Kineto trace", "ort-profile": "an ONNX Runtime profile"}
# Categories of ORT's profiler. No Kineto version has used them, and inside a string the quotes would be
# escaped.
_ORT_CATEGORY = re.compile(rb'"cat"\s*:\s*"(?:Session|Node)"')

_PHASE = re.compile(rb'"ph"\s*:')


@contextmanager
def open_trace(
    path: Path | BinaryIO,
    expected: Format | None = None,
    *,
    lenient: bool = False,
    progress: Progress | None = None,
    allowance: Allowance | None = None,
) -> Iterator[tuple[EventStream, Format]]:
    """Open a trace at its first event.

    Args:
        path: The file, plain or packed, or standard input.
        expected: The format that it must have.
        lenient: Pass over what cannot be read, and say so in the stream's `damage`, instead of refusing the file.
        progress: Told how much of the file has been read.
        allowance: What may be read of the file, where it may be anything.

    Raises:
        AttribError: The file cannot be read, does not begin like a trace, or holds another format than
        expected.
    """
    with open_source(path, progress, allowance) as source:
        stream = (LenientStream if lenient else EventStream)(source, WANTED)
        found = _format(stream)
        if expected is not None and found != expected:
            raise AttribError(
                f"{stream.name}: holds {_NAMES[found]}, not {_NAMES[expected]}",
                hint="`attrib inspect` reads either",
            )
        yield stream, found


def format_of(path: Path, allowance: Allowance | None = None) -> Format:
    """Which kind of trace a file holds, from its beginning.

    Args:
        path: The file, which may be anything.
        allowance: How much of it may be read before its first event.

    Raises:
        AttribError: The file cannot be read or does not begin like a trace.
    """
    with open_trace(path, allowance=allowance) as (_, found):
        return found


def _format(stream: EventStream) -> Format:
    sample = stream.sample()
    if _ORT_CATEGORY.search(sample) or (stream.container == "array" and sample.lstrip().startswith(b"]")):
        return "ort-profile"
    if stream.container == "array" and not _PHASE.search(sample):
        stream.require_event()
        raise AttribError(
            f"{stream.name}: a JSON array without trace events (no ph in them) is not a trace",
            hint="attrib reads Kineto traces and ONNX Runtime profiles, plain, gzip or zstd",
        )
    return "kineto"
