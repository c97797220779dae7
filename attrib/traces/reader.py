"""Reads a trace of either format, recognised by what it holds and not by its name."""

import re
from collections.abc import Callable
from pathlib import Path

from attrib.errors import AttribError
from attrib.model.events import EventTable, Format
from attrib.traces import kineto, ort_profile
from attrib.traces.facts import WANTED
from attrib.traces.source import open_source
from attrib.traces.stream import EventStream

_NAMES: dict[Format, str] = {"kineto": "a Kineto trace", "ort-profile": "an ONNX Runtime profile"}
_TABLES: dict[Format, Callable[[EventStream], EventTable]] = {
    "kineto": kineto.table_of,
    "ort-profile": ort_profile.table_of,
}
# Categories of ORT's profiler. No Kineto version has used them, and inside a string the quotes would be
# escaped.
_ORT_CATEGORY = re.compile(rb'"cat"\s*:\s*"(?:Session|Node)"')


def read_trace(path: Path) -> EventTable:
    """Read a Kineto trace or an ONNX Runtime profile, plain or gzip.

    Raises:
        AttribError: The file cannot be read, is neither, is cut short or not valid JSON.
    """
    return _read(path, None)


def read_kineto(path: Path) -> EventTable:
    """Read a Kineto trace (torch.profiler), plain or gzip.

    Raises:
        AttribError: The file cannot be read, is not a Kineto trace, is cut short or not valid JSON.
    """
    return _read(path, "kineto")


def read_ort_profile(path: Path) -> EventTable:
    """Read the profile that ONNX Runtime's built-in profiler wrote, plain or gzip.

    Raises:
        AttribError: The file cannot be read, is not an ORT profile, is cut short or beyond mending.
    """
    return _read(path, "ort-profile")


def format_of(path: Path) -> Format:
    """Which kind of trace a file holds, from its beginning.

    Raises:
        AttribError: The file cannot be read or does not begin like a trace.
    """
    with open_source(path) as source:
        return _format(EventStream(source, WANTED))


def _read(path: Path, expected: Format | None) -> EventTable:
    with open_source(path) as source:
        stream = EventStream(source, WANTED)
        found = _format(stream)
        if expected is not None and found != expected:
            raise AttribError(f"{path}: holds {_NAMES[found]}, not {_NAMES[expected]}")
        return _TABLES[found](stream)


def _format(stream: EventStream) -> Format:
    sample = stream.sample()
    if _ORT_CATEGORY.search(sample) or (stream.container == "array" and sample.lstrip().startswith(b"]")):
        return "ort-profile"
    return "kineto"
