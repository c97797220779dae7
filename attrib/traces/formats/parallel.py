"""Two processes for one large plain trace: this one reads from the beginning, a second one from about the middle.

The second one begins at a place that looks like the end of an event. That it is one is proven when this one, which reads
strictly from the beginning, arrives there between two events: only then does its part count, and it is what this one
would have read, because it depends on nothing else than the bytes from there on (`EventStream.is_at`). In every other
case this one reads on, so that damage is reported as ever.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, cast

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.model.events import ABSENT
from attrib.traces.formats.event import Batch
from attrib.traces.formats.table_builder import RawValues, Strings, TableBuilder
from attrib.traces.io.reader_protocol import LENGTH, MARK, ReadPart, ReadRequest, Start
from attrib.traces.io.recovery import LenientStream
from attrib.traces.io.stream import EventDecoder, EventStream

PARALLEL_FROM = 1 << 28
"""Bytes from which a second process pays on two free cores: see the rows of the plain file and of the pipe, which one
process reads, in `tests/benchmarks/traces.py`. On busy cores nothing is gained, and for small files the start costs more."""

HEAD_START = 1 << 25
"""Bytes that a process reads while another one starts."""

_START = (
    "import sys; sys.path[:] = sys.argv.pop(1).split(chr(10));"
    " from attrib.traces.formats.reader_process import main; main()"
)
"""The second process imports from where this one does."""

_TEXTS = frozenset({"name", "category", "track", "op", "provider", "parent"})
Columns = list[tuple[str, npt.NDArray[Any]]]
Fill = Callable[[TableBuilder, EventStream, Iterable[Batch[Any]]], None]


def fill_by_two(
    builder: TableBuilder,
    name: str,
    stream: EventStream,
    decoder: EventDecoder[Batch[Any], Any],
    fill: Fill,
    *,
    least: int = PARALLEL_FROM,
) -> None:
    """Add a file's events to a builder, with the help of a second process where that pays.

    Args:
        builder: Takes the columns.
        name: Name of the format of the file.
        stream: The file, at its first event.
        decoder: What decodes its events.
        fill: Adds events with the format's own columns.
        least: Bytes from which a second process is started.

    Raises:
        AttribError: The file is damaged.
    """
    size = stream.source.plain_size
    if isinstance(stream, LenientStream) or size is None or size < least or not _can_start():
        fill(builder, stream, stream.blocks(decoder))
        return
    two = _SharedReading(builder, name, stream, decoder, (size + HEAD_START) // 2)
    try:
        fill(builder, stream, two.batches())
    finally:
        two.close()
    if two.found is not None:
        _join(builder, *two.found)
        stream.pass_over(two.found[0].count, two.found[0].facts)


class SecondProcess:
    """The process that reads the second part of a file."""

    def __init__(self, request: ReadRequest) -> None:
        import subprocess  # a small file needs none

        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, on a module of this package
            [sys.executable, "-P", "-c", _START, "\n".join(sys.path), msgspec.json.encode(request).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(request.descriptor,),
        )

    def result(self) -> tuple[ReadPart, Columns] | None:
        """Wait for what it reads; None where it cannot."""
        return receive(cast("Pipe", self._process.stdout))

    def close(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        with self._process:
            pass


class _SharedReading:
    """Reads a file up to where a second process began, and to the end where that one's part does not count.

    Attributes:
        found: The part, once it counts.
    """

    def __init__(
        self,
        builder: TableBuilder,
        name: str,
        stream: EventStream,
        decoder: EventDecoder[Batch[Any], Any],
        place: int,
    ) -> None:
        self.found: tuple[ReadPart, Columns] | None = None
        self._builder = builder
        self._name = name
        self._stream = stream
        self._decoder = decoder
        self._place = place
        self._start: Start | None = None
        self._second: SecondProcess | None = None

    def batches(self) -> Iterator[Batch[Any]]:
        """The events that the second process does not read."""
        stream = self._stream
        for number, batch in enumerate(stream.blocks(self._decoder)):
            yield batch
            if not number:  # the stream knows the separator from the first block
                start = stream.start_near(self._place)
                if start is not None:
                    with contextlib.suppress(OSError):  # no more processes may be started
                        self._second = SecondProcess(ReadRequest(stream.source.descriptor, self._name, start))
                        self._start = start
            elif self._start is not None and stream.position >= self._start.after:
                counts = stream.is_at(self._start) and not self._builder.tracks.ambiguous
                if counts and self._second is not None:
                    self.found = self._second.result()
                self.close()
                if self.found is not None:
                    return

    def close(self) -> None:
        """End the second process, if there is one."""
        second, self._second, self._start = self._second, None, None
        if second is not None:
            second.close()


class Pipe(Protocol):
    """The output of the second process."""

    def read(self, size: int, /) -> bytes:
        """Read so many bytes; fewer at the end."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill the buffer; how many bytes came."""
        ...


def receive(pipe: Pipe) -> tuple[ReadPart, Columns] | None:
    """Read a part and its columns; None where the pipe ends too early."""
    if pipe.read(len(MARK)) != MARK:
        return None
    length = int.from_bytes(pipe.read(LENGTH), "little")
    header = pipe.read(length)
    if not length or len(header) < length:
        return None
    part = msgspec.msgpack.decode(header, type=ReadPart)
    columns = [(column.name, np.empty(column.rows, column.dtype)) for column in part.columns]
    whole = all(pipe.readinto(values.data.cast("B")) == values.nbytes for _, values in columns if part.rows)
    return (part, columns) if whole else None


def _join(builder: TableBuilder, part: ReadPart, columns: Columns) -> None:
    """Add the columns of the part, with the codes that its texts have in this process."""
    texts = _codes(builder.strings, part.strings)
    raw = {name: _codes(builder.raw[name], values) for name, values in part.raw.items()}
    for name, values in columns:
        codes = texts if name in _TEXTS else raw.get(name)
        builder.append(name, values if codes is None else codes[values])
    builder.rows += part.rows
    builder.unusable += part.unusable
    builder.negative += part.negative
    builder.missing += part.missing


def _codes(known: Strings | RawValues, values: tuple[Any, ...]) -> npt.NDArray[np.int32]:
    """The code in this process of each code of the other; the last entry is for `ABSENT`, which is -1."""
    return np.append(known.codes(iter(values), len(values)), np.int32(ABSENT))


def _can_start() -> bool:
    """Whether a second process would have a processor of its own."""
    if not sys.executable or getattr(sys, "frozen", False) or not hasattr(os, "pread"):
        return False
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) > 1
