"""A recording: the events of one trace, which answer what they are and what belongs to what.

Nothing outside `attrib.traces` looks at categories: it asks for operators, kernels, copies, steps, runs or nodes. An
answer is an array of rows (positions in the columns) that is worked out once and kept.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import wraps
from typing import Any, ClassVar, Concatenate, ParamSpec, Self, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.model.events import EventTable
from attrib.traces.recording.activity_types import DEVICE_WORK, ON_DEVICE, Kind, kind_of
from attrib.traces.recording.device_names import CallKind, call_kind_of
from attrib.traces.recording.intervals import NONE, is_outermost, last_containing

Rows = npt.NDArray[np.intp]
Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.int32]

STEP = re.compile(r"(?:ProfilerStep#|attrib\.step#)\d+")
MODULE_RANGE = "module: "
"""What attrib's forward hooks put before a module's qualified name."""
RANGE = re.compile(rf"{STEP.pattern}$|{MODULE_RANGE}")
"""Ranges that a profiler may have recorded as operators: steps up to 2021, and modules where torch has its cheaper range."""
_OWN_STEP = "attrib.step#"

_TEXT_COLUMNS = ("name", "category", "track", "op", "provider", "parent")
_NUMBER_COLUMNS = (
    "start_ns", "duration_ns", "correlation", "external_id", "node_index", "stream", "bytes",
)  # fmt: skip

R = TypeVar("R", bound="Recording")
P = ParamSpec("P")
T = TypeVar("T")


def indexed(query: Callable[Concatenate[R, P], T]) -> Callable[Concatenate[R, P], T]:
    """Make a query of a recording keep its answers: events never change, and several stages ask the same."""

    @wraps(query)
    def answer(recording: R, /, *args: P.args, **kwargs: P.kwargs) -> T:
        known: dict[object, Any] = recording.__dict__.setdefault("_answers", {})
        key = query, args
        if key not in known:
            found = query(recording, *args, **kwargs)
            if isinstance(found, np.ndarray):
                found.flags.writeable = False  # everybody gets the same array
            known[key] = found
        return known[key]  # type: ignore[no-any-return]

    return answer


def distinct(codes: Codes) -> list[int]:
    """The distinct entries of a string column, in ascending order."""
    if not codes.size:
        return []
    return [int(code) - 1 for code in np.flatnonzero(np.bincount(codes + 1))]


class Runs(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """The runs of an ORT profile and what belongs to each.

    Attributes:
        rows: Row of each run's event, in order of time.
        nodes: Rows of the node events (no fences), in file order.
        run_of_node: For each of `nodes`, the position of its run in `rows`; `NONE` outside every run, or where runs on
            several threads overlap and the node's own thread does not tell.
        executors: Rows of the executor events, in file order.
        run_of_executor: The same for `executors`.
    """

    rows: Rows
    nodes: Rows
    run_of_node: Rows
    executors: Rows
    run_of_executor: Rows


class Recording(EventTable):
    """The events of one trace, with the queries to them.

    What is said here holds for Kineto traces and their kin: operators are calls of the host, steps are annotations, and
    the device's work names the runtime call that launched it. Another format overrides what it tells differently.
    """

    records_nodes: ClassVar[bool] = False
    """Whether operators are the nodes of a graph that is run, not calls."""

    step_unit: ClassVar[str] = "steps"
    """What the reader knows the steps as."""

    placed_by_launch: ClassVar[frozenset[Kind]] = ON_DEVICE
    """Kinds of events that belong to the step that launched them, whenever they ran."""

    # ---- kinds and names

    def kind(self, code: int) -> Kind:
        """What a category, given by its code, stands for."""
        return kind_of(self.text(code))

    @indexed
    def of_kind(self, *kinds: Kind) -> Rows:
        """Rows whose events are of one of the kinds, in file order."""
        wanted = np.zeros(len(self.strings) + 1, dtype=bool)  # the last one stands for ABSENT, -1
        wanted[[code for code in distinct(self.category) if self.kind(code) in kinds]] = True
        return np.flatnonzero(wanted[self.category])

    def categories(self) -> Iterator[tuple[str, Rows]]:
        """Each category as the file spells it, with its rows, in order of its name; all rows at once would be many."""
        codes = {self.text(code): code for code in distinct(self.category)}
        return ((name, np.flatnonzero(self.category == codes[name])) for name in sorted(codes))

    def has_name(self, rows: Rows, accept: Callable[[str], bool]) -> Bools:
        """Which of the rows have a name that is accepted; each distinct name is asked about once."""
        names = self.name[rows]
        return np.isin(names, [code for code in distinct(names) if accept(self.text(code))])

    def by_start(self, rows: Rows) -> Rows:
        """The rows in order of time."""
        return rows[np.argsort(self.start_ns[rows], kind="stable")]

    def ends(self, rows: Rows | Int64s) -> Int64s:
        """When each row's event ends, in nanoseconds."""
        return self.start_ns[rows] + self.duration_ns[rows]

    # ---- what the host did

    @indexed
    def calls(self) -> Rows:
        """Rows of the operators that the host called, nested ones too."""
        rows, ranges = self._calls_and_ranges()
        return rows[~ranges]

    def _calls_and_ranges(self) -> tuple[Rows, Bools]:
        """Rows of the category of operators, and which of them are ranges: old profilers and cheap ranges have no other."""
        rows = self.of_kind("call")
        return rows, self.has_name(rows, lambda name: RANGE.match(name) is not None)

    @indexed
    def ops(self) -> Rows:
        """Rows of the operators that lie in no other: outermost calls, or the nodes of a graph."""
        return self.outermost(self.calls())

    def annotations(self) -> Rows:
        """Rows of the ranges that the user or a tool named, in file order."""
        rows, ranges = self._calls_and_ranges()
        return np.sort(np.concatenate([self.of_kind("annotation"), rows[ranges]]))

    def python_calls(self) -> Rows:
        """Rows of the Python functions and modules that a profiler with stacks recorded."""
        return self.of_kind("python")

    def runtime_calls(self) -> Rows:
        """Rows of the calls to a device's runtime or driver."""
        return self.of_kind("runtime")

    @indexed
    def calls_to(self, kind: CallKind) -> Rows:
        """Rows of the runtime calls that launch, launch a graph, or wait."""
        rows = self.runtime_calls()
        return rows[self.has_name(rows, lambda name: call_kind_of(name) == kind)]

    def outermost(self, rows: Rows) -> Rows:
        """Those of the rows that lie in no other of them on the same thread, in file order."""
        keep = []
        for track in np.unique(self.track[rows]):
            own = rows[self.track[rows] == track]
            own = own[np.lexsort((-self.duration_ns[own], self.start_ns[own]))]
            keep.append(own[is_outermost(self.start_ns[own], self.ends(own))])
        return np.sort(np.concatenate(keep)) if keep else rows

    # ---- what the device did

    def device_work(self) -> Rows:
        """Rows of the device's work: kernels, copies and fills, in file order."""
        return self.of_kind(*DEVICE_WORK)

    def kernels(self) -> Rows:
        """Rows of the device's kernels."""
        return self.of_kind("kernel")

    def copies(self) -> Rows:
        """Rows of the copies that the device made."""
        return self.of_kind("memcpy")

    def fills(self) -> Rows:
        """Rows of the fills of device memory."""
        return self.of_kind("memset")

    def waits(self) -> Rows:
        """Rows of the waits that the device itself recorded."""
        return self.of_kind("sync")

    @indexed
    def launches(self) -> Rows:
        """For each row of the device's work the row of what launched it, a runtime call or a node; `NONE` if unknown."""
        return self.launch_of(self.device_work())

    def launch_of(self, work: Rows) -> Rows:
        """The row of what launched each row of a device's work, or `NONE`.

        One call may launch many kernels (a graph); of several calls with one correlation the first in time counts.
        """
        calls = self.runtime_calls()
        calls = calls[self.correlation[calls] > 0]
        calls = calls[np.lexsort((self.start_ns[calls], self.correlation[calls]))]
        if not calls.size:
            return np.full(work.size, NONE, np.intp)
        wanted = self.correlation[work]
        first = np.minimum(np.searchsorted(self.correlation[calls], wanted), calls.size - 1)
        return np.where((self.correlation[calls][first] == wanted) & (wanted > 0), calls[first], NONE)

    # ---- steps

    @indexed
    def steps(self) -> Rows:
        """Rows of the steps in order of time: annotations, or the runs of a profile.

        attrib's own steps (`attrib.step#N`) win over the profiler's (`ProfilerStep#N`), which may enclose them.
        The same names in the category `gpu_user_annotation` are ranges of device work, not steps.
        """
        named = self.annotations()
        named = named[self.has_name(named, lambda name: STEP.fullmatch(name) is not None)]
        own = named[self.has_name(named, lambda name: name.startswith(_OWN_STEP))]
        return self.by_start(own if own.size else named)

    def step_numbers(self) -> list[int]:
        """The number of each step: that in its name, or its place among the runs, from 1."""
        return [int(self.text(code).rpartition("#")[2]) for code in self.name[self.steps()].tolist()]

    def step_of(self, rows: Rows) -> Rows:
        """The position of the step in which each row starts, whatever its thread; `NONE` for none."""
        steps = self.steps()
        return last_containing(self.start_ns[steps], self.ends(steps), self.start_ns[rows])

    @indexed
    def step_of_device_work(self) -> Rows:
        """For each row of the device's work, the position of the step in which its launch lies, or `NONE`.

        Not by the kernel's own time: a kernel that runs in this window may have been launched by the step before.
        """
        launches = self.launches()
        if not len(self):
            return launches
        return np.where(launches == NONE, NONE, self.step_of(np.maximum(launches, 0)))

    def step_of_events(self) -> Rows:
        """For each event, the position of the step that it belongs to, or `NONE`."""
        position = self.step_of(np.arange(len(self)))
        work = self.of_kind(*self.placed_by_launch)
        launches = self.launch_of(work)
        launched = launches != NONE
        position[work[launched]] = position[launches[launched]]
        return position

    def nodes(self) -> Rows:
        """Rows of the events that are executed nodes, without the fences around them, in file order."""
        return np.zeros(0, np.intp)

    def runs(self) -> Runs:
        """The runs of a profile, with their nodes and executors."""
        none = np.zeros(0, np.intp)
        return Runs(rows=none, nodes=none, run_of_node=none, executors=none, run_of_executor=none)

    # ---- another recording from it

    def with_warnings(self, *texts: str) -> Self:
        """Make the same recording with more warnings."""
        same = replace(self, warnings=(*self.warnings, *texts))
        same.__dict__.update(self.__dict__)  # the answers
        return same

    def take(self, rows: Rows) -> Self:
        """Make a recording of some of the rows; strings and shapes of all others are left out."""
        codes = np.concatenate([getattr(self, column)[rows] for column in _TEXT_COLUMNS])
        used, first = np.unique(codes, return_index=True)
        order = used[np.argsort(first, kind="stable")]
        order = order[order >= 0]
        renumbered = np.full(len(self.strings) + 1, -1, np.int32)  # the last one stands for ABSENT
        renumbered[order] = np.arange(order.size, dtype=np.int32)
        columns: dict[str, Any] = {
            column: renumbered[getattr(self, column)[rows]] for column in _TEXT_COLUMNS
        }
        columns |= {column: getattr(self, column)[rows] for column in _NUMBER_COLUMNS}
        return replace(
            self,
            strings=tuple(self.strings[code] for code in order.tolist()),
            inputs=self.inputs.take(rows),
            outputs=self.outputs.take(rows),
            **columns,
        )
