"""The second process of a large trace: reads the events from some place on to the end, and hands over their columns.

It is started by `attrib.traces.formats.parallel`, and reads with the code that would have read them in the first one.
"""

import os
import sys
from threading import Thread
from typing import Any, BinaryIO, Literal

import msgspec
import numpy as np

from attrib.errors import AttribError
from attrib.traces.formats.registry import find_format, wanted_facts
from attrib.traces.formats.table_builder import TableBuilder
from attrib.traces.io.reader_protocol import LENGTH, MARK, Column, ReadPart, ReadRequest, Start
from attrib.traces.io.source import TraceSource
from attrib.traces.io.stream import EventStream
from attrib.traces.io.unpack import Raw


class PartStream(EventStream):
    """A stream that begins in the middle of the events."""

    def __init__(self, source: TraceSource, start: Start) -> None:
        self._start = start
        super().__init__(source, wanted_facts())
        self._separator = start.separator
        self._members = start.members

    def _open(self) -> Literal["object", "array"]:
        return self._start.container

    def _walk_members(self) -> bool:
        # Asked the first time, by the constructor: it is among the events already.
        return not hasattr(self, "_in_events") or super()._walk_members()


class _Pieces:
    """The file from some byte on, read without moving the position that it shares with the other process."""

    def __init__(self, descriptor: int, at: int) -> None:
        self._descriptor = descriptor
        self._at = at

    def read(self, size: int) -> bytes:
        data = os.pread(self._descriptor, size, self._at)
        self._at += len(data)
        return data


def answer(request: ReadRequest, out: BinaryIO) -> bool:
    """Read the part and write it; False where only a reader of the whole file can.

    Raises:
        AttribError: It is damaged, or no event begins there.
    """
    place = request.start.position
    pieces: Any = _Pieces(request.descriptor, place)
    source = TraceSource("", Raw(pieces, b""), size=0)
    source.offset = place
    stream, form = PartStream(source, request.start), find_format(request.format)
    decoder = form.decoder(stream)
    builder = TableBuilder()
    form.fill(builder, stream, stream.blocks(decoder))
    if decoder.warnings() or builder.tracks.ambiguous:
        return False
    names = list(builder.blocks) if builder.rows else []  # numpy gives no memory of empty arrays
    part = ReadPart(
        count=stream.count,
        rows=builder.rows,
        unusable=builder.unusable,
        negative=builder.negative,
        missing=builder.missing,
        facts=stream.facts,
        strings=builder.strings.table(),
        raw={name: values.table() for name, values in builder.raw.items()},
        columns=tuple(Column(name, builder.blocks[name][0].dtype.str, builder.rows) for name in names),
    )
    header = msgspec.msgpack.encode(part)
    out.write(MARK + len(header).to_bytes(LENGTH, "little") + header)
    out.writelines(np.concatenate(builder.blocks.pop(name)).data.cast("B") for name in names)
    out.flush()
    return True


def _end_with_other_process() -> None:
    """Wait for the end of standard input, whose other end the other process holds as long as it lives, and end."""
    os.read(0, 1)
    os._exit(1)


def main() -> None:
    """Answer the request on the command line."""
    Thread(target=_end_with_other_process, daemon=True).start()
    request = msgspec.json.decode(sys.argv[1], type=ReadRequest)
    try:
        answer(request, sys.stdout.buffer)
    except AttribError:
        pass  # the other process reads on by itself, and says what is wrong
    finally:
        # What is left needs no tidying, and the other process is waiting.
        os._exit(0)
