"""Every choice of `attrib profile`, declared once.

A field of `CaptureOptions` is the whole declaration of an option: its type says how it is written on a command line, its
`Option` what the help says and what becomes of it. From it follow the command's option (`attrib.cli.profile`), the request
that the manifest holds (`attrib.model.capture_request`), what `attrib profile --resume` reads back
(`attrib.capture.session.capture_request`), and the flags that `attrib verify` names (`attrib.verify.flags`).
"""

from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from attrib.zoo.architectures import ARCHITECTURES
from attrib.zoo.examples import EXAMPLE_BATCH, EXAMPLES
from attrib.zoo.tasks import TASKS

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Exporter = Literal["dynamo", "torchscript"]
OptLevel = Literal["disabled", "basic", "extended", "all"]
Attention = Literal["sdpa", "eager"]
TorchMode = Literal["eager", "compile", "jit"]

Group = Literal[
    "Model and inputs", "Both engines", "PyTorch", "Export and graph", "ONNX Runtime", "Measurement", "Output"
]
"""Headings of the help, in its order."""

Recorded = Literal[
    "value", "presence", "count", "names", "entries", "variables", "provider entries", "nothing"
]
"""What the manifest's request holds of an option. A trace directory names no file, code or sentence, so that of an option
which does, it holds less than its value: whether it was given, how many there were, or the names without their files.
"""


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """What one choice is on the command line, in the manifest, and to `attrib verify`.

    Attributes:
        help: What `attrib profile --help` says.
        flag: Its flag; empty for `--` and the name of the field.
        short: A second flag of one letter.
        metavar: What the help shows in place of a value; empty for the type's own.
        choices: The values that the command takes; empty where the type says them, or where any goes.
        show_default: The help shows the default.
        hidden: The help leaves it out.
        on_command_line: `attrib profile` has it; others are set from Python only.
        group: The heading under which the help lists it.
        at_least: The smallest number that it takes; None where it is none, or any goes.
        needs_graph: It has no use where PyTorch is compared with itself, and is refused there.
        recorded: What the manifest's request holds of it.
        named_again: It may be given with `--resume`: a directory does not hold it, or must not decide it.
        chooses_what_runs: It bears on what is measured, and not only on where results go or how often something is
            measured: `attrib verify` names its flag.
    """

    help: str = ""
    flag: str = ""
    short: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    show_default: bool = False
    hidden: bool = False
    on_command_line: bool = True
    group: Group | Literal[""] = ""
    at_least: int | None = None
    needs_graph: bool = False
    recorded: Recorded = "value"
    named_again: bool = False
    chooses_what_runs: bool = True


class CaptureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Every choice of `attrib profile`. None means that the capture chooses.

    The `Option` of each field says what it does. Beyond those: `threads` holds for either engine, `against_itself` names the
    engine of an A/A capture, and `command` is the command line to record, which is scrubbed before it is written.
    """

    model: Annotated[
        str,
        Option(
            group="Model and inputs",
            metavar="NAME|DIR|module:factory|file.py:factory",
            help=f"What to run: {', '.join(ARCHITECTURES)}; a small example: {', '.join(EXAMPLES)}; a Hugging Face"
            " directory or hub id; or a factory that returns (module, example_inputs).",
            recorded="nothing",
            named_again=True,
        ),
    ] = ""
    sentence_transformer: Annotated[
        str | None,
        Option(
            group="Model and inputs",
            metavar="ID|DIR",
            help="What to run, of sentence-transformers: the transformer of its torch backend against that of its onnx"
            " backend, on what `encode` gives them.",
            recorded="presence",
            named_again=True,
        ),
    ] = None
    onnx: Annotated[
        Path | None,
        Option(
            group="Model and inputs",
            needs_graph=True,
            help="Run this ONNX file instead of exporting; with --sentence-transformer, the one of that name in its"
            " directory, e.g. onnx/model_O3.onnx.",
            recorded="presence",
            named_again=True,
        ),
    ] = None
    output: Annotated[
        Path | None,
        Option(
            group="Output",
            short="-o",
            help="Trace directory to write.",
            recorded="nothing",
            chooses_what_runs=False,
        ),
    ] = None
    batch_size: Annotated[
        int | None,
        Option(
            group="Model and inputs",
            at_least=1,
            help=f"Rows of the inputs.  [default: 1; {EXAMPLE_BATCH} for a small example]",
        ),
    ] = None
    seq_len: Annotated[
        int | None,
        Option(
            group="Model and inputs",
            at_least=1,
            help="Tokens in a row of a text model.  [default: 128; 1 for a decoder with --cache-length]",
        ),
    ] = None
    cache_length: Annotated[
        int | None,
        Option(
            group="Model and inputs",
            at_least=1,
            help="Run a step of a language model that keeps a cache, with the keys and values of so many tokens before:"
            " a step of decoding, for --task text-generation where none is given. Of a model with an encoder, --seq-len is"
            " what that has read.",
        ),
    ] = None
    layers: Annotated[
        int | None,
        Option(
            group="Model and inputs",
            at_least=1,
            help="Build only so many layers, or stages of a convolutional network.",
        ),
    ] = None
    device: Annotated[
        Device, Option(group="Both engines", show_default=True, help="Device that both engines run on.")
    ] = "cpu"
    providers: Annotated[
        tuple[str, ...],
        Option(
            group="ONNX Runtime",
            flag="--provider",
            metavar="NAME",
            help="Execution provider, e.g. openvino or OpenVINOExecutionProvider; repeatable, in order.",
        ),
    ] = ()
    provider_options: Annotated[
        tuple[str, ...],
        Option(
            group="ONNX Runtime",
            needs_graph=True,
            flag="--provider-option",
            metavar="[PROVIDER:]KEY=VALUE",
            help="Give an option to an execution provider (the first one, unless it is named); repeatable.",
            recorded="provider entries",
            named_again=True,
        ),
    ] = ()
    provider_libraries: Annotated[
        tuple[str, ...],
        Option(
            group="ONNX Runtime",
            needs_graph=True,
            flag="--provider-library",
            metavar="NAME=PATH",
            help="Load a library that brings an execution provider (ONNX Runtime 1.22 or later); repeatable.",
            recorded="names",
            named_again=True,
        ),
    ] = ()
    ort_python: Annotated[
        Path | None,
        Option(
            group="ONNX Runtime",
            needs_graph=True,
            metavar="PYTHON",
            help="Run ONNX Runtime under this interpreter, e.g. of an environment with onnxruntime-openvino.",
            recorded="presence",
            named_again=True,
        ),
    ] = None
    precision: Annotated[
        Precision, Option(group="Both engines", show_default=True, help="Precision that the model runs in.")
    ] = "fp32"
    exporter: Annotated[
        Exporter, Option(group="Export and graph", show_default=True, help="PyTorch's exporter to ONNX.")
    ] = "dynamo"
    opset: Annotated[
        int | None,
        Option(
            group="Export and graph", at_least=1, help="Opset to export.  [default: the exporter's choice]"
        ),
    ] = None
    dynamic_shapes: Annotated[
        bool,
        Option(
            group="Export and graph",
            needs_graph=True,
            help="Export with symbolic batch and sequence dimensions.",
        ),
    ] = False
    optimize: Annotated[
        tuple[str, ...],
        Option(
            group="Export and graph",
            needs_graph=True,
            metavar="NAME",
            help="Rewrite the graph before ONNX Runtime opens it; repeatable, in order: ort-transformers, optimum-o1 to"
            " optimum-o4, onnxscript, onnxslim, float16, int8-dynamic, int8-qdq, int8-qoperator; or a single surgery:"
            " drop-nan-guard, drop-inverse-pairs, merge-duplicates, double-to-float, einsum-to-matmul,"
            " fold-batch-norms, drop-unused-outputs, drop-initializer-inputs.",
        ),
    ] = ()
    compress: Annotated[
        tuple[str, ...],
        Option(
            group="Model and inputs",
            metavar="NAME[=SHARE]",
            help="Make the PyTorch model smaller or cheaper before it is run and exported, which changes its outputs;"
            " repeatable, in order: prune-heads (a quarter of the attention heads, or SHARE of them), int8-dynamic,"
            " int8-weight-only.",
        ),
    ] = ()
    save_models: Annotated[
        Path | None,
        Option(
            group="Output",
            needs_graph=True,
            metavar="DIR",
            help="Keep the graphs with their weights in DIR.",
            recorded="nothing",
            named_again=True,
            chooses_what_runs=False,
        ),
    ] = None
    opt_level: Annotated[
        OptLevel, Option(group="ONNX Runtime", show_default=True, help="ONNX Runtime's graph optimization.")
    ] = "all"
    session_options: Annotated[
        tuple[str, ...],
        Option(
            group="ONNX Runtime",
            needs_graph=True,
            flag="--session-option",
            metavar="KEY=VALUE",
            help="Set an option of ONNX Runtime's session; repeatable. An attribute, e.g. execution_mode=parallel, or a"
            " configuration entry, e.g. session.intra_op.allow_spinning=0 (entries are passed on unchecked).",
            recorded="entries",
        ),
    ] = ()
    disabled_optimizers: Annotated[
        tuple[str, ...],
        Option(
            group="ONNX Runtime",
            needs_graph=True,
            flag="--disable-optimizer",
            metavar="NAME",
            help="Leave out one of ONNX Runtime's graph optimizers, e.g. MatMulAddFusion; repeatable.",
        ),
    ] = ()
    attention: Annotated[
        Attention, Option(group="PyTorch", show_default=True, help="Attention implementation of the model.")
    ] = "sdpa"
    torch_mode: Annotated[
        TorchMode, Option(group="PyTorch", show_default=True, help="How PyTorch runs the model.")
    ] = "eager"
    autocast: Annotated[
        bool, Option(group="PyTorch", help="Keep fp32 weights; run PyTorch under autocast to --precision.")
    ] = False
    threads: Annotated[
        int | None,
        Option(group="Both engines", at_least=1, help="Threads of each engine.  [default: the usable cores]"),
    ] = None
    iterations: Annotated[
        int | None,
        Option(
            group="Measurement",
            at_least=1,
            help="Steps in a plain block.  [default: 5, more for fast models]",
        ),
    ] = None
    rounds: Annotated[
        int,
        Option(
            group="Measurement",
            at_least=1,
            show_default=True,
            chooses_what_runs=False,
            help="Rounds at most, over all launches: one block of either engine each.",
        ),
    ] = 12
    launches: Annotated[
        int | None,
        Option(
            group="Measurement",
            at_least=1,
            chooses_what_runs=False,
            help="Starts of the engines' processes, among which the rounds divide.  [default: 3 to 6, as --tolerance"
            " needs]",
        ),
    ] = None
    tolerance: Annotated[
        float,
        Option(
            group="Measurement",
            at_least=0,
            show_default=True,
            chooses_what_runs=False,
            metavar="PERCENT",
            help="Measure until half the interval of the difference is at most this share of the slower step.",
        ),
    ] = 2.0
    max_time: Annotated[
        float | None,
        Option(
            group="Measurement",
            at_least=0,
            chooses_what_runs=False,
            metavar="SECONDS",
            help="Begin no further launch after so long, where the fewest are measured.  [default: from the model's speed]",
        ),
    ] = None
    warmup: Annotated[
        int | None,
        Option(
            group="Measurement",
            at_least=0,
            help="Warm-up steps.  [default: until the blocks agree]",
        ),
    ] = None
    seed: Annotated[
        int,
        Option(
            group="Measurement",
            at_least=0,
            show_default=True,
            help="Seed of weights, inputs and order of blocks.",
        ),
    ] = 0
    no_values: Annotated[
        bool,
        Option(
            group="Measurement",
            chooses_what_runs=False,
            help="Do not compare what both engines compute, which takes one more run of each beside what is timed; calls"
            " and nodes are then matched by names, order and shapes only.",
        ),
    ] = False
    env: Annotated[
        tuple[str, ...],
        Option(
            group="Both engines",
            metavar="NAME=VALUE",
            help="Set an environment variable of the engines' processes, e.g. MALLOC_TRIM_THRESHOLD_=17179869184;"
            " repeatable.",
            recorded="variables",
            named_again=True,
        ),
    ] = ()
    io_binding: Annotated[
        bool,
        Option(
            group="ONNX Runtime",
            help="Bind ONNX Runtime's inputs and outputs once: on the GPU with --device cuda, instead of numpy arrays.",
        ),
    ] = False
    cuda_graph: Annotated[
        bool,
        Option(
            group="ONNX Runtime",
            needs_graph=True,
            help="Let ONNX Runtime capture a CUDA graph and replay it in the timed runs (binds inputs and outputs).",
        ),
    ] = False
    task: Annotated[
        str,
        Option(
            group="Model and inputs",
            choices=tuple(name for name in TASKS if name),
            help="Task head on the encoder.",
        ),
    ] = ""
    padding: Annotated[float, Option(group="Model and inputs", help="Share of masked tokens, e.g. 0.3.")] = (
        0.0
    )
    text: Annotated[
        tuple[str, ...],
        Option(
            group="Model and inputs",
            help="A real sentence for the tokenizer; repeatable.",
            recorded="count",
            named_again=True,
        ),
    ] = ()
    force: Annotated[
        bool,
        Option(
            group="Output",
            help="Write into an output directory that is not empty.",
            recorded="nothing",
            chooses_what_runs=False,
        ),
    ] = False
    against_itself: Annotated[Literal["torch", "onnxruntime"] | None, Option(hidden=True)] = None
    timeout: Annotated[
        float | None,
        Option(
            group="Measurement",
            at_least=0,
            metavar="SECONDS",
            help="The longest that an engine may stay silent in one command (load, export, create a session, run a block)"
            " before it counts as hung and the other one goes on; 0 for no limit.  [default: 3600]",
            named_again=True,
            chooses_what_runs=False,
        ),
    ] = None
    command: Annotated[str, Option(on_command_line=False, recorded="nothing", chooses_what_runs=False)] = ""


class Declared(msgspec.Struct, frozen=True):
    """One field of `CaptureOptions`, taken apart.

    Attributes:
        name: Of the field.
        type: Its type, without None where that only means "the capture chooses".
        default: Its default.
        option: Its declaration.
    """

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """What a command line calls it."""
        return self.option.flag or f"--{self.name.replace('_', '-')}"

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be given several times."""
        return get_origin(self.type) is tuple

    @property
    def choices(self) -> tuple[str, ...]:
        """The values that it takes; empty where any goes."""
        return get_args(self.type) if get_origin(self.type) is Literal else self.option.choices


def declared_options(options: type[CaptureOptions]) -> tuple[Declared, ...]:
    """What is declared of each field, in order.

    Raises:
        TypeError: A field has no `Option`.
    """
    hints = get_type_hints(options, include_extras=True)
    found = []
    for field in msgspec.structs.fields(options):
        if get_origin(hints[field.name]) is not Annotated:
            raise TypeError(f"{options.__name__}.{field.name} is not declared: it has no Option")
        kind, option = get_args(hints[field.name])
        parts = get_args(kind)
        if type(None) in parts:  # `T | None`
            kind = parts[0]
        found.append(Declared(field.name, kind, field.default, option))
    return tuple(found)


OPTIONS = declared_options(CaptureOptions)
"""Every option, in the order of the fields."""
