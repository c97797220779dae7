"""Kineto traces (torch.profiler's `export_chrome_trace`) as recordings.

Format: libkineto's output_json.cpp; a Chrome trace whose times are microseconds with three decimals, from
`baseTimeNanoseconds` on where the file gives it (torch 2.1 and later) and since the epoch before that.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import compress, repeat
from operator import attrgetter, is_not, ne
from typing import Any, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.model.events import ABSENT
from attrib.traces.formats.event import NO_RAW, Batch, Decoder, number_of, raw_of, text_of
from attrib.traces.formats.facts import WANTED, base_ns, device_names, facts_for_show
from attrib.traces.formats.table_builder import RawValues, Strings, TableBuilder, collect, integers
from attrib.traces.formats.trace_format import StepScan, TraceFormat
from attrib.traces.io.stream import EventStream
from attrib.traces.recording.activity_types import ON_DEVICE
from attrib.traces.recording.recording import Recording
from attrib.traces.recording.shapes import kineto_tensors

Integer = int | str | None
Column = TypeVar("Column", np.int32, np.int64)


class KinetoArgs(msgspec.Struct, gc=False):
    """The arguments that become columns. Old versions wrote some names in lower case."""

    external_id: Integer = msgspec.field(name="External id", default=ABSENT)
    correlation: Integer = ABSENT
    old_external_id: Integer = msgspec.field(name="external id", default=ABSENT)
    stream: Integer = ABSENT
    bytes: Integer = ABSENT
    dims: msgspec.Raw = msgspec.field(name="Input Dims", default=NO_RAW)
    old_dims: msgspec.Raw = msgspec.field(name="Input dims", default=NO_RAW)
    types: msgspec.Raw = msgspec.field(name="Input type", default=NO_RAW)


class ArrayArgs(KinetoArgs, gc=False):
    """Arguments with what Ascend's profiler gives instead of a category. Its traces are bare arrays of events."""

    task_type: msgspec.Raw = msgspec.field(name="Task Type", default=NO_RAW)


_TASKS = {"Other": "kernel"}
"""Task types of Ascend that are no category: of some kernels the profiler says no more."""

_PHASE = re.compile(rb'"ph"\s*:')
_NO_ARGS = KinetoArgs()
_INTEGERS: dict[str, Callable[[KinetoArgs], Integer]] = {
    column: attrgetter(column) for column in ("correlation", "stream", "bytes")
}
_args, _external_id, _old_external_id = (attrgetter(n) for n in ("args", "external_id", "old_external_id"))
_dims, _old_dims, _types = (attrgetter(name) for name in ("dims", "old_dims", "types"))


def decoder_of(stream: EventStream) -> Decoder[Any]:
    """What decodes the events of an opened Kineto trace."""
    bare = stream.container == "array"
    return Decoder(ArrayArgs, _array_args_from) if bare else Decoder(KinetoArgs, _args_from)


def fill(builder: TableBuilder, stream: EventStream, batches: Iterable[Batch[Any]]) -> None:
    """Add the events of a Kineto trace to the columns."""
    arguments = _Arguments(builder)
    blocks = map(_with_task_types, batches) if stream.container == "array" else batches
    collect(builder, blocks, arguments.add)


class _Arguments:
    """The columns that come from an event's arguments.

    Most events of a trace with stacks, and every flow and memory event, have none of these arguments: one comparison in C
    sorts them out, so that only the others cost a look at each.
    """

    def __init__(self, builder: TableBuilder) -> None:
        self._shapes = builder.raw["inputs"] = RawValues(width=2)
        self._builder = builder

    def add(self, batch: Batch[Any]) -> None:
        """Add the arguments of a batch."""
        count = len(batch.rows)
        args = list(map(_args, batch.rows))
        used = np.fromiter(map(ne, args, repeat(_NO_ARGS)), np.bool_, count)
        known = [found or _NO_ARGS for found in compress(args, used.tolist())]
        where = np.flatnonzero(used)
        for column, get in _INTEGERS.items():
            self._builder.append(column, _spread(integers(list(map(get, known))), where, count))
        external = integers(list(map(_external_id, known)))
        if (external == ABSENT).any():
            external = np.where(external == ABSENT, integers(list(map(_old_external_id, known))), external)
        self._builder.append("external_id", _spread(external, where, count))
        self._builder.append("inputs", _spread(self._inputs(known), where, count))

    def _inputs(self, args: Sequence[KinetoArgs]) -> npt.NDArray[np.int32]:
        given = np.fromiter(map(is_not, map(_dims, args), repeat(NO_RAW)), np.bool_, len(args))
        given |= np.fromiter(map(is_not, map(_types, args), repeat(NO_RAW)), np.bool_, len(args))
        old = np.fromiter(map(is_not, map(_old_dims, args), repeat(NO_RAW)), np.bool_, len(args))
        shaped = list(compress(args, (given | old).tolist()))
        dims = (
            map(bytes, map(_dims, shaped))
            if not old.any()
            else (bytes(a.dims) or bytes(a.old_dims) for a in shaped)
        )
        codes = self._shapes.codes(zip(dims, map(bytes, map(_types, shaped)), strict=True), len(shaped))
        return _spread(codes, np.flatnonzero(given | old), len(args))


def _spread(values: npt.NDArray[Column], where: npt.NDArray[np.intp], count: int) -> npt.NDArray[Column]:
    """A column of `count` entries that has the values at some places and is `ABSENT` at the others."""
    if len(values) == count:
        return values
    column = np.full(count, ABSENT, values.dtype)
    column[where] = values
    return column


def _args_from(fields: dict[str, Any]) -> KinetoArgs:
    return KinetoArgs(
        correlation=number_of(fields.get("correlation")),
        external_id=number_of(fields.get("External id", fields.get("external id"))),
        stream=number_of(fields.get("stream")),
        bytes=number_of(fields.get("bytes")),
        dims=raw_of(fields.get("Input Dims", fields.get("Input dims"))),
        types=raw_of(fields.get("Input type")),
    )


def _array_args_from(fields: dict[str, Any]) -> ArrayArgs:
    return ArrayArgs(**msgspec.structs.asdict(_args_from(fields)), task_type=raw_of(fields.get("Task Type")))


def _with_task_types(batch: Batch[Any]) -> Batch[Any]:
    """Give each event without a category its task type for one."""
    for event in batch.rows:
        if not event.cat and event.args is not None and bytes(event.args.task_type):
            with contextlib.suppress(msgspec.DecodeError):
                task_type = text_of(msgspec.json.decode(bytes(event.args.task_type)))
                event.cat = _TASKS.get(task_type, task_type)
    return batch


def detect(stream: EventStream, sample: bytes) -> bool:
    """Whether the file is laid out like a Kineto trace: events with phases, or an object that holds them."""
    return stream.container == "object" or _PHASE.search(sample) is not None


def warnings_of(trace: Recording, stream: EventStream, _: Strings) -> list[str]:
    """What a reader of the figures should know."""
    if not len(trace):
        return ["the trace holds no complete (ph X) event: run something inside the profiler"]
    found = []
    if device_names(stream.facts) and not trace.device_work().size:
        found.append("a GPU was present but there are no kernel times: profile with ProfilerActivity.CUDA")
    if trace.calls().size and not any(trace.inputs):
        found.append("no shapes recorded: profile with record_shapes=True to see them")
    if not trace.calls().size:
        found.append("no operators recorded: profile with ProfilerActivity.CPU to see them")
    return found


KINETO = TraceFormat(
    name="kineto",
    title="Kineto trace",
    role="torch",
    detect=detect,
    facts=WANTED,
    decoder=decoder_of,
    fill=fill,
    tensors=kineto_tensors,
    recording=Recording,
    base_ns=base_ns,
    metadata=facts_for_show,
    warnings=warnings_of,
    # Of a bare array (Ascend) the category is not enough to tell what an event is.
    scan=StepScan(step="tep#", kept=ON_DEVICE | {"runtime"}, arrays=False),
)
