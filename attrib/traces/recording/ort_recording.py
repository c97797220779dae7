"""An ONNX Runtime profile as a recording: runs, the nodes in them, and the device's work beside its node.

ORT writes a run after its nodes, its times are not monotone, one run may hold several `SequentialExecutor::Execute` (an
`If` node's branch), and several threads may run one session at the same time: what belongs to a run is told by time and
thread, not by file order or by counting executors.
"""

import re
from typing import ClassVar

import numpy as np

from attrib.traces.recording.activity_types import DEVICE_WORK, Kind
from attrib.traces.recording.intervals import NONE, last_containing, only_containing
from attrib.traces.recording.ort_kernels import FENCES, nodes_of_work
from attrib.traces.recording.recording import Recording, Rows, Runs, distinct, indexed

RUN = "model_run"
EXECUTORS = frozenset({"SequentialExecutor::Execute", "ParallelExecutor::Execute"})

NO_THREAD = "-1/-1"
"""The track of what no thread did."""

# ORT writes everything that a device did as `Kernel` (CUPTI, ROCTracer, plugin providers), copies too: only the
# name tells them. WebGPU writes its kernels as `Api`, as an event of no thread; an `Api` event of a thread is a call.
_REFINED: frozenset[Kind] = DEVICE_WORK | {"api"}
_COPY = re.compile(r"Memcpy\w*|Copy\w*To\w*")
_FILL = re.compile(r"Memset\w*|FillBuffer")


class OrtRecording(Recording):
    """The events of an ONNX Runtime profile: steps are runs, and operators are nodes."""

    records_nodes: ClassVar[bool] = True
    step_unit: ClassVar[str] = "runs"
    placed_by_launch: ClassVar[frozenset[Kind]] = DEVICE_WORK

    @indexed
    def of_kind(self, *kinds: Kind) -> Rows:
        """Rows whose events are of one of the kinds, in file order; of the device's work the name tells the kind."""
        found = super().of_kind(*kinds)
        if _REFINED.isdisjoint(kinds):
            return found
        work = self._device_rows()
        names = self.name[work]
        of_kind = [code for code in distinct(names) if _work_kind(self.text(code)) in kinds]
        return np.sort(np.concatenate([found[~np.isin(found, work)], work[np.isin(names, of_kind)]]))

    @indexed
    def _device_rows(self) -> Rows:
        """Rows of everything that a device did: kernels first, then what WebGPU writes as calls of no thread."""
        calls = super().of_kind("api")
        return np.concatenate([super().of_kind("kernel"), calls[self.track[calls] == self.code(NO_THREAD)]])

    def ops(self) -> Rows:
        """Rows of the executed nodes."""
        return self.nodes()

    @indexed
    def nodes(self) -> Rows:
        """Rows of the events that are executed nodes, without the fences around them, in file order."""
        rows = self.of_kind("node")
        return rows[self.has_name(rows, lambda name: not name.endswith(FENCES))]

    @indexed
    def runs(self) -> Runs:
        """The runs, with their nodes and executors."""
        session = self.of_kind("session")
        executors = session[self.has_name(session, EXECUTORS.__contains__)]
        return Runs(
            rows=self.steps(),
            nodes=self.nodes(),
            run_of_node=self.step_of(self.nodes()),
            executors=executors,
            run_of_executor=self.step_of(executors),
        )

    @indexed
    def steps(self) -> Rows:
        """Rows of the runs, in order of time."""
        session = self.of_kind("session")
        return self.by_start(session[self.has_name(session, lambda name: name == RUN)])

    def step_numbers(self) -> list[int]:
        """The place of each run in order of time, from 1."""
        return list(range(1, self.steps().size + 1))

    def step_of(self, rows: Rows) -> Rows:
        """The position of the run in which each row starts; `NONE` where nothing tells.

        A run on the row's own thread wins. Else (a parallel executor's node runs on another thread) the run must be
        the only one at that time. A run belongs to itself.
        """
        runs = self.steps()
        found = only_containing(self.start_ns[runs], self.ends(runs), self.start_ns[rows])
        for track in distinct(self.track[runs]):
            own = np.flatnonzero(self.track[runs] == track)
            placed = np.flatnonzero(self.track[rows] == track)
            position = self._run_on_thread(runs[own], rows[placed])
            inside = position != NONE
            found[placed[inside]] = own[position[inside]]
        itself = np.isin(rows, runs)
        by_row = np.argsort(runs)
        found[itself] = by_row[np.searchsorted(runs[by_row], rows[itself])]
        return found

    def _run_on_thread(self, runs: Rows, rows: Rows) -> Rows:
        """The position of the run that holds each row of the same thread.

        ORT's times are whole microseconds, so a run may begin in the microsecond in which the one before ended:
        then the file's order tells, because a thread writes a run after everything in it.
        """
        ends = self.ends(runs)
        position = last_containing(self.start_ns[runs], ends, self.start_ns[rows])
        before = np.maximum(position - 1, 0)
        touching = (position > 0) & (ends[before] >= self.start_ns[rows]) & (rows < runs[before])
        return np.where(touching, before, position)

    def launch_of(self, work: Rows) -> Rows:
        """The row of the node that each row of a device's work belongs to, or `NONE`."""
        return nodes_of_work(self, work)


def _work_kind(name: str) -> Kind:
    return "memcpy" if _COPY.fullmatch(name) else "memset" if _FILL.fullmatch(name) else "kernel"
