"""What changed between two captures, as data: every rendering of `attrib diff` shows this and nothing else.

All durations are integer nanoseconds. A change is after minus before: positive means that it takes longer now.
"""

from typing import Literal

import msgspec

from attrib.model.document import Cause
from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.model.manifest import Role

# Schema history
# 1  first published version
DIFF_VERSION = 1

ConditionKind = Literal["workload", "setting", "software", "machine", "measurement"]
FindingKind = Literal["new", "gone", "changed", "kept"]


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Snapshot(_Struct, frozen=True, kw_only=True):
    """One of the two captures: what it is called here, what was run, when, and its steps by side with their ratio.

    `engines` are those that ran on either side, which may be one and the same.
    """

    name: str
    model: str
    created: str
    attrib_version: str
    engines: dict[Role, Role]
    steps: dict[Role, Estimate]
    delta_ns: Delta | None
    ratio: Ratio | None


class ConditionChange(_Struct, frozen=True, kw_only=True):
    """One thing about the two captures that is not the same, as text; empty on the side that does not have it."""

    kind: ConditionKind
    what: str
    before: str
    after: str


class StepChange(_Struct, frozen=True, kw_only=True):
    """The plain step of one engine.

    Attributes:
        role: Whose.
        before: Its estimate in the first capture.
        after: In the second one.
        change_ns: Their difference with its 95 % interval.
        ratio: The step before over the step after, above 1 where it became faster; None where an end is not positive.
        certain: The interval excludes 0 and nothing forbids to compare.
    """

    role: Role
    before: Estimate
    after: Estimate
    change_ns: Delta
    ratio: Ratio | None
    certain: bool


class CauseChange(_Struct, frozen=True, kw_only=True):
    """What one cause makes of the difference between the engines, before and after, and the change of that."""

    cause: Cause
    before_ns: int
    after_ns: int
    change_ns: Delta
    certain: bool


class WorkSide(_Struct, frozen=True, kw_only=True):
    """One capture's part in some work: the nodes that it became, what either engine took for it, and the rows it is from."""

    nodes: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    rows: tuple[str, ...] = ()
    torch_ns: int = 0
    onnxruntime_ns: int = 0

    @property
    def delta_ns(self) -> int:
        """ONNX Runtime minus PyTorch."""
        return self.onnxruntime_ns - self.torch_ns


class WorkChange(_Struct, frozen=True, kw_only=True):
    """Work that both captures have, as far as that can be told: the same calls of PyTorch, or a row of the same name.

    Work of the same kind in modules that differ only by a number stands in one entry.

    Attributes:
        module: Its module; `*` where several differ by a number only.
        calls: Ops of PyTorch's calls, as in one of the modules.
        count: How many are summed here.
        before: The first capture's part.
        after: The second one's.
        change_ns: Change of the delta; the ends of intervals are added, no less than 95 % lies between them.
        onnxruntime_ns: Change of what ONNX Runtime takes.
        torch_ns: Change of what PyTorch takes.
        rewritten: It became other nodes than before.
        certain: The interval of the change excludes 0 by more than chance among so many, and it is large enough, or the
            nodes are others.
    """

    module: str
    calls: tuple[str, ...]
    count: int
    before: WorkSide
    after: WorkSide
    change_ns: Delta
    onnxruntime_ns: int
    torch_ns: int
    rewritten: bool
    certain: bool


class FindingChange(_Struct, frozen=True, kw_only=True):
    """A finding of either capture: its titles, empty where it did not fail, and what its fix saves at most."""

    id: str
    kind: FindingKind
    before: str = ""
    after: str = ""
    saving_before_ns: int = 0
    saving_after_ns: int = 0
    change_ns: Delta | None = None


class Diff(_Struct, frozen=True, kw_only=True):
    """`attrib diff BEFORE AFTER --format json`, version 1. More keys may be added within a version.

    Attributes:
        before: The first capture.
        after: The second one.
        conditions: What is not the same, the workload first.
        obstacles: Why the steps cannot be compared, as clauses; empty where they can.
        remarks: What to keep in mind about the comparison, one sentence each.
        steps: The plain steps of the engines that both captures have.
        delta_ns: Change of the difference between the engines, with its 95 % interval.
        speedup: ONNX Runtime's ratio to PyTorch after over that before: above 1 where it gained on PyTorch. It holds where
            the machine itself was faster or slower, because either ratio was measured in one capture.
        delta_certain: The interval of `delta_ns` excludes 0, and nothing forbids to compare.
        causes: The change by cause; they sum to that of the difference exactly.
        work: The change by work, the largest first; they sum to the changes of the difference and of both steps exactly.
        findings: New, gone, changed and kept ones.
    """

    schema_version: int = DIFF_VERSION
    attrib_version: str
    before: Snapshot
    after: Snapshot
    conditions: tuple[ConditionChange, ...]
    obstacles: tuple[str, ...]
    remarks: tuple[str, ...]
    steps: tuple[StepChange, ...]
    delta_ns: Delta | None
    speedup: Ratio | None
    delta_certain: bool
    causes: tuple[CauseChange, ...]
    work: tuple[WorkChange, ...]
    findings: tuple[FindingChange, ...]
