"""What the parent and its workers say to each other: one JSON object a line, tagged with its kind.

A worker answers every command with exactly one reply, in order. `Failed` is the answer to a command that did not work.
"""

from typing import Literal

import msgspec

from attrib.model.capture_options import Attention, Device, Exporter, OptLevel, Precision, TorchMode
from attrib.model.disturbance import BlockEvidence
from attrib.model.manifest import Compressed, InputSpec, Overhead, Rewrite, UnusedModule
from attrib.model.roofline import Peaks
from attrib.model.values import GraphValue, Kind

SourceKind = Literal["configuration", "directory", "sentence-transformer", "example", "factory", "saved"]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    pass


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """How a worker builds the model and its inputs; two workers with one recipe build the same.

    Attributes:
        kind: `configuration`: a built-in architecture with random weights; `directory`: a Hugging Face directory;
            `sentence-transformer`: one of sentence-transformers; `example`: a small example of the zoo; `factory`: the
            user's function; `saved`: a module that this process handed over in its temporary folder.
        location: Built-in name, directory, `module:factory` or file.
        seq_len: Tokens in a row; None where nobody asked for a number.
        cache_length: Tokens whose keys and values are given; None for a step without a cache.
        layers: How many of the model's layers to build; None for all.
        compress: What to do to the module once it is built, as `--compress` calls it.
        graph: The ONNX file that runs in place of an exported one; empty where the model is exported.
    """

    kind: SourceKind
    location: str
    task: str
    batch_size: int
    seq_len: int | None
    device: Device
    precision: Precision
    attention: Attention
    seed: int
    padding: float
    text: tuple[str, ...] = ()
    cache_length: int | None = None
    layers: int | None = None
    compress: tuple[str, ...] = ()
    graph: str = ""


class Load(_Message, frozen=True, kw_only=True):
    """Build the model, run it once, and write inputs and outputs into `folder`; under autocast if that names a type.

    Profiled steps are numbered from `first_step` on, so that those of two launches can lie in one trace.
    """

    recipe: Recipe
    threads: int
    torch_mode: TorchMode
    folder: str
    autocast: Precision | None = None
    first_step: int = 0


class Export(_Message, frozen=True, kw_only=True):
    """Build the model and write it as `exported.onnx` (weights beside it) into `folder`."""

    recipe: Recipe
    exporter: Exporter
    opset: int | None
    folder: str
    dynamic_shapes: bool = False


class Optimize(_Message, frozen=True, kw_only=True):
    """Rewrite the graph `model` once for each name of `--optimize`; the graphs and their weights go into `folder`.

    The recipe says what model it is; `inputs` calibrates a static quantization.
    """

    recipe: Recipe
    model: str
    inputs: str
    rewrites: tuple[str, ...]
    folder: str


class Open(_Message, frozen=True, kw_only=True):
    """Create the sessions of one file; `folder` takes the profile and the optimized graph.

    Attributes:
        session_options: Of the session, by name; they hold before `threads`.
        disabled_optimizers: Graph optimizers to leave out.
        profiled: Create the profiled session beside the plain one.
        any_floats: Inputs of another floating-point type than the graph's are converted to it.
        provider_options: What a provider is given, by its name.
        provider_libraries: Libraries with providers, by the name under which each is registered.
        first_step: Number of the first step that is recorded on a device.
    """

    model: str
    inputs: str
    precision: Precision
    threads: int
    opt_level: OptLevel
    providers: tuple[str, ...]
    io_binding: bool
    folder: str
    session_options: dict[str, str] = {}
    disabled_optimizers: tuple[str, ...] = ()
    profiled: bool = True
    any_floats: bool = False
    provider_options: dict[str, dict[str, str]] = {}
    provider_libraries: dict[str, str] = {}
    first_step: int = 0


class Run(_Message, frozen=True, kw_only=True):
    """Run one block. `lead_in` steps come first, outside the block: the other engine has just emptied the caches."""

    iterations: int
    lead_in: int
    profiled: bool = False


class Outputs(_Message, frozen=True, kw_only=True):
    """Run once and write the outputs into `file`."""

    file: str


class Calibrate(_Message, frozen=True, kw_only=True):
    """Measure what the profiler costs per event; ONNX Runtime does it on the graph `chain` of `nodes` nodes."""

    chain: str
    nodes: int


class MeasurePeaks(_Message, frozen=True, kw_only=True):
    """Measure what the machine can do.

    Attributes:
        device: Where the measured model runs.
        folder: Holds graphs for ONNX Runtime to measure with.
        dtypes: Element types of the products to measure.
    """

    device: Device
    folder: str
    dtypes: tuple[str, ...]


class RecordStep(_Message, frozen=True, kw_only=True):
    """Run one step in PyTorch and write what its calls took and returned into `folder`, at most so many bytes."""

    folder: str
    most_bytes: int


class IndexStep(_Message, frozen=True, kw_only=True):
    """Read the step whose index is the file `step`, to compare values of graphs with it within a tolerance."""

    step: str
    tolerance: float


class CompareValues(_Message, frozen=True, kw_only=True):
    """Run a graph once and compare its inputs and outputs with the step that was read.

    Attributes:
        opening: How a session of it is opened; its optimizations are left out.
        tolerance: Largest difference of numbers that count as the same.
    """

    opening: Open
    tolerance: float


class Finish(_Message, frozen=True, kw_only=True):
    """Write what is still in memory."""


class Ablate(_Message, frozen=True, kw_only=True):
    """Write the graph `model` with and without the nodes that make any of the values `produced`.

    Attributes:
        model: The graph that ONNX Runtime saved.
        origin: Where weights lie that are not beside it.
        inputs: The workload's inputs.
        providers: Who runs it to record what the nodes made.
        produced: The values by which the nodes are known.
        folder: Takes both graphs.
    """

    model: str
    origin: str
    inputs: str
    providers: tuple[str, ...]
    produced: tuple[str, ...]
    folder: str


Command = (
    Load
    | Export
    | Optimize
    | Open
    | Run
    | Outputs
    | Calibrate
    | MeasurePeaks
    | RecordStep
    | IndexStep
    | CompareValues
    | Finish
    | Ablate
)


class Ready(_Message, frozen=True, kw_only=True):
    """The engine is imported; `package` is the one that brought it, where that is known, `python` who runs it."""

    version: str
    package: str = ""
    python: str = ""


class Loaded(_Message, frozen=True, kw_only=True):
    """The model is built and has run once.

    Attributes:
        weights: `pretrained`, or how they were made.
        fingerprint: Hash of the weights, to see that two workers built the same model.
        inputs: What the model takes.
        outputs: Names of its outputs, flattened.
        unused: Modules whose weights the step did not read; None where that could not be watched.
        settings: What bears on speed.
        threads: Intra-op threads after that run: a model or its factory may have changed them.
        inputs_file: Where the inputs were written.
        compressed: What `--compress` did to it.
        compressible: What `--compress` could do to it now.
    """

    weights: str
    fingerprint: str
    parameters: int
    inputs: tuple[InputSpec, ...]
    outputs: tuple[str, ...]
    settings: dict[str, str]
    threads: int
    inputs_file: str
    unused: tuple[UnusedModule, ...] | None = None
    compressed: tuple[Compressed, ...] = ()
    compressible: tuple[str, ...] = ()


class Exported(_Message, frozen=True, kw_only=True):
    """The model was exported."""

    model: str
    opset: int
    weight_bytes: int
    fingerprint: str
    seconds: float


class Optimized(_Message, frozen=True, kw_only=True):
    """The graph was rewritten.

    Attributes:
        models: The file that each rewrite wrote, in order.
        rewrites: What each did, for the manifest.
        notes: What the user should know about them.
    """

    models: tuple[str, ...]
    rewrites: tuple[Rewrite, ...]
    notes: tuple[str, ...] = ()


class Opened(_Message, frozen=True, kw_only=True):
    """The sessions exist.

    Attributes:
        outputs: Names of the session's outputs.
        optimized: Where the graph of the profiled session was written; empty where there is none, or it cannot be saved.
        threads: Intra-op threads of a session.
        placement: Where `placement.json` was written; empty where there is none, and `no_placement` may say why.
        partitioned: Where the graph was written that its nodes belong to, in place of an optimized one; else
            `no_partitioned` may say why.
    """

    providers: tuple[str, ...]
    outputs: tuple[str, ...]
    optimized: str
    settings: dict[str, str]
    threads: int
    warnings: tuple[str, ...] = ()
    placement: str = ""
    no_placement: str = ""
    partitioned: str = ""
    no_partitioned: str = ""


class Steps(_Message, frozen=True, kw_only=True):
    """The steps of one block, lead-in first, and what the worker did since its previous block.

    Attributes:
        start_ns: Nanoseconds since the epoch.
        wall_ns: Duration of each step.
        faults: Page faults of each step, `UNSEEN` where the system does not count them; empty where nobody counted.
        lead_in: How many of them are the lead-in.
        idle_cpu_ns: Processor time used between the previous reply and this command.
        idle_wall_ns: Wall time of the same.
        trace: File that holds the profile of this block; empty where there is none (yet).
        evidence: What else went on while the block was timed, its lead-in left out.
    """

    start_ns: tuple[int, ...]
    wall_ns: tuple[int, ...]
    faults: tuple[int, ...] = ()
    lead_in: int
    idle_cpu_ns: int = 0
    idle_wall_ns: int = 0
    trace: str = ""
    evidence: BlockEvidence = BlockEvidence()


class Written(_Message, frozen=True, kw_only=True):
    """Files were written; `settings` adds to the side's settings."""

    files: tuple[str, ...]
    settings: dict[str, str] = {}


class Calibrated(_Message, frozen=True, kw_only=True):
    """What the profiler costs per event."""

    overhead: Overhead


class PeaksMeasured(_Message, frozen=True, kw_only=True):
    """What the machine can do, as far as this engine reached it."""

    peaks: Peaks


class StepIndexed(_Message, frozen=True, kw_only=True):
    """The step was read: the class of each of its tensors, and what each class can tell; see `attrib.model.values`."""

    kinds: tuple[Kind, ...]
    near: tuple[tuple[int, int], ...]
    classes: tuple[int, ...]


class ValuesCompared(_Message, frozen=True, kw_only=True):
    """The values of a graph that were read, by name."""

    values: dict[str, GraphValue]


class Ablated(_Message, frozen=True, kw_only=True):
    """Both graphs were written.

    Attributes:
        baseline: The file with the nodes.
        variant: The file without them.
        removed: How many nodes are gone.
        fed: Values that hold what they held in a run, `bytes` in all.
    """

    baseline: str
    variant: str
    removed: int
    fed: tuple[str, ...]
    bytes: int


class Failed(_Message, frozen=True, kw_only=True):
    """The command did not work.

    Attributes:
        message: One line for the user.
        hint: What fixes it.
        exit_code: What it means for the whole command.
        details: Traceback, for `ATTRIB_DEBUG`.
    """

    message: str
    hint: str = ""
    exit_code: int = 3
    details: str = ""


Reply = (
    Ready
    | Loaded
    | Exported
    | Optimized
    | Opened
    | Steps
    | Written
    | Calibrated
    | PeaksMeasured
    | StepIndexed
    | ValuesCompared
    | Ablated
    | Failed
)
