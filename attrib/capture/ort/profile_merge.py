"""ONNX Runtime's profiles of several launches as one file, their times counted from the zero of the first.

Line by line, because a profile is one event a line and need not be valid JSON: see `attrib.traces.formats.ort_profile`.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

_TIME = re.compile(rb'"ts"\s*:\s*(\d+)')
_STARTUP = (b'"model_loading_uri"', b'"model_loading_array"', b'"session_initialization"')
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
    separator = b"[\n"
    for position, profile in enumerate(profiles):
        shift_us = round((profile.zero_ns - profiles[0].zero_ns) / 1000)
        with profile.file.open("rb") as lines:
            for line in lines:
                event = line.strip().rstrip(b",")
                if event in (b"[", b"]", b""):
                    continue
                if position and any(name in event for name in _STARTUP):
                    continue
                stream.write(separator + (_moved(event, shift_us) if shift_us else event))
                separator = b",\n"
    stream.write(b"\n]\n" if separator == b",\n" else b"[\n]\n")


def _moved(event: bytes, shift_us: int) -> bytes:
    return _TIME.sub(lambda found: b'"ts" :%d' % (int(found[1]) + shift_us), event, count=1)
