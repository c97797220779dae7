"""Opens a trace and recognizes its format by what it holds, not by its name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attrib.errors import AttribError
from attrib.traces.formats.registry import detect_format, find_format, wanted_facts
from attrib.traces.formats.trace_format import TraceFormat
from attrib.traces.io.recovery import LenientStream
from attrib.traces.io.source import Allowance, Progress, open_source
from attrib.traces.io.stream import EventStream


@contextmanager
def open_trace(
    path: Path | BinaryIO,
    expected: str | None = None,
    *,
    lenient: bool = False,
    progress: Progress | None = None,
    allowance: Allowance | None = None,
) -> Iterator[tuple[EventStream, TraceFormat]]:
    """Open a trace at its first event.

    Args:
        path: The file, plain or packed, or standard input.
        expected: Name of the format that it must have.
        lenient: Pass over what cannot be read, and say so in the stream's `damage`, instead of refusing the file.
        progress: Told how much of the file has been read.
        allowance: What may be read of the file, where it may be anything.

    Raises:
        AttribError: The file cannot be read, does not begin like a trace, or holds another format than
        expected.
    """
    with open_source(path, progress, allowance) as source:
        stream = (LenientStream if lenient else EventStream)(source, wanted_facts())
        found = detect_format(stream)
        if found is None:
            stream.require_event()
            raise AttribError(
                f"{stream.name}: a JSON array without trace events (no ph in them) is not a trace",
                hint="attrib reads Kineto traces and ONNX Runtime profiles, plain, gzip or zstd",
            )
        if expected is not None and found.name != expected:
            raise AttribError(
                f"{stream.name}: holds {_with_article(found.title)}, not {_with_article(find_format(expected).title)}",
                hint="`attrib inspect` reads either",
            )
        yield stream, found


def _with_article(title: str) -> str:
    return f"{'an' if title[0] in 'AEIO' else 'a'} {title}"


def format_of(path: Path, allowance: Allowance | None = None) -> str:
    """Name of the format of a trace, from the beginning of the file.

    Args:
        path: The file, which may be anything.
        allowance: How much of it may be read before its first event.

    Raises:
        AttribError: The file cannot be read or does not begin like a trace.
    """
    with open_trace(path, allowance=allowance) as (_, found):
        return found.name
