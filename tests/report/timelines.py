"""Timelines for the documents of the factory: every call and node in turn, with framework time between them."""

from collections.abc import Sequence

import numpy as np

from attrib.analysis.attribution.timeline import MOST_SEGMENTS, LaneSegments, compact
from attrib.model.document import LedgerRow
from attrib.model.manifest import ROLES, Role
from attrib.model.timeline import LaneKind, StepTimeline, TimelineLane

PARTS = {"torch": "torch dispatch", "onnxruntime": "ort executor"}
BETWEEN_NS = {"torch": 20_000, "onnxruntime": 4_000}
KERNELS = ("void gemm<float, 128>(int*)", "softmax_warp_forward", "Memcpy HtoD (Pageable -> Device)")


def timelines_of(rows: Sequence[LedgerRow]) -> dict[Role, StepTimeline]:
    """One host lane a side; none for a side whose rows have no work."""
    found = {role: _host(rows, role) for role in ROLES}
    return {role: _step(role, [("host", "host", its)]) for role, its in found.items() if len(its.rows)}


def device_timelines_of(rows: Sequence[LedgerRow], streams: int = 2) -> dict[Role, StepTimeline]:
    """The same with kernels on some streams, each a while after its launch, and copies on the last one."""
    found: dict[Role, StepTimeline] = {}
    for role in ROLES:
        host = _host(rows, role)
        work = np.flatnonzero(host.items >= 0)
        queues = [_queue(host, work[number::streams], number) for number in range(streams)]
        lanes = [("device", f"stream {7 + number}", its) for number, its in enumerate(queues)]
        found[role] = _step(role, [("host", "host", host), *lanes], KERNELS)
    return found


def _host(rows: Sequence[LedgerRow], role: Role) -> LaneSegments:
    between = next((i for i, row in enumerate(rows) if row.region == PARTS[role]), -1)
    columns = [
        column
        for place, row in enumerate(rows)
        for item, ns in _items(row, role)
        for column in ((between, -1, BETWEEN_NS[role]), (place, item, ns))
    ]
    places, items, durations = np.array(columns, dtype=np.int64).reshape(-1, 3).T
    return _segments(np.zeros(len(places), dtype=np.int64), durations, places, items)


def _items(row: LedgerRow, role: Role) -> list[tuple[int, int]]:
    ids, ns = (row.torch_calls, row.torch_ns) if role == "torch" else (row.onnx_nodes, row.onnxruntime_ns)
    return [(item, max(ns // len(ids), 1)) for item in range(len(ids))]


def _queue(host: LaneSegments, chosen: np.ndarray, number: int) -> LaneSegments:
    """Half of each call's time on a stream, from the middle of the call on."""
    ends = np.cumsum(host.gaps + host.durations)[chosen]
    durations = host.durations[chosen] // 2
    starts = ends - durations
    gaps = starts - np.concatenate([[0], ends])[:-1]
    return _segments(gaps, durations, host.rows[chosen], host.items[chosen], number % len(KERNELS))


def _segments(
    gaps: np.ndarray, durations: np.ndarray, rows: np.ndarray, items: np.ndarray, label: int = -1
) -> LaneSegments:
    return LaneSegments(
        gaps=gaps,
        durations=durations,
        rows=rows,
        items=items,
        labels=np.full(len(rows), label),
        counts=np.ones(len(rows), dtype=np.int64),
        busy=durations,
    )


def _step(
    role: Role, lanes: list[tuple[LaneKind, str, LaneSegments]], labels: tuple[str, ...] = ()
) -> StepTimeline:
    wall = max(int((its.gaps + its.durations).sum()) for _, _, its in lanes)
    small = compact([its for _, _, its in lanes], MOST_SEGMENTS)
    return StepTimeline(
        step=0,
        wall_ns=wall,
        parts=(PARTS[role],),
        labels=labels,
        lanes=tuple(
            TimelineLane(
                kind=kind,
                name=name,
                gaps_ns=tuple(its.gaps.tolist()) if its.gaps.any() else (),
                durations_ns=tuple(its.durations.tolist()),
                rows=tuple(its.rows.tolist()),
                items=tuple(its.items.tolist()),
                counts=tuple(its.counts.tolist()) if (its.counts > 1).any() else (),
                busy_ns=tuple(its.busy.tolist()) if (its.counts > 1).any() else (),
                labels=tuple(its.labels.tolist()) if labels and (its.labels >= 0).any() else (),
            )
            for (kind, name, _), its in zip(lanes, small, strict=True)
        ),
    )
