"""ONNX Runtime's profiles of several launches as one file, their times counted from the zero of the first.

Line by line, because a profile is one event a line and need not be valid JSON: see `attrib.traces.formats.ort_profile`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

_TIME = re.compile(rb'"ts"\s*:\s*(\d+)')
_STARTUP = re.compile(rb'"name"\s*:\s*"(?:model_loading_uri|model_loading_array|session_initialization)"')
"""What a session does once; that of the first launch is kept."""


class LaunchProfile(NamedTuple):
    """The profile of one launch, and the epoch time of its zero in nanoseconds."""

    file: Path
    zero_ns: int


class _Sink(Protocol):
    def write(self, data: bytes, /) -> int: ...


def merge_profiles(profiles: Sequence[LaunchProfile], stream: _Sink) -> None:
    """Write the events of every profile into one array.

    Args:
        profiles: In order of time.
        stream: Where the merged profile goes.
    """
    stream.write(b"[")
    separator = b"\n"
    for position, profile in enumerate(profiles):
        shift_us = round((profile.zero_ns - profiles[0].zero_ns) / 1000)
        for event in _events(profile.file):
            if position and _STARTUP.search(event):
                continue
            stream.write(separator + _TIME.sub(partial(_moved, shift_us), event))
            separator = b",\n"
    stream.write(b"\n]\n")


def _events(file: Path) -> Iterator[bytes]:
    """The lines of a profile, without the brackets of its array and the commas at their ends."""
    with file.open("rb") as lines:
        begun = False
        line = b""
        for following in lines:
            if line:
                yield line.rstrip(b",")
            line = following.strip()
            if not begun and line:
                line, begun = line.removeprefix(b"["), True
        if line := line.removesuffix(b"]").rstrip(b",\r\n\t "):
            yield line


def _moved(shift_us: int, found: re.Match[bytes]) -> bytes:
    return b'"ts" :%d' % (int(found[1]) + shift_us)
