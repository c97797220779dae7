"""The report as data: `report.json`. Every rendering (HTML, Markdown, terminal) shows this and nothing else.

All durations are integer nanoseconds. A delta is ONNX Runtime minus PyTorch: positive means ONNX Runtime is slower.
"""

from typing import Literal

import msgspec

from attrib.model.damage import Damage
from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.model.experiment import ExperimentResult
from attrib.model.manifest import Environment, OutputDifference, Protocol, Role, Side, Workload
from attrib.model.provenance import RegionTrail
from attrib.model.region import Match
from attrib.model.roofline import Roofline
from attrib.model.timeline import StepTimeline

# Schema history
# 1  first published version
SCHEMA_VERSION = 1

Cause = Literal[
    "kernel", "decomposed", "fused", "cast", "layout", "shape_arithmetic", "memcpy", "fallback", "quantize",
    "cache", "extra_work", "missing_work", "framework", "page_faults", "device_idle", "profiler_overhead", "unattributed",
]  # fmt: skip
"""Why a ledger row's delta exists. A closed list; `CAUSES` gives each a title and a sentence for the reader."""

FindingState = Literal["passed", "failed", "not_applicable", "error"]
CheckState = Literal["passed", "failed", "unknown"]


class CauseText(msgspec.Struct, frozen=True):
    """What a reader is told about a cause."""

    title: str
    meaning: str


CAUSES: dict[Cause, CauseText] = {
    "kernel": CauseText("Kernel speed", "The same work runs faster or slower."),
    "decomposed": CauseText("Decomposed operators", "One PyTorch call became several ONNX nodes."),
    "fused": CauseText("Fused operators", "Several PyTorch calls became one ONNX node."),
    "cast": CauseText("Casts", "Conversions between element types."),
    "layout": CauseText("Layout changes", "Transposes, reshapes and copies that move data."),
    "shape_arithmetic": CauseText("Shape arithmetic", "Small integer work that computes shapes."),
    "memcpy": CauseText("Copies", "Copies between host and device, and waiting for them."),
    "fallback": CauseText("Fallback kernels", "Nodes that ran outside the requested execution provider."),
    "quantize": CauseText("Quantization", "Quantize and dequantize nodes."),
    "cache": CauseText("Cache", "Growing, copying and converting the keys and values of earlier tokens."),
    "extra_work": CauseText("Work only in ONNX Runtime", "Nodes with no PyTorch counterpart."),
    "missing_work": CauseText("Work only in PyTorch", "Calls with no ONNX counterpart."),
    "framework": CauseText("Framework overhead", "Dispatch, Python, the executor, the session and the API."),
    "page_faults": CauseText(
        "Page faults",
        "Fresh memory that plain steps had to get from the system, page by page, and profiled ones had.",
    ),
    "device_idle": CauseText("Device idle", "The device waited for the host."),
    "profiler_overhead": CauseText(
        "Profiler overhead",
        "What the profilers add to a step. It is taken out again: the rows sum to the plain runs.",
    ),
    "unattributed": CauseText("Unattributed", "Time whose counterpart attrib could not find."),
}


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Latency(_Struct, frozen=True, kw_only=True):
    """The headline: the plain step of either side and their difference. They are null where a side is missing.

    `launches` is how many starts of the engines' processes they rest on; with one, the intervals know only how the rounds
    of those two processes differ.
    """

    torch_ns: Estimate | None
    onnxruntime_ns: Estimate | None
    delta_ns: Delta | None
    significant: bool
    ratio: Ratio | None = None
    launches: int = 0


class Judgement(_Struct, frozen=True, kw_only=True):
    """How far the measurement carries, before any words: what the first screen may say.

    Attributes:
        significant: The intervals of the difference and of the ratio exclude 0 and 1.
        busy: More rounds stayed disturbed, plain or profiled, than were measured.
        inconclusive: The machine was so busy that the direction is not known either: no undisturbed round, or a difference
            that is not significant.
        split_reliable: The remainders (profiler overhead and unattributed) are small beside the step: no end of their
            interval exceeds a quarter of the slower step.
        named: Causes that may be named: their interval excludes 0, and the split is reliable. The largest first.
        rounds: Rounds that were measured without disturbance.
        disturbed: Why blocks were disturbed, plain and profiled ones, and how many each, e.g. `{"waiting": 4}`.
        reasons: Why the verdict says less than it might, one sentence each.
    """

    significant: bool = False
    busy: bool = False
    inconclusive: bool = False
    split_reliable: bool = True
    named: tuple[Cause, ...] = ()
    rounds: int = 0
    disturbed: dict[str, int] = {}
    reasons: tuple[str, ...] = ()


Caches = Literal["", "shared", "apart"]
"""Whether the cores of a launch seemed to share a cache; empty where that was not measured."""


class LaunchState(_Struct, frozen=True, kw_only=True):
    """What the machine was like in one launch: medians of fixed work over its rounds that count.

    A product, a copy, and what two threads at once took to read memory of their own and the same memory. The ratio of these
    two tells whether the cores share a cache: `caches`.
    """

    launch: int
    product_ns: int | None = None
    copy_ns: int | None = None
    own_ns: int | None = None
    shared_ns: int | None = None
    caches: Caches = ""


class PageFaults(_Struct, frozen=True, kw_only=True):
    """Page faults of the steps of one engine that count: means over launches, of the middle half of the steps of each.

    Attributes:
        plain: Of a plain step; None where nobody counted.
        profiled: Of a profiled step.
        major: Those of a plain step that waited for a disk.
        profiled_major: Those of a profiled step.
        launches: Of a plain step, launch by launch.
        price_ns: What one costs on this machine; 0 where that was not measured.
        cost_ns: What those of a plain step cost, at most the step; None without a price.
    """

    plain: float | None = None
    profiled: float | None = None
    major: float | None = None
    profiled_major: float | None = None
    launches: tuple[float, ...] = ()
    price_ns: float = 0.0
    cost_ns: Delta | None = None


class MachineState(_Struct, frozen=True, kw_only=True):
    """What the machine was like while it measured. It marks figures that may not be compared, and never corrects them.

    Attributes:
        launches: Launch by launch.
        watched: Blocks beside which the machine showed anything that would tell a disturbance.
        disturbances: What was disturbed, how often, why, and what came of it, one sentence each; empty where all was quiet.
        unseen: What it did not show, in words.
        faults: Page faults of the engines that counted them.
    """

    launches: tuple[LaunchState, ...] = ()
    watched: int = 0
    disturbances: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    faults: dict[Role, PageFaults] = {}


class PlainBlock(_Struct, frozen=True, kw_only=True, gc=False):
    """One attempt at one plain block: its steps as they were timed.

    `number` is the round, `launch` the start of the processes, `attempt` counts from 0; `disturbed` holds why it is
    disturbed, and `counted` whether it counts for the headline.
    """

    role: Role
    number: int
    launch: int = 0
    attempt: int = 0
    counted: bool = True
    disturbed: tuple[str, ...] = ()
    walls_ns: tuple[int, ...]


class Coverage(_Struct, frozen=True, kw_only=True):
    """The shares of the time that were matched with the other side, 0 to 1, and the time that was not attributed.

    Of these, the shares in regions whose tensors were seen to hold the same numbers in both engines are `verified`; None
    where that was not compared.
    """

    ort_node_time_mapped: float
    torch_call_time_mapped: float
    ort_node_time_verified: float | None = None
    torch_call_time_verified: float | None = None
    unattributed_ns: int
    profiler_overhead_ns: int


class LedgerRow(_Struct, frozen=True, kw_only=True, gc=False):
    """One region and cause. The deltas of all rows sum to the headline delta exactly.

    `torch_calls` and `onnx_nodes` are ids of the work on either side; `torch_ops` and `onnx_ops` their op types;
    `shapes` the distinct input and output tensors; `exported` the nodes of the exported graph in between.
    """

    id: str
    region: str
    module: str
    cause: Cause
    torch_calls: tuple[str, ...] = ()
    torch_ops: tuple[str, ...] = ()
    onnx_nodes: tuple[str, ...] = ()
    onnx_ops: tuple[str, ...] = ()
    exported: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    torch_ns: int
    onnxruntime_ns: int
    delta_ns: int
    low_ns: int
    high_ns: int
    match: Match


class CauseRow(_Struct, frozen=True, kw_only=True):
    """Sum of the ledger rows of one cause, with the interval of the sum."""

    cause: Cause
    torch_ns: int
    onnxruntime_ns: int
    delta_ns: int
    low_ns: int
    high_ns: int


class EvidenceRow(_Struct, frozen=True, kw_only=True):
    """One piece of evidence of a finding: a sentence, the ledger rows it rests on, and its share if it has one."""

    text: str
    rows: tuple[str, ...] = ()
    value_ns: int | None = None


class Verified(_Struct, frozen=True, kw_only=True):
    """What applying the fix saved when it was measured: the best of the finding's experiments that kept the outputs.

    `experiment` names it in `Document.experiments`, where predicted and measured stand side by side. A measured saving is
    positive where the change saves time.
    """

    measured_ns: int
    low_ns: int
    high_ns: int
    outputs_equal: bool
    experiment: str = ""
    agrees: bool | None = None


class Finding(_Struct, frozen=True, kw_only=True):
    """What one rule says.

    `explains_ns` is the signed share of the delta that the rows behind it account for. `saving_ns` (with its interval)
    is the most that the fix can save, never more than those rows; it is 0 for a finding that explains why ONNX Runtime
    is faster.
    """

    id: str
    state: FindingState
    title: str
    cause: Cause | None = None
    explains_ns: int = 0
    saving_ns: int = 0
    low_ns: int = 0
    high_ns: int = 0
    summary: str = ""
    evidence: tuple[EvidenceRow, ...] = ()
    fix: str = ""
    reason: str = ""
    verified: Verified | None = None


class Check(_Struct, frozen=True, kw_only=True):
    """One condition for a fair comparison, and whether it held.

    `check` names the condition, whatever came of it; `title` says what came of it, e.g. `No drift` or `The step times
    drifted` (empty in reports of earlier versions). `effect` says how a failed check may distort the result, `fix` how to
    record again without it.
    """

    check: str
    state: CheckState
    detail: str
    title: str = ""
    effect: str = ""
    fix: str = ""


class Gap(_Struct, frozen=True, kw_only=True):
    """A piece of evidence that was not recorded: what this report cannot say without it, and how to record it."""

    what: str
    cost: str
    how: str


class StepTimes(_Struct, frozen=True, kw_only=True):
    """Profiled times of one side, straight from its trace: nothing removed, nothing scaled.

    `steps_ns` are the walls of the profiled steps (`model_run` for ONNX Runtime, the step's range for PyTorch);
    `by_op_ns` sums every step's time per op type (outermost aten op, or node); `counts` are calls or nodes per step.
    """

    steps_ns: tuple[int, ...]
    by_op_ns: dict[str, int]
    counts: dict[str, int]


class Document(_Struct, frozen=True, kw_only=True):
    """`report.json`, version 1. More keys may be added; none is removed within a version."""

    schema_version: int = SCHEMA_VERSION
    attrib_version: str
    created: str
    workload: Workload
    environment: Environment
    sides: dict[Role, Side]
    protocol: Protocol | None
    comparability: tuple[Check, ...]
    outputs: tuple[OutputDifference, ...]
    latency: Latency
    coverage: Coverage
    ledger: tuple[LedgerRow, ...]
    causes: tuple[CauseRow, ...]
    findings: tuple[Finding, ...]
    experiments: tuple[ExperimentResult, ...] = ()
    """What `attrib verify` tried, the largest measured saving first; without the single steps."""
    profiled: dict[Role, StepTimes]
    plain_ns: dict[Role, tuple[tuple[int, ...], ...]] = {}
    """Every plain step that counts, one tuple a block, in the order of the rounds."""
    plain_blocks: tuple[PlainBlock, ...] = ()
    """Every plain block in order of time, those included that were disturbed and do not count."""
    judgement: Judgement = Judgement()
    state: MachineState | None = None
    """What the machine was like; null where the capture did not record it."""
    regions: tuple[RegionTrail, ...] = ()
    """What is behind the rows: calls, nodes and rewrites of each region, in the order of the exported graph."""
    timeline: dict[Role, StepTimeline] = {}
    """One typical profiled step of each side, segment by segment."""
    rooflines: dict[str, Roofline] = {}
    """How far either engine is from what the machine can do, by ledger row, where work and machine are known."""
    warnings: tuple[str, ...] = ()
    damage: tuple[Damage, ...] = ()
    """What could not be read of the traces, under `--lenient`: the figures are of what was recovered."""
    gaps: tuple[Gap, ...] = ()
    """Evidence that the trace directory lacks, the most costly first."""
    command: str = ""
