"""Kineto traces (torch.profiler's `export_chrome_trace`) to the event table.

Format: libkineto's output_json.cpp; a Chrome trace whose times are microseconds with three decimals, from
`baseTimeNanoseconds` on where the file gives it (torch 2.1 and later) and since the epoch before that.
"""

from operator import attrgetter
from pathlib import Path
from typing import Any

import msgspec

from attrib.model.events import ABSENT, EventTable
from attrib.traces.columns import RawValues
from attrib.traces.event import NO_RAW, Batch, Decoder, number_of, raw_of, text_of
from attrib.traces.facts import base_ns, device_names, facts_for_show
from attrib.traces.kinds import GPU_WORK, rows_of
from attrib.traces.shapes import kineto_tensors
from attrib.traces.sniff import open_trace
from attrib.traces.source import Progress
from attrib.traces.stream import EventStream
from attrib.traces.table import TableBuilder, collect

Integer = int | str | None


class KinetoArgs(msgspec.Struct, gc=False):
    """The arguments that become columns. Old versions wrote some names in lower case."""

    correlation: Integer = ABSENT
    external_id: Integer = msgspec.field(name="External id", default=ABSENT)
    old_external_id: Integer = msgspec.field(name="external id", default=ABSENT)
    stream: Integer = ABSENT
    bytes: Integer = ABSENT
    dims: msgspec.Raw = msgspec.field(name="Input Dims", default=NO_RAW)
    old_dims: msgspec.Raw = msgspec.field(name="Input dims", default=NO_RAW)
    types: msgspec.Raw = msgspec.field(name="Input type", default=NO_RAW)


class ArrayArgs(KinetoArgs, gc=False):
    """The same with what Ascend's profiler gives instead of a category. Its traces are bare arrays of events."""

    task_type: msgspec.Raw = msgspec.field(name="Task Type", default=NO_RAW)


_NO_ARGS = KinetoArgs()


def read_kineto(path: Path, *, lenient: bool = False, progress: Progress | None = None) -> EventTable:
    """Read a Kineto trace (torch.profiler), plain or gzip.

    Raises:
        AttribError: The file cannot be read, is not a Kineto trace, is cut short or not valid JSON.
    """
    with open_trace(path, "kineto", lenient=lenient, progress=progress) as (stream, _):
        return table_of(stream)


def table_of(stream: EventStream) -> EventTable:
    """Read the events of an opened Kineto trace."""
    builder = TableBuilder()
    shapes = RawValues(width=2)

    def extra(batch: Batch[Any]) -> None:
        args = [event.args or _NO_ARGS for event in batch.rows]
        for column in ("correlation", "stream", "bytes"):
            builder.add_integers(column, list(map(attrgetter(column), args)))
        builder.add_integers(
            "external_id", [a.external_id if a.external_id != ABSENT else a.old_external_id for a in args]
        )
        builder.add_raws(
            "inputs", ((bytes(a.dims) or bytes(a.old_dims), bytes(a.types)) for a in args), shapes
        )

    bare = stream.container == "array"
    decoder: Decoder[Any] = Decoder(ArrayArgs, _array_args_from) if bare else Decoder(KinetoArgs, _args_from)
    blocks = stream.blocks(decoder)
    collect(builder, map(_with_task_types, blocks) if bare else blocks, extra)
    return builder.table(
        "kineto",
        inputs=(shapes, kineto_tensors),
        base_ns=base_ns(stream.facts),
        metadata=facts_for_show(stream.facts),
        warn=lambda table: [*decoder.warnings(), *_warnings(table, stream)],
        damage=stream.damage,
    )


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
    """The same events; one without a category has its task type for one."""
    for event in batch.rows:
        if not event.cat and event.args is not None and bytes(event.args.task_type):
            event.cat = _text(bytes(event.args.task_type))
    return batch


def _text(raw: bytes) -> str:
    """A raw JSON string; empty for anything else."""
    try:
        return text_of(msgspec.json.decode(raw))
    except msgspec.DecodeError:
        return ""


def _warnings(table: EventTable, stream: EventStream) -> list[str]:
    """What a reader of the figures should know."""
    if not len(table):
        return ["the trace holds no complete (ph X) event: run something inside the profiler"]
    found = []
    if device_names(stream.facts) and not rows_of(table, GPU_WORK).size:
        found.append("a GPU was present but there are no kernel times: profile with ProfilerActivity.CUDA")
    calls = rows_of(table, {"call"})
    if calls.size and not any(table.inputs):
        found.append("no shapes recorded: profile with record_shapes=True to see them")
    if not calls.size:
        found.append("no operators recorded: profile with ProfilerActivity.CPU to see them")
    return found
