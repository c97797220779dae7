"""What attrib has to know of a format of trace: one row, which the module of each format declares."""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import msgspec

from attrib.model.manifest import Role
from attrib.traces.formats.event import Batch
from attrib.traces.formats.parallel import PARALLEL_FROM, fill_by_two
from attrib.traces.formats.table_builder import Strings, TableBuilder
from attrib.traces.io.stream import EventDecoder, EventStream
from attrib.traces.recording.activity_types import Kind
from attrib.traces.recording.recording import Recording
from attrib.traces.recording.shapes import Normalize

Choose = Callable[[Recording], Recording]


class FormatDecoder(EventDecoder[Batch[Any], Any], Protocol):
    """Decodes the events of one file."""

    def warnings(self) -> list[str]:
        """What a reader of the figures should know about the events read so far."""
        ...


class StepScan(msgspec.Struct, frozen=True, kw_only=True):
    """What the blocks of a large file are looked through for, when only some of its steps are wanted.

    Attributes:
        step: What the names of steps contain.
        needed: What a block contains that is decoded in any case; empty for nothing.
        kept: Kinds of events that may belong to a step outside whose window they lie.
        bound: Kinds of events that can be placed only with all of the file.
        arrays: Whether a file that is a bare array can be looked through too: categories say what its events are.
    """

    step: str
    needed: bytes = b""
    kept: frozenset[Kind] = frozenset()
    bound: frozenset[Kind] = frozenset()
    arrays: bool = True


class TraceFormat(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """A format of trace: an array of events, alone or as `traceEvents` of an object.

    Attributes:
        name: The name in the published JSON, e.g. `ort-profile`.
        title: The name for a reader, which takes an s in the plural, e.g. `Kineto trace`.
        role: The side of a comparison that its traces are of; None for a format that can only be inspected.
        detect: Whether an opened file is of this format, by its container and the first block of its events.
        facts: Members of the top-level object that are kept, besides the events.
        decoder: Makes the decoder of an opened file.
        fill: Adds decoded events to the columns, with the format's own ones.
        tensors: Brings raw shapes and types to the common form.
        recording: What the events answer, and how.
        base_ns: From the facts, the nanoseconds since the epoch that the file's times count from.
        metadata: The facts that may be shown, by name.
        warnings: What a reader of the figures should know, from the events, the file, and every text in it.
        scan: How some steps of a large file are found; None to read all of it.
    """

    name: str
    title: str
    role: Role | None
    detect: Callable[[EventStream, bytes], bool]
    decoder: Callable[[EventStream], FormatDecoder]
    fill: Callable[[TableBuilder, EventStream, Iterable[Batch[Any]]], None]
    tensors: Normalize
    recording: type[Recording]
    warnings: Callable[[Recording, EventStream, Strings], list[str]]
    facts: frozenset[str] = frozenset()
    base_ns: Callable[[dict[str, str]], int] = lambda _: 0
    metadata: Callable[[dict[str, str]], dict[str, str]] = lambda _: {}
    scan: StepScan | None = None

    def read(
        self,
        stream: EventStream,
        *,
        decoder: FormatDecoder | None = None,
        batches: Iterable[Batch[Any]] | None = None,
        choose: Choose | None = None,
        parallel_from: int = PARALLEL_FROM,
    ) -> Recording:
        """Read the events of an opened file of this format.

        Args:
            stream: The file.
            decoder: What decodes its events.
            batches: Those of its events that the decoder has read; all of them if left out.
            choose: What to take of the recording.
            parallel_from: Bytes from which another process reads a part of the file.
        """
        decoder = decoder or self.decoder(stream)
        builder = TableBuilder()
        if batches is None:
            fill_by_two(builder, self.name, stream, decoder, self.fill, least=parallel_from)
        else:
            self.fill(builder, stream, batches)
        recording = builder.build(
            self.recording,
            self.name,
            self.tensors,
            base_ns=self.base_ns(stream.facts),
            metadata=self.metadata(stream.facts),
            damage=stream.damage,
        )
        recording = choose(recording) if choose else recording
        more = self.warnings(recording, stream, builder.strings)
        return recording.with_warnings(*decoder.warnings(), *more)
