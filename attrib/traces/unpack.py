"""Unpacks gzip and zstd piece by piece, up to the last byte that a damaged stream still gives."""

import contextlib
import queue
import threading
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO, Protocol

PIECE = 1 << 18
_PACKED = 1 << 16
_ZSTD_PIECE = 1 << 12
_GZIP = 31
"""zlib's name for deflate within a gzip header and a checksum, which it verifies."""

_AHEAD = 4
"""Pieces that wait for the reader: it and the unpacking thread take turns without waiting for each other."""


class BrokenStreamError(Exception):
    """The packed stream ends too early or is damaged; everything before it has been given."""


class Unpacker(Protocol):
    """Gives the unpacked bytes in order."""

    def piece(self) -> bytes:
        """Some more bytes; none at the end; raises BrokenStreamError where they cannot be had."""
        ...


class Raw:
    """A file's own bytes, counted; what was read to recognise it comes first.

    Attributes:
        taken: Bytes read so far.
    """

    closed = False

    def __init__(self, file: BinaryIO, head: bytes) -> None:
        self.taken = 0
        self._file = file
        self._head = head

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes; fewer only at the end of the file, or where the head ends."""
        data, self._head = self._head, b""
        data = data or self._file.read(size)
        self.taken += len(data)
        return data

    def rewind(self) -> bool:
        """Go back to the beginning; False where the file cannot."""
        if not self._file.seekable():
            return False
        self._file.seek(0)
        self._head, self.taken = b"", 0
        return True


class Gzip:
    """A gzip file of one or several members, each checked by its checksum."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._data = b""
        self._broken = False
        self._inflate = zlib.decompressobj(_GZIP)

    def piece(self) -> bytes:
        """Some more bytes; none after the last member."""
        while not self._broken:
            if self._inflate.eof and not self._next_member():
                return b""
            data = self._data or self._raw.read(_PACKED)
            if not data:
                raise BrokenStreamError("it ends too early")
            if found := self._unpack(data):
                return found
        raise BrokenStreamError("its data or its checksum is wrong")

    def _unpack(self, data: bytes) -> bytes:
        before = self._inflate.copy()
        try:
            found = self._inflate.decompress(data, PIECE)
        except zlib.error:
            # What zlib had unpacked when it met the error is lost with it: once more, byte by byte.
            self._broken = True
            return _until_broken(before, data)
        self._data = self._inflate.unconsumed_tail
        return found

    def _next_member(self) -> bool:
        """Begin the member that follows; zeros that fill up a block follow the last one."""
        rest = self._inflate.unused_data.lstrip(b"\0")
        while not rest:
            data = self._raw.read(_PACKED)
            if not data:
                return False
            rest = data.lstrip(b"\0")
        self._data, self._inflate = rest, zlib.decompressobj(_GZIP)
        return True


def _until_broken(inflate: Any, data: bytes) -> bytes:
    found: list[bytes] = []
    with contextlib.suppress(zlib.error):
        found.extend(inflate.decompress(data[place : place + 1]) for place in range(len(data)))
    return b"".join(found)


class Zstd:
    """A zstd file of one or several frames."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw
        self._given = 0
        self._broken = ""
        self._file = _zstd(raw)

    def piece(self) -> bytes:
        """Some more bytes; none after the last frame."""
        if self._broken:
            raise BrokenStreamError(self._broken)
        pieces: list[bytes] = []
        try:
            while len(pieces) < PIECE // _ZSTD_PIECE and (more := self._file.read(_ZSTD_PIECE)):
                pieces.append(more)
        except OSError as error:
            self._broken = _reason(error)
            pieces += self._last_bytes(self._given + sum(map(len, pieces)))
        found = b"".join(pieces)
        self._given += len(found)
        if self._broken and not found:
            raise BrokenStreamError(self._broken)
        return found

    def _last_bytes(self, known: int) -> list[bytes]:
        """What the failed call had unpacked already and did not give, byte by byte; a pipe cannot go back for it."""
        if not self._raw.rewind():
            return []
        file, passed, found = _zstd(self._raw), 0, []
        with contextlib.suppress(OSError):
            while passed < known:
                passed += len(file.read(min(_ZSTD_PIECE, known - passed)))
            while more := file.read(1):
                found.append(more)
        return found


def _zstd(raw: Raw) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd")


def _reason(error: OSError) -> str:
    return "it ends too early" if "runcated" in str(error) else "its data is wrong"


class Ahead:
    """Unpacks in a thread, some pieces ahead of the reader: zlib and zstd work while Python decodes."""

    def __init__(self, unpacker: Unpacker) -> None:
        self._pieces: queue.Queue[bytes | Exception] = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._ended: bytes | Exception | None = None
        self._thread = threading.Thread(target=self._run, args=(unpacker.piece,), daemon=True)
        self._thread.start()

    def piece(self) -> bytes:
        """Some more bytes; none at the end."""
        found = self._pieces.get() if self._ended is None else self._ended
        if not found or isinstance(found, Exception):
            self._ended = found
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        """End the thread, wherever it is."""
        self._stop.set()
        while self._thread.is_alive():
            while not self._pieces.empty():
                self._pieces.get_nowait()
            self._thread.join(0.01)

    def _run(self, piece: Callable[[], bytes]) -> None:
        try:
            while not self._stop.is_set():
                found = piece()
                self._pieces.put(found)
                if not found:
                    return
        except Exception as error:  # noqa: BLE001 - handed to the reader, who raises it
            self._pieces.put(error)
