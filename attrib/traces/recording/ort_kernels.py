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

from collections.abc import Iterable

import numpy as np

from attrib.model.events import ABSENT
from attrib.traces.recording.intervals import NONE, Int64s
from attrib.traces.recording.recording import Recording, Rows, distinct

FENCES = ("_fence_before", "_fence_after")
"""Suffixes of the events that ORT up to 1.20 wrote around each node."""

NODE_SUFFIX = "_kernel_time"
_OF_WEBGPU = "&"
_WEBGPU_PARTS = 3


def node_name(event_name: str) -> str:
    """The node's own name from the name of its event."""
    return event_name.removesuffix(NODE_SUFFIX)


def nodes_of_work(profile: Recording, work: Rows) -> Rows:
    """For each row of device work, the row of the node event that it belongs to, or `NONE`."""
    nodes = profile.nodes()
    by_name = profile.by_start(nodes)
    by_name = by_name[np.argsort(profile.name[by_name], kind="stable")]
    codes, starts = np.unique(profile.name[by_name], return_index=True)
    parts = np.split(by_name, starts[1:]) if codes.size else []
    # Rows of the events of each node, by its name, in order of time.
    executions = {
        node_name(profile.text(code)): part for code, part in zip(codes.tolist(), parts, strict=True)
    }
    before = _node_before(profile, work)
    found = np.full(work.size, NONE, np.intp)
    positions: dict[str, list[int]] = {}
    for position, parent in enumerate(_parents(profile, work, before)):
        positions.setdefault(parent, []).append(position)
    for parent, own in positions.items():
        rows = executions.get(parent)
        if parent and rows is not None:
            began = np.searchsorted(profile.start_ns[rows], profile.start_ns[work[own]], side="right") - 1
            found[own] = rows[np.maximum(began, 0)]
    beside = (found == NONE) & (profile.parent[work] == ABSENT) & np.isin(before, nodes)
    return np.where(beside, before, found)


def _parents(profile: Recording, work: Rows, before: Rows) -> Iterable[str]:
    """The name of the node of each row; empty where nothing tells, or where it stands beside its node."""
    named = {code: _bare(profile.text(code)) for code in distinct(profile.parent[work])}
    from_name = {}
    for code in distinct(profile.name[work]):
        node, *rest = profile.text(code).split(_OF_WEBGPU)
        from_name[code] = node if len(rest) == _WEBGPU_PARTS - 1 else ""
    fences = np.array([NONE if row == NONE else profile.name[row] for row in before.tolist()], dtype=np.intp)
    from_fence = {}
    for code in np.unique(fences).tolist():
        name = profile.text(
            code
        )  # of another event than a fence, which is then the node itself, nothing is said
        from_fence[code] = _bare(name) if name.endswith(FENCES) else ""
    rows = zip(profile.parent[work].tolist(), profile.name[work].tolist(), fences.tolist(), strict=True)
    return (named[parent] or from_name[name] or from_fence[fence] for parent, name, fence in rows)


def _node_before(profile: Recording, work: Rows) -> Rows:
    """The last node event or fence before each row in the file, of the row's op type."""
    events = profile.of_kind("node")
    found = np.full(work.size, NONE, np.intp)
    for op in distinct(profile.op[work]):
        if op < 0:
            continue
        own, of_op = np.flatnonzero(profile.op[work] == op), events[profile.op[events] == op]
        position: Int64s = np.searchsorted(of_op, work[own]) - 1
        found[own] = np.where(position >= 0, of_op[np.maximum(position, 0)], NONE) if of_op.size else NONE
    return found


def _bare(event_name: str) -> str:
    """The node's own name from the name of its event or of a fence around it."""
    for suffix in FENCES:
        event_name = event_name.removesuffix(suffix)
    return node_name(event_name)
