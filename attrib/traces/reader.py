"""Reads a trace of any format into a recording."""

from pathlib import Path
from typing import BinaryIO

from attrib.traces.formats.detection import open_trace
from attrib.traces.formats.kineto import KINETO
from attrib.traces.formats.ort_profile import ORT_PROFILE
from attrib.traces.formats.step_windows import read_steps
from attrib.traces.io.source import Progress
from attrib.traces.recording.recording import Recording
from attrib.traces.recording.selection import Steps


def read_trace(
    path: Path | BinaryIO,
    *,
    expected: str | None = None,
    lenient: bool = False,
    steps: Steps | None = None,
    progress: Progress | None = None,
) -> Recording:
    """Read a trace, plain, gzip or zstd: a Kineto trace, or an ONNX Runtime profile.

    Args:
        path: The file, or an open one: standard input.
        expected: Name of the format that it must have; any if left out.
        lenient: Recover every whole event of a damaged file, and say in the recording's `damage` what was lost.
        steps: Read only what belongs to these steps: numbers of a Kineto trace's steps, or of runs, counted from 1.
        progress: Told the bytes read so far of the file as it lies on the disk, and how many it has.

    Raises:
        AttribError: The file cannot be read, is of no or another format, is cut short, not valid JSON, or holds none
            of the steps.
    """
    if steps is not None:
        return read_steps(path, steps, expected=expected, lenient=lenient, progress=progress)
    with open_trace(path, expected, lenient=lenient, progress=progress) as (stream, form):
        return form.read(stream)


def read_kineto(path: Path, *, lenient: bool = False, progress: Progress | None = None) -> Recording:
    """Read a Kineto trace (torch.profiler); any other file is refused with an AttribError, as by `read_trace`."""
    return read_trace(path, expected=KINETO.name, lenient=lenient, progress=progress)


def read_ort_profile(path: Path, *, lenient: bool = False, progress: Progress | None = None) -> Recording:
    """Read the profile of ONNX Runtime's profiler; any other file is refused with an AttribError, as by `read_trace`."""
    return read_trace(path, expected=ORT_PROFILE.name, lenient=lenient, progress=progress)
