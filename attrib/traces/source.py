"""A trace file as a stream of bytes: plain or gzip by content, with a bound on what it may unpack to."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from attrib.errors import AttribError

Progress = Callable[[int, int | None], None]
"""Told the bytes read so far of the file as it lies on the disk, and how many it has (None for a pipe)."""

GZIP_MAGIC = b"\x1f\x8b"
MAX_UNPACKED = 8 << 30
"""A gzip file may unpack to this many bytes; no trace viewer opens a tenth of it."""

_CAPTURE_AGAIN = "record the trace again, or get an intact copy of the file"


class Source:
    """Reads one file and knows how far it is.

    Attributes:
        name: The path as the user gave it, for messages.
        offset: Bytes read so far, after unpacking.
    """

    def __init__(self, name: str, file: BinaryIO, *, packed: bool) -> None:
        self.name = name
        self.offset = 0
        self._file = file
        self._packed = packed

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file.

        Raises:
            AttribError: The file cannot be read, its gzip stream is damaged, or it unpacks to too much.
        """
        try:
            data = self._file.read(size)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise AttribError(
                f"{self.name}: the gzip stream is damaged or cut short after {self.offset:,} unpacked bytes",
                hint=_CAPTURE_AGAIN,
            ) from error
        except OSError as error:
            raise _unreadable(self.name, error) from error
        self.offset += len(data)
        if self._packed and self.offset > MAX_UNPACKED:
            raise AttribError(
                f"{self.name}: unpacks to more than {MAX_UNPACKED >> 30} GiB",
                hint="record fewer steps: a handful of warm steps is enough",
            )
        return data


@contextmanager
def open_source(path: Path, progress: Progress | None = None) -> Iterator[Source]:
    """Open a trace file for reading, unpacking it if its content is gzip.

    Args:
        path: The file.
        progress: Told how much of it has been read.

    Raises:
        AttribError: The file is not there, is a directory, is empty or cannot be read.
    """
    try:
        with path.open("rb") as file:
            head = file.peek(2)[:2]  # not read and seek: the file may be a pipe
            if not head:
                raise AttribError(
                    f"{path}: the file is empty: the profiled process ended before it wrote its trace",
                    hint="end the session (or the profiler) before the process exits, and record again",
                )
            if head != GZIP_MAGIC:
                yield Source(str(path), file, packed=False)
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield Source(str(path), unpacked, packed=True)  # type: ignore[arg-type]
    except OSError as error:
        raise _unreadable(str(path), error) from error


def _unreadable(name: str, error: OSError) -> AttribError:
    reason = error.strerror or type(error).__name__
    return AttribError(f"{name}: cannot be read: {reason}", hint="check the path and its permissions")
