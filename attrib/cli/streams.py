"""Standard output and error as they are: closed, full, or of an encoding that lacks what attrib writes."""

import codecs
import errno
import io
import os
import sys
from typing import BinaryIO

from attrib.errors import AttribError

_LOOK_ALIKES = {
    "−": "-", "–": "-", "±": "+/-", "×": "x", "µ": "u", "…": "...", "→": "->", "·": ".", "•": "*", "≥": ">=", "≤": "<=",
    "█": "#", "▏": "|", "▎": "|", "▍": "|", "▌": "|", "▋": "#", "▊": "#", "▉": "#", "│": "|", "─": "-", "└": "`", "├": "|",
    "░": ".", "●": "*", "▼": "v", "▲": "^", "“": '"', "”": '"', "’": "'",
    "\u00a0": " ", "\u202f": " ",
}  # fmt: skip
"""What stands for a character where the terminal has none of it."""

_SPELLED = "attrib-look-alikes"

_CLOSED: set[str] = set()
"""Streams that were closed when the process began."""


def prepare_streams() -> None:
    """Let a stream that lacks a character show what looks like it, or its code; let a closed one swallow everything."""
    codecs.register_error(_SPELLED, _spell)
    for descriptor, name in enumerate(("stdout", "stderr"), start=1):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the process; the next file opened would take its place
            null = os.open(os.devnull, os.O_WRONLY)
            if null != descriptor:
                os.dup2(null, descriptor)
                os.close(null)
            stream = open(descriptor, "w", encoding="utf-8")  # noqa: PTH123, SIM115  (open until the process ends)
            setattr(sys, name, stream)
            _CLOSED.add(name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_SPELLED)


def binary_stdout() -> BinaryIO:
    """Standard output, for bytes.

    Raises:
        AttribError: It is closed.
    """
    if "stdout" in _CLOSED:
        raise AttribError("standard output is closed", hint="name a file with -o")
    return sys.stdout.buffer


def is_stdout_full(error: OSError) -> bool:
    """Whether a write failed for want of space behind standard output: another line cannot be written there either."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return False
    try:
        os.write(sys.stdout.fileno(), b"\n")
    except OSError:
        return True
    return False


def drop_stdout() -> None:
    """Send what is still to be written nowhere: at its end, Python would try again and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _spell(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    shown = (_LOOK_ALIKES.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in text)
    return "".join(shown), error.end
