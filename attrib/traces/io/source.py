"""A trace file as a stream of bytes: plain, gzip or zstd by content, with a bound on what it may unpack to."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from attrib.errors import AttribError
from attrib.traces.io.unpack import BrokenStreamError, Gzip, Raw, Unpacker, Zstd

Progress = Callable[[int, int | None], None]
"""Told the bytes read so far of the file as it lies on the disk, and how many it has (None for a pipe)."""

MAX_UNPACKED = 8 << 30
"""A packed file or a pipe may give this many bytes; no trace viewer opens a tenth of it."""

MAX_RATIO = 250
"""Times its own size that a file may unpack to: traces reach 10 to 30, a file that was made to hurt 1,000."""

RATIO_FROM = 1 << 26
"""Unpacked bytes from which the ratio counts."""

STDIN = "standard input"
_UNPACKERS: dict[bytes, tuple[str, Callable[[Raw], Unpacker]]] = {
    b"\x1f\x8b": ("gzip", Gzip),
    b"\x28\xb5\x2f\xfd": ("zstd", Zstd),
}
_MAGIC = max(map(len, _UNPACKERS))


class Allowance(msgspec.Struct, eq=False):
    """Unpacked bytes that may still be read, of several files together."""

    left: int


class TraceSource:
    """Reads one file and knows how far it is.

    Attributes:
        name: The path as the user gave it, for messages.
        packing: "gzip" or "zstd"; empty for a plain file.
        offset: Bytes read so far, after unpacking.
        problem: Why a packed file cannot be unpacked beyond `offset`; empty while nothing is wrong.
    """

    def __init__(
        self,
        name: str,
        raw: Raw,
        *,
        unpacker: Unpacker | None = None,
        packing: str = "",
        size: int | None = None,
        progress: Progress | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self.name = name
        self.packing = packing
        self.offset = 0
        self.problem = ""
        self._raw = raw
        self._unpacker = unpacker
        self._rest = b""
        self._size = size
        self._progress = progress
        self._allowance = allowance

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file, or of what can be unpacked of it.

        Raises:
            AttribError: The file cannot be read, or it unpacks to too much.
        """
        read = self._raw.read if self._unpacker is None else self._read_unpacked
        try:
            pieces = [read(size)]
            missing = size - len(pieces[0])
            while missing and pieces[-1]:
                pieces.append(read(missing))
                missing -= len(pieces[-1])
        except OSError as error:
            raise _unreadable(self.name, error) from error
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self.offset += len(data)
        if self._size is None or self._unpacker is not None:
            self._check_amount()
        if self._allowance is not None:
            self._allowance.left -= len(data)
            if self._allowance.left < 0:
                raise AttribError(f"{self.name}: no event within {self.offset:,} bytes: not a trace")
        if self._progress is not None:
            self._progress(self._raw.taken, self._size)
        return data

    @property
    def plain_size(self) -> int | None:
        """Bytes of a plain regular file that is read from its beginning; None for anything else."""
        return self._size if self._unpacker is None and self._raw.from_beginning() else None

    @property
    def descriptor(self) -> int:
        """The open file."""
        return self._raw.fileno()

    def peek_at(self, place: int, size: int) -> bytes:
        """Bytes of a plain regular file, which do not count as read."""
        try:
            return os.pread(self.descriptor, size, place)
        except OSError as error:
            raise _unreadable(self.name, error) from error

    def pass_over(self) -> None:
        """Show as progress that the rest has been read, by other means."""
        if self._progress is not None and self._size is not None:
            self._progress(self._size, self._size)

    def _read_unpacked(self, size: int) -> bytes:
        if not self._rest and self._unpacker is not None and not self.problem:
            try:
                self._rest = self._unpacker.piece()
            except BrokenStreamError as error:
                self.problem = f"the {self.packing} stream is damaged or cut short: {error}"
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def _check_amount(self) -> None:
        if self.offset > MAX_UNPACKED:
            problem, hint = (
                f"gives more than {MAX_UNPACKED >> 30} GiB" if not self.packing else
                f"unpacks to more than {MAX_UNPACKED >> 30} GiB",
                "record fewer steps: a handful of warm steps is enough",
            )  # fmt: skip
        elif self.packing and self.offset > max(RATIO_FROM, MAX_RATIO * self._raw.taken):
            problem = f"unpacks to more than {MAX_RATIO} times its size: no trace does"
            hint = "unpack it yourself if you trust it, and give the plain file"
        else:
            return
        raise AttribError(f"{self.name}: {problem}", hint=hint)


@contextmanager
def open_source(
    path: Path | BinaryIO, progress: Progress | None = None, allowance: Allowance | None = None
) -> Iterator[TraceSource]:
    """Open a trace file for reading, unpacking it if its content is gzip or zstd.

    Args:
        path: The file, or an open one: standard input.
        progress: Told how much of it has been read.
        allowance: What may be read of it, where it may be anything.

    Raises:
        AttribError: The file is not there, is a directory, is empty or cannot be read.
    """
    name = str(path) if isinstance(path, Path) else STDIN
    with ExitStack() as opened:
        try:
            file = opened.enter_context(path.open("rb")) if isinstance(path, Path) else path
            head = b""
            # Not seek: the file may be a pipe, which may also give fewer bytes than it was asked for.
            while len(head) < _MAGIC and (more := file.read(_MAGIC - len(head))):
                head += more
            raw, packing, unpacker = Raw(file, head), "", None
            for magic, (kind, unpack) in _UNPACKERS.items():
                if head.startswith(magic):
                    packing, unpacker = kind, unpack(raw)
        except OSError as error:
            raise _unreadable(name, error) from error
        if not head:
            raise AttribError(
                f"{name}: the file is empty: the profiled process ended before it wrote its trace",
                hint="end the session (or the profiler) before the process exits, and record again",
            )
        yield TraceSource(
            name,
            raw,
            unpacker=unpacker,
            packing=packing,
            size=_size(file),
            progress=progress,
            allowance=allowance,
        )


def _size(file: BinaryIO) -> int | None:
    """Bytes of a regular file; None for a pipe or what is no file at all."""
    try:
        found = os.fstat(file.fileno())
    except OSError:
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _unreadable(name: str, error: OSError) -> AttribError:
    reason = error.strerror or type(error).__name__
    return AttribError(f"{name}: cannot be read: {reason}", hint="check the path and its permissions")
