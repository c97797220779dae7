"""Which node of an ORT profile a kernel event belongs to.

Builds with CUPTI or ROCTracer, plugin providers and WebGPU write what the device did beside the nodes. How such an
event says whose it is:

1. `parent_name` (CUPTI and ROCTracer since 1.14, plugin providers), `ort_event_name` (the CUDA plugin) or
   `parent_ort_node` (the QNN plugin): the name of the node's event. The reader takes whichever is there.
2. WebGPU: the name is `node&operator&program`.
3. Up to 1.13: nothing but the op type. The event stands next to its node in the file: the last node event before it
   (or fence, in the oldest) that has its op type.

A node runs once a run: the event belongs to the last execution of the node that began before it, or to the first where
the device's clock was not aligned with the host's.
"""

import numpy as np

from attrib.model.events import ABSENT, EventTable, Int64s
from attrib.traces.recording.activity_types import Rows, distinct, rows_of
from attrib.traces.recording.runs import FENCES, NONE, node_name

_OF_WEBGPU = "&"
_WEBGPU_PARTS = 3


def node_of_work(table: EventTable, nodes: Rows, work: Rows) -> Rows:
    """For each row of device work, the row of the node event that it belongs to, or `NONE`.

    Args:
        table: An ORT profile.
        nodes: Rows of the node events, without fences.
        work: Rows of device work.
    """
    executions = _executions(table, nodes)
    before = _node_before(table, work)
    found = np.full(work.size, NONE, np.intp)
    for parent, own in _positions(_parents(table, work, before)).items():
        rows = executions.get(parent)
        if parent and rows is not None:
            began = np.searchsorted(table.start_ns[rows], table.start_ns[work[own]], side="right") - 1
            found[own] = rows[np.maximum(began, 0)]
    beside = (found == NONE) & (table.parent[work] == ABSENT) & np.isin(before, nodes)
    return np.where(beside, before, found)


def _positions(names: list[str]) -> dict[str, list[int]]:
    """Where in a list each of its names stands."""
    found: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        found.setdefault(name, []).append(position)
    return found


def _executions(table: EventTable, nodes: Rows) -> dict[str, Rows]:
    """Rows of the events of each node, by its name, in order of time."""
    ordered = nodes[np.argsort(table.start_ns[nodes], kind="stable")]
    by_name = ordered[np.argsort(table.name[ordered], kind="stable")]
    codes, starts = np.unique(table.name[by_name], return_index=True)
    parts = np.split(by_name, starts[1:]) if codes.size else []
    return {node_name(table.text(int(code))): part for code, part in zip(codes, parts, strict=True)}


def _parents(table: EventTable, work: Rows, before: Rows) -> list[str]:
    """The name of the node of each row; empty where nothing tells, or where it stands beside its node."""
    named = {code: _bare(table.text(code)) for code in distinct(table.parent[work])}
    from_name = {code: _of_webgpu(table.text(code)) for code in distinct(table.name[work])}
    fences = np.array([NONE if row == NONE else table.name[row] for row in before.tolist()], dtype=np.intp)
    from_fence = {code: _of_fence(table.text(code)) for code in np.unique(fences).tolist()}
    return [
        named[parent] or from_name[name] or from_fence[fence]
        for parent, name, fence in zip(
            table.parent[work].tolist(), table.name[work].tolist(), fences.tolist(), strict=True
        )
    ]


def _node_before(table: EventTable, work: Rows) -> Rows:
    """The last node event or fence before each row in the file, of the row's op type."""
    events = rows_of(table, {"node"})
    found = np.full(work.size, NONE, np.intp)
    for op in distinct(table.op[work]):
        if op < 0:
            continue
        own, of_op = np.flatnonzero(table.op[work] == op), events[table.op[events] == op]
        position: Int64s = np.searchsorted(of_op, work[own]) - 1
        found[own] = np.where(position >= 0, of_op[np.maximum(position, 0)], NONE) if of_op.size else NONE
    return found


def _bare(event_name: str) -> str:
    for suffix in FENCES:
        event_name = event_name.removesuffix(suffix)
    return node_name(event_name)


def _of_fence(event_name: str) -> str:
    """The node of a fence; empty for another event, which is then the node itself."""
    return _bare(event_name) if event_name.endswith(FENCES) else ""


def _of_webgpu(name: str) -> str:
    node, *rest = name.split(_OF_WEBGPU)
    return node if len(rest) == _WEBGPU_PARTS - 1 else ""
