"""Reads a trace of either format."""

from pathlib import Path
from typing import BinaryIO

from attrib.model.events import EventTable
from attrib.traces.formats.detection import open_trace
from attrib.traces.formats.step_windows import TABLES, read_steps
from attrib.traces.io.source import Progress
from attrib.traces.recording.selection import Steps


def read_trace(
    path: Path | BinaryIO,
    *,
    lenient: bool = False,
    steps: Steps | None = None,
    progress: Progress | None = None,
) -> EventTable:
    """Read a Kineto trace or an ONNX Runtime profile, plain, gzip or zstd.

    Args:
        path: The file, or an open one: standard input.
        lenient: Recover every whole event of a damaged file, and say in the table's `damage` what was lost.
        steps: Read only what belongs to these steps: numbers of a Kineto trace's steps, or of runs, counted from 1.
        progress: Told the bytes read so far of the file as it lies on the disk, and how many it has.

    Raises:
        AttribError: The file cannot be read, is neither, is cut short, not valid JSON, or holds none of the steps.
    """
    if steps is not None:
        return read_steps(path, steps, lenient=lenient, progress=progress)
    with open_trace(path, lenient=lenient, progress=progress) as (stream, found):
        return TABLES[found](stream)
