"""What an engine did in its profiled steps: units of work, and the exact partition of the steps' wall time."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from attrib.errors import InternalError
from attrib.model.device import DeviceSplit, DeviceUse
from attrib.model.tensor import Tensor
from attrib.model.timeline import StepLanes

Engine = Literal["torch", "onnxruntime"]
Int64s = npt.NDArray[np.int64]


def distinct(names: Sequence[str]) -> list[str]:
    """The names, the repeated ones numbered in order: `a`, `b`, `a` gives `a#1`, `b`, `a#2`.

    A number that would give a name which is there already (names come from strangers) is passed over.
    """
    count, taken, numbers = Counter(names), set(names), Counter[str]()
    found = []
    for name in names:
        fresh = name
        while count[name] > 1 and fresh in taken:
            numbers[name] += 1
            fresh = f"{name}#{numbers[name]}"
        taken.add(fresh)
        found.append(fresh)
    return found


class Member(msgspec.Struct, frozen=True, gc=False):
    """One aten op that a compiled kernel covers, as the traced program had it.

    `scope` is the qualified module name, `op` the op (`aten::linear`), `name` the fx node's own name.
    """

    scope: str
    op: str
    name: str = ""


class Work(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A call (PyTorch) or a node (ONNX Runtime): one unit of work that the engine repeats in every step.

    Attributes:
        id: Stable and unique within its side, e.g. `encoder.layer.0.attention.self.query/aten::linear#0` or a node name.
        engine: Which engine ran it.
        op: `aten::linear`, `MatMul`, `SkipLayerNormalization`, ...
        scope: Qualified module name; empty for the root and for nodes, whose scope comes from their match.
        order: Position in the step.
        provider: Execution provider (ONNX Runtime).
        inputs: Input tensors; scalars left out.
        outputs: Output tensors (ONNX Runtime).
        inner: Ops that ran inside a call, outermost first, e.g. `aten::addmm`.
        members: What a compiled kernel covers, in the order of the traced program; empty where the call is one op.
        node_index: The node's number in the session's graph (ONNX Runtime), which keeps the order of the file that it
            loaded; -1 where the profile does not say.
    """

    id: str
    engine: Engine
    op: str
    scope: str = ""
    order: int = 0
    provider: str = ""
    inputs: tuple[Tensor, ...] = ()
    outputs: tuple[Tensor, ...] = ()
    inner: tuple[str, ...] = ()
    members: tuple[Member, ...] = ()
    node_index: int = -1


class ModulePython(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What each module spends in its own `forward`, outside its calls and the modules that it calls.

    Attributes:
        modules: Qualified names.
        own_ns: int64 `[modules, steps]`, nanoseconds; a share of the part that holds dispatch.
        calls: int64 `[modules]`, calls directly inside.
        marks: int64 `[modules]`, module calls directly inside.
    """

    modules: tuple[str, ...]
    own_ns: Int64s
    calls: Int64s
    marks: Int64s


class Partition(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """Profiled steps of one engine, split so that every instant has exactly one owner.

    Attributes:
        engine: Which engine ran.
        work: The units of work, in step order.
        parts: Names of the framework parts, e.g. `torch dispatch`, `ort executor`.
        work_ns: int64 `[len(work), steps]`, time owned by each unit of work in each step.
        parts_ns: int64 `[len(parts), steps]`, time owned by each framework part in each step.
        walls_ns: int64 `[steps]`, wall time of each step.
        blocks: int64 `[steps]`, the profiled block that each step belongs to: the unit of resampling.
        inside: int64 `[len(work) + len(parts)]`, profiler events whose cost inside their own interval lands in a segment.
        outside: int64, likewise for the cost between events.
        scopes: int64, marks of module calls whose whole cost lands in a segment.
        warnings: What could not be told apart, one line each.
        earlier_ns: Walls of the runs that the profile holds before the first of these steps, in order of time.
        device: What the device did; None where its work was not recorded.
        python: How the first framework part divides among the modules; None where no module was marked, and where a device
            had the work: what the host does beside it is no part of the step.
        lanes: One typical step, segment by segment; None where nobody asked for it.
        split: How each unit's time divides into kernels, copies and idle time; None where no device's work was recorded.
        unseen: Providers or devices that worked, but whose kernels were not recorded: the times of their units are those of
            enqueuing.
    """

    engine: Engine
    work: tuple[Work, ...]
    parts: tuple[str, ...]
    work_ns: Int64s
    parts_ns: Int64s
    walls_ns: Int64s
    blocks: Int64s
    inside: Int64s
    outside: Int64s
    scopes: Int64s
    warnings: tuple[str, ...] = ()
    earlier_ns: tuple[int, ...] = ()
    device: DeviceUse | None = None
    python: ModulePython | None = None
    lanes: StepLanes | None = None
    split: DeviceSplit | None = None
    unseen: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        """Number of profiled steps."""
        return len(self.walls_ns)

    def self_check(self) -> None:
        """Check that the segments of every step sum to its wall time, to the nanosecond, and so do its parts on a device.

        Raises:
            InternalError: They do not.
        """
        owned = self.work_ns.sum(axis=0) + self.parts_ns.sum(axis=0)
        wrong = np.flatnonzero(owned != self.walls_ns)
        if wrong.size:
            step = int(wrong[0])
            raise InternalError(
                f"{self.engine} step {step}: segments sum to {owned[step]} ns, wall is {self.walls_ns[step]} ns"
            )
        if self.split is None:
            return
        if np.any(sum(self.split.work_ns.values()) != self.work_ns):
            raise InternalError(
                f"{self.engine}: kernels, copies and idle time do not sum to what the work owns"
            )
        if np.any(self.split.busy_ns + self.split.idle_ns != self.walls_ns):
            raise InternalError(f"{self.engine}: busy and idle time of the device do not sum to the wall")
