"""Reads a trace of either format."""

from pathlib import Path
from typing import BinaryIO

from attrib.model.events import EventTable
from attrib.traces import kineto, ort_profile
from attrib.traces.sniff import open_trace
from attrib.traces.source import Progress

_TABLES = {"kineto": kineto.table_of, "ort-profile": ort_profile.table_of}


def read_trace(
    path: Path | BinaryIO, *, lenient: bool = False, progress: Progress | None = None
) -> EventTable:
    """Read a Kineto trace or an ONNX Runtime profile, plain, gzip or zstd.

    Args:
        path: The file, or an open one: standard input.
        lenient: Recover every whole event of a damaged file, and say in the table's `damage` what was lost.
        progress: Told the bytes read so far of the file as it lies on the disk, and how many it has.

    Raises:
        AttribError: The file cannot be read, is neither, is cut short or not valid JSON.
    """
    with open_trace(path, lenient=lenient, progress=progress) as (stream, found):
        return _TABLES[found](stream)
