"""ONNX Runtime's built-in profile as a recording.

Format: core/common/profiler.cc; an array of events, one a line, whose times are integer microseconds since the
profiling start. Older versions write names without escaping (1.31.1 escapes them): a quote, a backslash or a
newline in a node's name breaks the JSON. Such events are found by the layout of their lines and mended.
"""

import json
import re
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import msgspec

from attrib.model.events import ABSENT
from attrib.traces.formats.event import NO_RAW, Batch, Decoder, number_of, raw_of, text_of
from attrib.traces.formats.table_builder import RawValues, Strings, TableBuilder, collect, integers
from attrib.traces.formats.trace_format import StepScan, TraceFormat
from attrib.traces.io.stream import EventSpan, EventStream
from attrib.traces.recording.activity_types import DEVICE_WORK
from attrib.traces.recording.ort_kernels import FENCES, NODE_SUFFIX
from attrib.traces.recording.ort_recording import RUN, OrtRecording
from attrib.traces.recording.recording import Recording
from attrib.traces.recording.shapes import ort_tensors

MOST_EVENTS = 1_000_000
"""ORT records no more than this (Profiler::global_max_num_events_); older versions stop without a word."""

TRUNCATED = "profile_truncated"


class OrtArgs(msgspec.Struct, gc=False):
    """The arguments that become columns. ORT writes numbers as strings."""

    op_name: str | None = ""
    provider: str | None = ""
    node_index: int | str | None = ABSENT
    stream: int | str | None = ABSENT
    parent_name: str | None = None
    ort_event_name: str | None = None
    parent_ort_node: str | None = None
    inputs: msgspec.Raw = msgspec.field(name="input_type_shape", default=NO_RAW)
    outputs: msgspec.Raw = msgspec.field(name="output_type_shape", default=NO_RAW)


# Categories of ORT's profiler. No Kineto version has used them, and inside a string the quotes would be
# escaped.
_CATEGORY = re.compile(rb'"cat"\s*:\s*"(?:Session|Node)"')
_NO_ARGS = OrtArgs()
_provider = attrgetter("provider")
_node_index, _stream = attrgetter("node_index"), attrgetter("stream")
_inputs, _outputs = attrgetter("inputs"), attrgetter("outputs")
_LONGEST_MENDED = 1 << 17  # the patterns below take quadratic time on text that was made to be slow

_EVENT_END = re.compile(r'\}(?=[ \t]*+,?[ \t]*+\r?\n(?:\{"cat"|\]))')
_EVENT_START = re.compile(r'\{"cat"')
# A string value ends at a quote that the next key or the end of the object follows, whatever it holds itself.
_NAME = re.compile(r'"name" ?: ?"')
_NAME_END = re.compile(r'"(?= ?, ?"args" ?: ?\{)')
_TEXT_ARGUMENT = re.compile(r'"(?:op_name|provider|parent_name|ort_event_name|parent_ort_node)" ?: ?"')
_ARGUMENT_END = re.compile(r'"(?= ?, ?"\w+" ?: ?["\[{]| ?\})')


def decoder_of(_: EventStream) -> Decoder[Any]:
    """What decodes the events of an opened ORT profile."""
    return Decoder(OrtArgs, _args_from, split=_split, mend=_mend)


def fill(builder: TableBuilder, _: EventStream, batches: Iterable[Batch[Any]]) -> None:
    """Add the events of an ORT profile to the columns."""
    inputs = builder.raw["inputs"] = RawValues(width=1)
    outputs = builder.raw["outputs"] = RawValues(width=1)

    def extra(batch: Batch[Any]) -> None:
        count = len(batch.rows)
        args = [event.args or _NO_ARGS for event in batch.rows]
        ops = [a.op_name or _op_in_name(event) for a, event in zip(args, batch.rows, strict=True)]
        parents = (a.parent_name or a.ort_event_name or a.parent_ort_node for a in args)
        builder.append("op", builder.strings.codes(ops, count))
        builder.append("provider", builder.strings.codes(map(_provider, args), count))
        builder.append("parent", builder.strings.codes(parents, count))
        builder.append("node_index", integers(list(map(_node_index, args))))
        builder.append("stream", integers(list(map(_stream, args))))
        builder.append("inputs", inputs.codes(zip(map(bytes, map(_inputs, args))), count))
        builder.append("outputs", outputs.codes(zip(map(bytes, map(_outputs, args))), count))

    collect(builder, batches, extra)


def _op_in_name(event: Any) -> str:
    """The op type in the name of a node's event without arguments (DirectML): `/encoder/LSTM_kernel_time` is an LSTM."""
    name = event.name or ""
    if event.cat != "Node" or not name.endswith(NODE_SUFFIX):
        return ""
    parts = name.removesuffix(NODE_SUFFIX).rpartition("/")[2].split("_")
    while len(parts) > 1 and parts[-1].isdecimal():
        parts.pop()
    return "_".join(parts)


def _args_from(fields: dict[str, Any]) -> OrtArgs:
    return OrtArgs(
        op_name=text_of(fields.get("op_name")),
        provider=text_of(fields.get("provider")),
        node_index=number_of(fields.get("node_index")),
        stream=number_of(fields.get("stream")),
        parent_name=text_of(fields.get("parent_name")),
        ort_event_name=text_of(fields.get("ort_event_name")),
        parent_ort_node=text_of(fields.get("parent_ort_node")),
        inputs=raw_of(fields.get("input_type_shape")),
        outputs=raw_of(fields.get("output_type_shape")),
    )


def _split(text: str) -> list[EventSpan]:
    """Whole events by the layout of the lines: `{"cat"` at the start of a line begins one."""
    spans: list[EventSpan] = []
    start = _EVENT_START.match(text)
    for end in _EVENT_END.finditer(text):
        if start is None:
            break
        if end.start() < start.start():  # the end of an event whose start is broken
            continue
        spans.append(EventSpan(start.start(), end.end()))
        start = _EVENT_START.search(text, end.end())
    return spans


def _mend(event: str) -> str:
    """Escape what ORT left unescaped in the name and in the arguments that hold names.

    Text in which a second event begins is left as it is: what is broken there is not a name. Each pattern is looked for
    once along the text, which keeps the time linear whatever the text holds.
    """
    if len(event) > _LONGEST_MENDED or _EVENT_START.search(event, 1):
        return event
    name = _NAME.search(event)
    ends = list(_NAME_END.finditer(event, name.end())) if name else []
    if name and ends:  # the last: a name may itself look like the end of one
        event = (
            event[: name.end()] + _escaped(event[name.end() : ends[-1].start()]) + event[ends[-1].start() :]
        )
    pieces, at = [], 0
    while (key := _TEXT_ARGUMENT.search(event, at)) and (end := _ARGUMENT_END.search(event, key.end())):
        pieces += [event[at : key.end()], _escaped(event[key.end() : end.start()])]
        at = end.start()
    return "".join((*pieces, event[at:]))


def _escaped(text: str) -> str:
    return json.dumps(text)[1:-1]


def detect(stream: EventStream, sample: bytes) -> bool:
    """Whether the file has categories of ORT's profiler, or is the empty array of a profile without runs."""
    is_empty = stream.container == "array" and sample.lstrip().startswith(b"]")
    return is_empty or _CATEGORY.search(sample) is not None


def warnings_of(profile: Recording, stream: EventStream, texts: Strings) -> list[str]:
    """What a reader of the figures should know."""
    found = []
    if TRUNCATED in texts or stream.count >= MOST_EVENTS:
        found.append(
            f"ONNX Runtime stopped recording at {MOST_EVENTS:,} events and later runs are missing:"
            " profile fewer runs"
        )
    if not (profile.name == profile.code(RUN)).any():
        found.append(
            "the profile holds no run: call session.run while profiling is enabled,"
            " then session.end_profiling()"
        )
    nodes = profile.of_kind("node")
    if not nodes.size:
        return found
    if profile.has_name(nodes, lambda name: name.endswith(FENCES)).any():
        found.append(
            "the profile holds fence events (ONNX Runtime up to 1.20):"
            " they are counted beside the nodes, not as nodes"
        )
    if not (profile.provider[nodes] >= 0).any():
        found.append(
            "no execution providers recorded: by an old ONNX Runtime, or a provider without arguments (DirectML)"
        )
    if not any(profile.inputs):
        found.append("no shapes recorded: by an old ONNX Runtime, or a provider without arguments (DirectML)")
    return found


ORT_PROFILE = TraceFormat(
    name="ort-profile",
    title="ONNX Runtime profile",
    role="onnxruntime",
    detect=detect,
    decoder=decoder_of,
    fill=fill,
    tensors=ort_tensors,
    recording=OrtRecording,
    warnings=warnings_of,
    scan=StepScan(step=RUN, needed=TRUNCATED.encode(), bound=DEVICE_WORK | {"api"}),
)
