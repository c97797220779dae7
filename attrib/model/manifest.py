"""`manifest.json`: what a capture did, in which state it ended, and the hash of every file that it wrote."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from attrib.model.capture_request import CaptureRequest, Launch
from attrib.model.roofline import Peaks
from attrib.model.tensor import Tensor

# Format history
# 1  first published version
FORMAT_VERSION = 1

Role = Literal["torch", "onnxruntime"]
"""The two sides of a comparison. In an A/A capture both sides run the same engine; the role names the side."""

ROLES: tuple[Role, Role] = ("torch", "onnxruntime")

ENGINE_NAMES: dict[Role, str] = {"torch": "PyTorch", "onnxruntime": "ONNX Runtime"}
"""What a reader calls the engines."""


def engine_titles(engines: Mapping[Role, Role]) -> dict[Role, str]:
    """What the sides are called by the engines that ran on them; a side that is not there has the engine of its name."""
    whole = {role: engines.get(role, role) for role in ROLES}
    if whole["torch"] != whole["onnxruntime"]:
        return {role: ENGINE_NAMES[engine] for role, engine in whole.items()}
    name = ENGINE_NAMES[whole["torch"]]
    return {"torch": f"{name} (A)", "onnxruntime": f"{name} (B)"}


PROFILE_ZERO = "profiling_start_ns"
"""Key of a side's settings: epoch time of an ORT profile's zero, from `get_profiling_start_time_ns`."""

LATENCY, LATENCY_PARTS = "latency.parquet", "latency/"
"""Every timed step; until the last round is over, the files of the rounds so far in a folder."""

EXPORTED, OPTIMIZED = "onnx/exported.onnx", "onnx/optimized.onnx"
"""The first and the last graph of the chain."""

PARTITIONED = "onnx/partitioned.onnx"
"""In place of the last one, where a provider compiled parts of it: the graph whose nodes `placement.json` names."""

MOST_ROUNDS = 1 << 20
"""More than any capture has: all rounds are of one launch, where a manifest of an older version says nothing."""

SideState = Literal["complete", "failed", "interrupted", "skipped"]
FileState = Literal["complete", "missing"]


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    pass


class FileEntry(_Struct, frozen=True, kw_only=True):
    """One file of the capture. `path` is relative, with forward slashes, and never leaves the directory."""

    path: str
    state: FileState
    sha256: str = ""
    size: int = 0
    reason: str = ""


class InputSpec(_Struct, frozen=True, kw_only=True):
    """One model input: its name and tensor type."""

    name: str
    tensor: Tensor


class UnusedModule(_Struct, frozen=True, kw_only=True):
    """A module of the model whose weights one inference call never read, e.g. the branch that was not taken.

    `name` is qualified, `kind` its class, `parameters` the number of weights in it.
    """

    name: str
    kind: str
    parameters: int


class Compressed(_Struct, frozen=True, kw_only=True):
    """One lossy change of the PyTorch module, before it was run and exported.

    `name` is what `--compress` calls it, with its share; `what` says what was done. `apart` is the largest difference of an
    output that it made, relative to the largest value of that output before.
    """

    name: str
    what: str
    apart: float


class Workload(_Struct, frozen=True, kw_only=True):
    """What was run. `weights` is `pretrained` or says how the random ones were made.

    `source` is where the model came from: `built-in`, `directory`, `hub` or `factory`.
    `padding` is the share of masked tokens, `parameters` the number of weights. `layers` is how many of the model's
    layers were built, 0 for all; `seq_len` is 0 where the inputs are no sequences, `cache_length` the tokens whose keys and
    values are given, 0 without a cache. `unused` are the modules
    whose weights took no part; None where that was not recorded. `compressed` is what `--compress` did to the model,
    `compressible` what it could do to it then; None where that was not recorded.
    """

    model: str
    source: str
    task: str = ""
    weights: str
    batch_size: int
    seq_len: int
    cache_length: int = 0
    precision: str = "fp32"
    padding: float = 0.0
    seed: int = 0
    attention: str = ""
    parameters: int = 0
    inputs: tuple[InputSpec, ...] = ()
    inputs_sha256: str = ""
    text: bool = False
    layers: int = 0
    unused: tuple[UnusedModule, ...] | None = None
    compressed: tuple[Compressed, ...] = ()
    compressible: tuple[str, ...] | None = None


CHANGED_STATE, CHANGED_OUTPUTS = "changed_state", "changed_outputs"
"""Settings of PyTorch's side: tensors of the model that a step changed; outputs that differed between two equal steps."""

COMPILED_BY_MODEL = "compiled_by_model"
"""Setting of PyTorch's side: what compiled the model, or a part of it, before it was handed over."""

Cost = Annotated[float, Meta(ge=0, le=1e9)]
"""Nanoseconds of one event: a second is more than any profiler takes for one."""


class Overhead(_Struct, frozen=True, kw_only=True):
    """Cost of the profiler per recorded event, calibrated on a chain of trivial operators in the same process.

    `inside_ns` falls inside the event's own interval, `outside_ns` between events. `scope_ns` is what marking one call
    of a module with its qualified name costs in all (PyTorch). `between_ns` is what the executor needs for a node
    without the profiler, at most (ONNX Runtime); None where the time between events is not only the profiler's and the
    executor's. `step_ns` is what the range around a step costs inside it (PyTorch); `session_ns` what recording a node costs
    outside the executor (ONNX Runtime). Nanoseconds.
    """

    inside_ns: Cost = 0.0
    outside_ns: Cost = 0.0
    scope_ns: Cost = 0.0
    between_ns: Cost | None = None
    step_ns: Cost = 0.0
    session_ns: Cost = 0.0
    samples: int = 0


class Rewrite(_Struct, frozen=True, kw_only=True):
    """One offline rewrite of the exported graph, before ONNX Runtime opened it.

    Attributes:
        name: What `--optimize` calls it, e.g. `ort-transformers`.
        tool: The package that did it, with its version.
        settings: What it was asked for.
        graph: The graph that it wrote, a path in the trace directory.
        nodes: Nodes of that graph.
    """

    name: str
    tool: str
    settings: dict[str, str] = {}
    graph: str
    nodes: int = 0


class Side(_Struct, frozen=True, kw_only=True):
    """How one engine ran.

    Attributes:
        engine: Which engine ran on this side.
        state: How it ended; `error` says why it is not complete.
        folder: Where its traces lie in the trace directory.
        version: The engine's version.
        package: The package that brought the engine, e.g. `onnxruntime-openvino`; empty where that was not recorded.
        interpreter: Version of the other Python that ran the engine (`--ort-python`); empty for attrib's own.
        mode: `eager` or `compile` for PyTorch, empty for ONNX Runtime.
        requested_providers: Execution providers asked for, in order (ONNX Runtime).
        providers: Execution providers that the session really has.
        opt_level: Graph optimization level (ONNX Runtime).
        exporter: Which exporter wrote the graph (ONNX Runtime).
        opset: Opset of the exported graph; 0 where there is none.
        session_options: Options of the session that were asked for, by name (ONNX Runtime).
        disabled_optimizers: Graph optimizers that were left out (ONNX Runtime).
        provider_options: What each execution provider was given, without paths (ONNX Runtime).
        provider_libraries: Names of the libraries that brought execution providers (ONNX Runtime).
        rewrites: Offline rewrites of the exported graph, in order (ONNX Runtime).
        threads: Intra-op threads used.
        settings: Further settings that bear on speed, e.g. `matmul_precision`, `mkldnn`, `training`, `inference_mode`.
        warmup: Warm-up steps run before the first plain block.
        warmed_up: The last warm-up blocks agreed within the tolerance.
        idle_cpu_share: Processor time of this worker while the other one ran, divided by that wall time.
        overhead: What the profiler costs per event; None where it was not calibrated.
        peaks: What this engine reached of what the machine can do; None where that was not measured.
        error: One line; empty for a complete side.
    """

    engine: Role
    state: SideState
    folder: str
    version: str = ""
    package: str = ""
    interpreter: str = ""
    mode: str = ""
    requested_providers: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    opt_level: str = ""
    exporter: str = ""
    opset: int = 0
    session_options: dict[str, str] = {}
    disabled_optimizers: tuple[str, ...] = ()
    provider_options: dict[str, dict[str, str]] = {}
    provider_libraries: tuple[str, ...] = ()
    rewrites: tuple[Rewrite, ...] = ()
    threads: int = 0
    settings: dict[str, str] = {}
    warmup: int = 0
    warmed_up: bool = False
    idle_cpu_share: float = 0.0
    overhead: Overhead | None = None
    peaks: Peaks | None = None
    error: str = ""


class Environment(_Struct, frozen=True, kw_only=True):
    """The machine and the software, with nothing that names a person, a host or a path.

    `load_before` and `load_after` are the cores that were busy just before the capture and at its end.

    Attributes:
        libc: The C library, e.g. `glibc 2.36`; empty where it does not say.
        cpu_flags: Instruction sets that matrix products may use, as the system names them, e.g. `amx_bf16`.
        affinity: Processors that this process may run on; 0 where unknown.
        cpu_quota: The smallest cgroup quota above it, in cores; 0 where there is none.
        stolen_share: Share of the processor time that the host gave to other machines during the capture.
        throttled_seconds: Time for which a cgroup's quota stopped its processes during the capture.
        thermal_throttles: How often the processor slowed itself down during the capture, heat or power.
    """

    cpu: str = ""
    logical_cores: int = 0
    usable_cores: float = 0.0
    memory_bytes: int = 0
    system: str = ""
    python: str = ""
    packages: dict[str, str] = {}
    accelerators: tuple[str, ...] = ()
    load_before: float = 0.0
    load_after: float = 0.0
    libc: str = ""
    cpu_flags: tuple[str, ...] = ()
    affinity: int = 0
    cpu_quota: float = 0.0
    stolen_share: float | None = None
    throttled_seconds: float | None = None
    thermal_throttles: int | None = None


class Protocol(_Struct, frozen=True, kw_only=True):
    """How the steps were measured: `rounds` interleaved rounds, each one plain block of either engine in random order.

    `profiled_rounds` of those rounds also held one profiled block of either engine. Until the measurement has ended these
    are the most that there will be.

    Attributes:
        launches: Starts of the engines' processes among which the rounds divide, `rounds_per_launch` each.
        fewest_launches: So many are measured before the width of the interval is looked at.
        tolerance: Half interval of the difference that the launches show, as a share of the slower step, at which no
            further round is measured.
        half_width: What was reached, as such a share; None where it was not computed.
        ended: Why there were no more rounds: `narrow`, `rounds` (the most were measured) or `time`; empty until then.
        seconds: What the rounds took, launches included.
    """

    rounds: Annotated[int, Meta(ge=0, le=MOST_ROUNDS)]
    iterations: int
    profiled_rounds: int
    profiled_iterations: int
    seed: int
    timer: str = "perf_counter_ns"
    launches: Annotated[int, Meta(ge=0, le=MOST_ROUNDS)] = 1
    fewest_launches: Annotated[int, Meta(ge=0, le=MOST_ROUNDS)] = 1
    rounds_per_launch: Annotated[int, Meta(ge=1, le=MOST_ROUNDS)] = MOST_ROUNDS
    tolerance: float = 0.0
    half_width: float | None = None
    ended: Literal["", "narrow", "rounds", "time"] = ""
    seconds: float = 0.0


class Phase(_Struct, frozen=True, kw_only=True):
    """One phase of the capture and how it ended."""

    name: str
    state: SideState
    seconds: float = 0.0
    detail: str = ""


class Manifest(_Struct, frozen=True, kw_only=True):
    """The whole capture. `sides` is keyed by role; `command` is the scrubbed command line that repeats it.

    Attributes:
        fingerprint: Hash of the weights; empty until the model is loaded.
        asked: What the capture was asked for; None in those that older versions wrote, which cannot be resumed.
        launches: Starts of the engines: more than one where the capture was interrupted and resumed.
    """

    format_version: int = FORMAT_VERSION
    attrib_version: str
    created: str
    workload: Workload
    sides: dict[Role, Side]
    environment: Environment = Environment()
    protocol: Protocol | None = None
    phases: tuple[Phase, ...] = ()
    files: tuple[FileEntry, ...] = ()
    command: str = ""
    warnings: tuple[str, ...] = ()
    fingerprint: str = ""
    asked: CaptureRequest | None = None
    launches: tuple[Launch, ...] = ()


SURPLUS = "PyTorch has no such output"
"""The reason of an output that ONNX Runtime alone returns."""


class OutputDifference(_Struct, frozen=True, kw_only=True):
    """`outputs.json`, one row an output: how far ONNX Runtime's values are from PyTorch's.

    `max_rel` is relative to the largest magnitude of the PyTorch output; `reason` is set where a comparison was not
    possible (shape, type, NaN).
    """

    name: str
    shape: tuple[int, ...]
    max_abs: float
    max_rel: float
    cosine: float
    tolerance: float
    equal: bool
    reason: str = ""

    @property
    def differs(self) -> bool:
        """Whether the engines give other numbers: what ONNX Runtime alone returns is more work, and no other number."""
        return not self.equal and self.reason != SURPLUS


TOLERANCES = {"fp32": 1e-4, "fp16": 1e-2, "bf16": 5e-2, "int8": 1e-1}
"""Largest difference, relative to the first side's largest value, that counts as the same result.

Two float32 implementations that sum in another order are 1e-6 to 1e-5 apart after 12 to 24 layers; TF32, or GELU by
tanh instead of erf, gives about 1e-3 and must be noticed. float16 and bfloat16 carry 11 and 8 bits: some ten roundings.
int8 has 256 steps for the whole range of a tensor, whatever the size of a value: twice the bfloat16 tolerance.
"""
