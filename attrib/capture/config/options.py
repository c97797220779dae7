"""What one capture is asked to do, and the checks that need no engine."""

from pathlib import Path
from typing import Literal

import msgspec

from attrib.capture.config.provider_options import (
    GRAPH_PROVIDER,
    provider_libraries,
    provider_options,
)
from attrib.capture.config.session_options import session_options
from attrib.errors import UsageError
from attrib.model.execution_providers import provider_name
from attrib.model.manifest import Role
from attrib.rewrite.registry import check_rewrites
from attrib.zoo.tasks import TASKS

Device = Literal["cpu", "cuda"]
Precision = Literal["fp32", "fp16", "bf16", "int8"]
Exporter = Literal["dynamo", "torchscript"]
OptLevel = Literal["disabled", "basic", "extended", "all"]
Attention = Literal["sdpa", "eager"]
TorchMode = Literal["eager", "compile", "jit"]


TIMEOUT_S = 3600.0
"""An engine that is silent for so long hangs. Loading and exporting a 12-layer BERT take seconds; what really takes long, a
TensorRT engine or a compilation, takes minutes to half an hour."""


class CaptureOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Every choice of `attrib profile`. None means that the capture chooses.

    Attributes:
        model: Built-in name, directory, hub id, or `module:factory` / `file.py:factory`.
        onnx: An ONNX file to run instead of exporting the model.
        output: The trace directory; None for `attrib-<model>-<date>-<time>/`.
        batch_size: Rows of the inputs; None for 1, and for what shows something in a small example.
        seq_len: Tokens in a row of a text model; None for 128.
        layers: How many of the model's layers to build, stages of a convolutional network; None for all.
        providers: Execution providers to request, in order, by full or short name; empty for the device's own.
        provider_options: `[PROVIDER:]KEY=VALUE`; without a provider, of the first one.
        provider_libraries: `NAME=PATH` of libraries that bring execution providers.
        ort_python: Another interpreter, which runs ONNX Runtime; None for attrib's own.
        opset: Opset to export; None for the exporter's own choice.
        dynamic_shapes: Export with symbolic batch and sequence dimensions.
        optimize: Offline rewrites of the graph, in order: names of `attrib.rewrite.registry.REWRITES`.
        save_models: A directory for the graphs with their weights; None to keep none.
        session_options: `KEY=VALUE` for ONNX Runtime's session: an attribute of `SessionOptions`, or a configuration entry.
        disabled_optimizers: ONNX Runtime's graph optimizers to leave out, by name.
        autocast: Keep PyTorch's weights in fp32 and run it under autocast to `precision`.
        threads: Intra-op threads of either engine; None for the cores that this process may use.
        iterations: Steps in a plain block.
        rounds: Interleaved rounds.
        warmup: Exact number of warm-up steps; None to warm up until the blocks agree.
        io_binding: Bind ONNX Runtime's inputs and outputs once; on the device where it has one.
        cuda_graph: Let ONNX Runtime replay a CUDA graph in plain runs, with bound inputs and outputs.
        padding: Share of tokens that the attention mask hides, 0 to 1.
        text: Real sentences to tokenize instead of random tokens.
        force: Write into an output directory that is not empty.
        against_itself: Run this engine on both sides (an A/A capture).
        timeout: Seconds that an engine may need for one command; None for `TIMEOUT_S`, 0 for no limit.
        command: The command line to record; scrubbed before it is written.
    """

    model: str
    onnx: Path | None = None
    output: Path | None = None
    batch_size: int | None = None
    seq_len: int | None = None
    layers: int | None = None
    device: Device = "cpu"
    providers: tuple[str, ...] = ()
    provider_options: tuple[str, ...] = ()
    provider_libraries: tuple[str, ...] = ()
    ort_python: Path | None = None
    precision: Precision = "fp32"
    exporter: Exporter = "dynamo"
    opset: int | None = None
    dynamic_shapes: bool = False
    optimize: tuple[str, ...] = ()
    save_models: Path | None = None
    opt_level: OptLevel = "all"
    session_options: tuple[str, ...] = ()
    disabled_optimizers: tuple[str, ...] = ()
    attention: Attention = "sdpa"
    torch_mode: TorchMode = "eager"
    autocast: bool = False
    threads: int | None = None
    iterations: int | None = None
    rounds: int = 12
    warmup: int | None = None
    seed: int = 0
    io_binding: bool = False
    cuda_graph: bool = False
    task: str = ""
    padding: float = 0.0
    text: tuple[str, ...] = ()
    force: bool = False
    against_itself: Role | None = None
    timeout: float | None = None
    command: str = ""


_AT_LEAST_ONE = ("batch_size", "seq_len", "layers", "threads", "iterations", "rounds", "opset")


def check_options(options: CaptureOptions) -> None:
    """Refuse what cannot be measured, before anything is started.

    Raises:
        UsageError: An option is out of range, or two of them contradict each other.
    """
    for name in _AT_LEAST_ONE:
        value = getattr(options, name)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
    for name in ("warmup", "seed"):
        value = getattr(options, name)
        if value is not None and value < 0:
            raise UsageError(f"--{name} must be at least 0, not {value}")
    if options.timeout is not None and options.timeout < 0:
        raise UsageError(f"--timeout must be at least 0, not {options.timeout:g}")
    if not 0 <= options.padding < 1:
        raise UsageError(
            f"--padding is a share of the tokens, at least 0 and below 1, not {options.padding:g}"
        )
    if options.precision == "int8":
        hint = "--optimize int8-dynamic converts the exported graph; --precision is fp32, fp16 or bf16"
        raise UsageError("PyTorch cannot run the model in int8", hint=hint)
    if options.task not in TASKS:
        known = ", ".join(name for name in TASKS if name)
        raise UsageError(f"unknown task {options.task!r}", hint=f"--task with one of: {known}")
    # Under autocast the exported graph keeps the weights' precision.
    check_rewrites(options.optimize, "fp32" if options.autocast else options.precision)
    session_options(options.session_options)
    _check_providers(options)
    _check_combinations(options)


def _check_providers(options: CaptureOptions) -> None:
    requested = tuple(map(provider_name, options.providers or (options.device,)))
    provider_options(options.provider_options, requested)
    if options.cuda_graph and requested[0] != GRAPH_PROVIDER:
        hint = "add --device cuda; TensorRT: --provider-option trt_cuda_graph_enable=1 with --io-binding"
        raise UsageError(
            f"--cuda-graph needs {GRAPH_PROVIDER} as the first provider, not {requested[0]}", hint=hint
        )
    provider_libraries(options.provider_libraries)


def _check_combinations(options: CaptureOptions) -> None:
    if options.autocast and options.precision == "fp32":
        raise UsageError("--autocast needs a lower precision", hint="add --precision bf16 or fp16")
    if options.text and options.padding:
        raise UsageError("--text and --padding contradict each other: real sentences bring their own padding")
    of_a_graph = {
        "--onnx": options.onnx is not None,
        "--optimize": bool(options.optimize),
        "--dynamic-shapes": options.dynamic_shapes,
        "--save-models": options.save_models is not None,
        "--session-option": bool(options.session_options),
        "--disable-optimizer": bool(options.disabled_optimizers),
        "--provider-option": bool(options.provider_options),
        "--provider-library": bool(options.provider_libraries),
        "--ort-python": options.ort_python is not None,
        "--cuda-graph": options.cuda_graph,
    }
    useless = next((name for name, given in of_a_graph.items() if given), None)
    if useless and options.against_itself == "torch":
        raise UsageError(f"{useless} has no use when PyTorch is compared with itself")
    if options.onnx is not None and options.opset is not None:
        raise UsageError("--opset applies to an export; --onnx brings its own opset")
    if options.onnx is not None and options.dynamic_shapes:
        raise UsageError("--dynamic-shapes applies to an export; --onnx brings its own shapes")
