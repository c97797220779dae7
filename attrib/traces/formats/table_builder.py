"""The columns of a recording, filled batch by batch."""

from collections.abc import Callable, Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.model.damage import Damage
from attrib.model.events import ABSENT
from attrib.traces.formats.event import Batch
from attrib.traces.recording.recording import Recording
from attrib.traces.recording.shapes import Normalize, ShapeColumn

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_INT64 = 1 << 63


class Strings(dict[str, int]):
    """Distinct strings, numbered in order of first use; the empty string is `ABSENT`."""

    def __init__(self) -> None:
        super().__init__({"": ABSENT})

    def __missing__(self, text: str | None) -> int:
        if not text:
            return ABSENT
        self[text] = code = len(self) - 1
        return code

    def codes(self, texts: Iterable[str | None], count: int) -> Int32s:
        """The number of each of `count` strings; None counts as the empty one."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, count)  # type: ignore[arg-type]

    def table(self) -> tuple[str, ...]:
        """The strings by number."""
        return tuple(self)[1:]


class Tracks(dict[tuple[object, object], int]):
    """Numbers of the strings `"pid/tid"`."""

    def __init__(self, strings: Strings) -> None:
        super().__init__()
        self._strings = strings

    def __missing__(self, key: tuple[object, object]) -> int:
        pid, tid = ("" if part is None else part for part in key)
        self[key] = code = self._strings[f"{pid}/{tid}"]
        return code

    @property
    def ambiguous(self) -> bool:
        """Whether a number has a point: 1.0 and 1 are one key, which keeps the spelling that came first."""
        return any(isinstance(part, float) for key in self for part in key)

    def codes(self, keys: Iterable[tuple[object, object]], count: int) -> Int32s:
        """The number of each of `count` tracks."""
        return np.fromiter(map(self.__getitem__, keys), np.int32, count)


class RawValues(dict[tuple[bytes, ...], int]):
    """Distinct raw JSON arguments (tuples of `width`), numbered by first use; all empty is `ABSENT`."""

    def __init__(self, width: int) -> None:
        super().__init__({(b"",) * width: ABSENT})

    def __missing__(self, key: tuple[bytes, ...]) -> int:
        self[key] = code = len(self) - 1
        return code

    def codes(self, keys: Iterable[tuple[bytes, ...]], count: int) -> Int32s:
        """The number of each of `count` arguments."""
        return np.fromiter(map(self.__getitem__, keys), np.int32, count)

    def table(self) -> tuple[tuple[bytes, ...], ...]:
        """The arguments by number."""
        return tuple(self)[1:]


def integers(values: Sequence[object]) -> Int64s:
    """Integers as files spell them: numbers, strings (`"616"`, `"0x0"`), null; `ABSENT` for anything else."""
    try:
        return np.fromiter(values, np.int64, len(values))
    except (TypeError, ValueError, OverflowError):
        return np.fromiter(map(integer, values), np.int64, len(values))


def integer(value: object) -> int:
    """One integer as a file spells it; `ABSENT` for anything else."""
    if isinstance(value, str):
        try:
            value = int(value, 16 if value[:2].lower() == "0x" else 10)
        except ValueError:
            return ABSENT
    return value if isinstance(value, int) and -_INT64 <= value < _INT64 else ABSENT


# Fields are taken by `map` and `attrgetter`: a loop in Python costs more than decoding the event did.
_name, _category, _track = attrgetter("name"), attrgetter("cat"), attrgetter("pid", "tid")


class TableBuilder:
    """Collects the columns that all formats share, and those that a format adds.

    Attributes:
        strings: What the codes of string columns stand for.
        raw: What the codes of columns of raw JSON stand for, by column.
        tracks: The tracks met so far.
        blocks: The parts of each column, in file order.
    """

    def __init__(self) -> None:
        self.strings = Strings()
        self.rows = 0
        self.unusable = 0
        self.negative = 0
        self.missing = 0
        self.raw: dict[str, RawValues] = {}
        self.tracks = Tracks(self.strings)
        self.blocks: dict[str, list[npt.NDArray[Any]]] = {}

    def add(self, batch: Batch[Any]) -> None:
        """Add the shared columns of a batch."""
        rows, count = batch.rows, len(batch.rows)
        self.rows += count
        self.unusable += batch.unusable
        self.negative += batch.negative
        self.missing += batch.missing
        self.append("name", self.strings.codes(map(_name, rows), count))
        self.append("category", self.strings.codes(map(_category, rows), count))
        self.append("track", self.tracks.codes(map(_track, rows), count))
        self.append("start_ns", batch.start_ns)
        self.append("duration_ns", batch.duration_ns)

    def append(self, column: str, values: npt.NDArray[Any]) -> None:
        """Add a batch's part of a column."""
        self.blocks.setdefault(column, []).append(values)

    def build(
        self,
        recording: type[Recording],
        name: str,
        tensors: Normalize,
        *,
        base_ns: int = 0,
        metadata: dict[str, str] | None = None,
        damage: Damage | None = None,
    ) -> Recording:
        """Make the recording; the builder is empty then.

        Args:
            recording: Its class.
            name: The format.
            tensors: Brings raw shapes and types to the common form.
            base_ns: What the times count from, in nanoseconds since the epoch.
            metadata: The facts that may be shown.
            damage: What could not be read.
        """
        starts = self._column64("start_ns") if self.rows else np.empty(0, np.int64)
        starts += base_ns  # in place, because a long trace's column is large
        counted = (
            (self.unusable, "complete events have no usable time and were left out"),
            (self.negative, "events have a negative duration, which counts as 0"),
            (
                self.missing,
                "complete events have no duration, which counts as 0: what they took is not known",
            ),
        )
        return recording(
            format=name,
            start_ns=starts,
            name=self._column32("name"),
            category=self._column32("category"),
            track=self._column32("track"),
            op=self._column32("op"),
            provider=self._column32("provider"),
            parent=self._column32("parent"),
            duration_ns=self._column64("duration_ns"),
            correlation=self._column64("correlation"),
            external_id=self._column64("external_id"),
            node_index=self._column64("node_index"),
            stream=self._column64("stream"),
            bytes=self._column64("bytes"),
            inputs=self._shapes("inputs", tensors),
            outputs=self._shapes("outputs", tensors),
            strings=self.strings.table(),
            base_ns=base_ns,
            metadata=metadata or {},
            warnings=tuple(f"{count:,} {what}" for count, what in counted if count),
            damage=damage,
        )

    def _shapes(self, column: str, normalize: Normalize) -> ShapeColumn:
        distinct = self.raw[column].table() if column in self.raw else ()
        return ShapeColumn(self._column32(column), distinct, normalize)

    def _column32(self, name: str) -> Int32s:
        return self._column(name, np.dtype(np.int32))

    def _column64(self, name: str) -> Int64s:
        return self._column(name, np.dtype(np.int64))

    def _column(self, name: str, dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """A finished column; `ABSENT` throughout, in no memory, where nothing was added."""
        blocks = self.blocks.pop(name, None)
        return np.concatenate(blocks) if blocks else np.broadcast_to(np.array(ABSENT, dtype), (self.rows,))


def collect(
    builder: TableBuilder, batches: Iterable[Batch[Any]], extra: Callable[[Batch[Any]], None]
) -> None:
    """Add every batch: the shared columns, then the format's own by `extra`."""
    for batch in batches:
        builder.add(batch)
        extra(batch)
