"""The event table: what one trace file holds, as columns, whatever format it came from."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.model.damage import Damage
from attrib.model.tensor import Tensor

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

ABSENT = -1
"""What an integer column holds where the event does not say."""


class RawColumn(Protocol):
    """A column of raw JSON, None where an event does not have it."""

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> bytes | None: ...

    def __iter__(self) -> Iterator[bytes | None]: ...

    def take(self, rows: npt.NDArray[np.intp]) -> "RawColumn":
        """Make a column of some of the rows."""
        ...


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EventTable:
    """Complete (`ph: X`) events of one trace, in file order; row `i` of every column is event `i`.

    `attrib.traces.recording.recording.Recording` adds the queries to them.

    String columns are int32 indices into `strings`; `ABSENT` stands for "the event does not say".

    Attributes:
        format: Name of the format of the file, as in `attrib.traces.formats.registry`.
        strings: The distinct strings, each once.
        name: Event name. For an ORT node the suffix `_kernel_time` is kept.
        category: Kineto `cat` or ORT `cat` (`Session`, `Node`).
        track: `"pid/tid"` as the file spells them.
        op: ORT `args.op_name`; absent in Kineto.
        provider: ORT `args.provider`; absent in Kineto.
        parent: ORT: the name of the event that a kernel event says it belongs to; absent in Kineto.
        start_ns: Nanoseconds since the epoch where the file gives an epoch base, else since the trace's own zero.
        duration_ns: Nanoseconds.
        correlation: Kineto `args.correlation`.
        external_id: Kineto `args."External id"`.
        node_index: ORT `args.node_index`.
        stream: Kineto device stream.
        bytes: Kineto copy size.
        inputs: Raw JSON of the input shapes and types, decoded by `input_tensors`.
        outputs: Raw JSON of the output shapes and types (ORT only), decoded by `output_tensors`.
        base_ns: What was added to the file's own times to get `start_ns`.
        metadata: Top-level facts of the file that are safe to show (no host or user names, no environment).
        warnings: What a reader of the figures should know: truncation, lost events, missing kinds of evidence.
        damage: What could not be read; None where the whole file could.
    """

    format: str
    strings: tuple[str, ...]
    name: Int32s
    category: Int32s
    track: Int32s
    op: Int32s
    provider: Int32s
    parent: Int32s
    start_ns: Int64s
    duration_ns: Int64s
    correlation: Int64s
    external_id: Int64s
    node_index: Int64s
    stream: Int64s
    bytes: Int64s
    inputs: RawColumn
    outputs: RawColumn
    base_ns: int = 0
    metadata: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    damage: Damage | None = None

    def __len__(self) -> int:
        return len(self.name)

    def text(self, index: int) -> str:
        """The string behind an entry of a string column; empty where it is absent."""
        return self.strings[index] if index >= 0 else ""

    def code(self, text: str) -> int:
        """The index of a string, or a value that no row holds."""
        try:
            return self.strings.index(text)
        except ValueError:
            return -2

    def input_tensors(self, row: int) -> tuple[Tensor, ...]:
        """Inputs of one event as tensors; scalars and absent arguments are left out."""
        return _tensors(self.inputs[row])

    def output_tensors(self, row: int) -> tuple[Tensor, ...]:
        """Outputs of one event as tensors (ORT profiles only)."""
        return _tensors(self.outputs[row])


_decode = msgspec.json.Decoder(list[tuple[str, tuple[int, ...]]]).decode


def _tensors(raw: bytes | None) -> tuple[Tensor, ...]:
    """Decode the parsers' common form, `[[dtype, [dim, ...]], ...]`."""
    return tuple(Tensor(dtype, shape) for dtype, shape in _decode(raw)) if raw else ()
