"""One step of either engine in the Trace Event Format, which Perfetto and Chrome's tracing page open.

Both steps begin at 0 on one clock; each engine is a process, each of its threads and queues a thread, with a track of the
modules above. A flow leads from what PyTorch ran for a region to what ONNX Runtime ran for it. Times are microseconds, with
decimals down to the nanosecond ("Trace Event Format", Google, 2016: phases X, M, s and f).
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from attrib.errors import AttribError
from attrib.model.document import CAUSES, Document, LedgerRow
from attrib.model.manifest import ROLES, Role
from attrib.model.timeline import StepTimeline, TimelineLane
from attrib.report.view.text import make_visible, shorten
from attrib.report.view.verdict import side_names

_NAME_LIMIT = 200
_MODULES = 0
"""The thread that holds the modules; lanes follow."""

Event = dict[str, Any]


def to_perfetto(document: Document) -> bytes:
    """The typical steps of a document as Trace Event JSON.

    Raises:
        AttribError: No step was kept segment by segment.
    """
    shown = [(role, document.timeline[role]) for role in ROLES if role in document.timeline]
    if not any(step.lanes for _, step in shown):
        raise AttribError(
            "this capture has no timeline: no profiled step was recorded", hint="attrib profile records some"
        )
    names, events = side_names(document), list[Event]()
    longest: dict[str, dict[Role, Event]] = {}
    for process, (role, step) in enumerate(shown, start=1):
        events += _names(process, names[role], step)
        for thread, lane in enumerate(step.lanes, start=1):
            for event, row in _slices(document, role, step, lane):
                events.append({**event, "pid": process, "tid": thread})
                if row is not None:
                    best = longest.setdefault(row.region, {})
                    if role not in best or best[role]["dur"] < event["dur"]:
                        best[role] = events[-1]
        if step.lanes:
            events += _module_slices(document, step.lanes[0], process)
    events += _flows(longest)
    made = {
        "displayTimeUnit": "ns",
        "otherData": {"model": _visible(document.workload.model), "attrib": document.attrib_version},
        "traceEvents": events,
    }
    return msgspec.json.encode(made) + b"\n"


def _names(process: int, name: str, step: StepTimeline) -> Iterator[Event]:
    yield {"ph": "M", "name": "process_name", "pid": process, "tid": 0, "args": {"name": name}}
    yield {"ph": "M", "name": "process_sort_index", "pid": process, "tid": 0, "args": {"sort_index": process}}
    for thread, lane in enumerate(("modules", *(lane.name for lane in step.lanes))):
        args = {"name": _visible(lane)}
        yield {"ph": "M", "name": "thread_name", "pid": process, "tid": thread, "args": args}
        yield {
            "ph": "M",
            "name": "thread_sort_index",
            "pid": process,
            "tid": thread,
            "args": {"sort_index": thread},
        }


def _spans(lane: TimelineLane) -> Iterator[tuple[int, int, int]]:
    """Number, start and duration of each segment, in nanoseconds."""
    at = 0
    for number, length in enumerate(lane.durations_ns):
        at += lane.gaps_ns[number] if lane.gaps_ns else 0
        yield number, at, length
        at += length


def _slices(
    document: Document, role: Role, step: StepTimeline, lane: TimelineLane
) -> Iterator[tuple[Event, LedgerRow | None]]:
    """Every segment of a lane as a slice, with its row where it has one."""
    for number, start, length in _spans(lane):
        place, item = lane.rows[number], lane.items[number]
        row = document.ledger[place] if 0 <= place < len(document.ledger) else None
        merged = lane.counts[number] if lane.counts else 1
        args: dict[str, Any] = {}
        name = _label(step, role, row, item, merged)
        if row is not None:
            args = {
                "region": _visible(row.region),
                "module": _visible(row.module),
                "cause": CAUSES[row.cause].title,
                "row": _visible(row.id),
            }
        if merged > 1:
            args["merged"] = merged
            args["busy_us"] = _us(lane.busy_ns[number])
        if lane.labels and 0 <= lane.labels[number] < len(step.labels):
            args["work"], name = name, _visible(step.labels[lane.labels[number]])
        category = row.cause if row is not None else "framework"
        yield (
            {"ph": "X", "name": name, "cat": category, "ts": _us(start), "dur": _us(length), "args": args},
            row,
        )


def _label(step: StepTimeline, role: Role, row: LedgerRow | None, item: int, merged: int) -> str:
    """The call or node that ran, the part of the framework, or how many small ones were merged."""
    if merged > 1:
        return f"{merged} small ones"
    if item < 0:
        part = -1 - item
        return _visible(step.parts[part]) if part < len(step.parts) else "framework"
    names: Sequence[str] = () if row is None else row.torch_calls if role == "torch" else row.onnx_nodes
    return _visible(names[item]) if item < len(names) else "unknown"


def _module_slices(document: Document, lane: TimelineLane, process: int) -> Iterator[Event]:
    """The modules of the first thread, each as one slice while it holds the thread, inside the module that holds it."""
    open_: list[tuple[str, int]] = []
    end = 0

    def close(depth: int) -> Iterator[Event]:
        while len(open_) > depth:
            path = ".".join(name for name, _ in open_)
            name, start = open_.pop()
            yield {"ph": "X", "name": _visible(name), "cat": "module", "ts": _us(start), "dur": _us(end - start),
                   "pid": process, "tid": _MODULES, "args": {"module": _visible(path)}}  # fmt: skip

    for number, start, length in _spans(lane):
        place = lane.rows[number]
        module = document.ledger[place].module if 0 <= place < len(document.ledger) else ""
        parts = module.split(".") if module else []
        shared = 0
        while shared < min(len(parts), len(open_)) and open_[shared][0] == parts[shared]:
            shared += 1
        yield from close(shared)
        open_ += [(part, start) for part in parts[shared:]]
        end = start + length
    yield from close(0)


def _flows(longest: dict[str, dict[Role, Event]]) -> Iterator[Event]:
    """From PyTorch's longest slice of a region to ONNX Runtime's: a flow belongs to the slice that begins where it does."""
    both = (ends for ends in longest.values() if len(ends) == len(ROLES))
    for number, ends in enumerate(both, start=1):
        for role, phase in zip(ROLES, "sf", strict=True):
            slice_ = ends[role]
            more = {"bp": "e"} if phase == "f" else {}
            yield {"ph": phase, "id": number, "name": "same work", "cat": "match", "ts": slice_["ts"],
                   "pid": slice_["pid"], "tid": slice_["tid"], **more}  # fmt: skip


def _us(ns: int) -> float:
    return ns / 1000


def _visible(text: str) -> str:
    return shorten(make_visible(text), _NAME_LIMIT)
