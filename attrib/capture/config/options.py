"""The checks on what one capture is asked to do that need no engine."""

from collections.abc import Sequence

from attrib.capture.config.provider_options import (
    GRAPH_PROVIDER,
    provider_libraries,
    provider_options,
)
from attrib.capture.config.session_options import session_options
from attrib.capture.config.variables import variables_of
from attrib.compress.registry import check_compressions
from attrib.errors import UsageError
from attrib.model.capture_options import OPTIONS, CaptureOptions
from attrib.model.execution_providers import SHORT_NAMES, may_be_provider, provider_name, similar_provider
from attrib.rewrite.registry import check_rewrites
from attrib.zoo.tasks import TASKS

TIMEOUT_S = 3600.0
"""An engine that is silent for so long hangs. Loading and exporting a 12-layer BERT take seconds; what really takes long, a
TensorRT engine or a compilation, takes minutes to half an hour."""


def check_options(options: CaptureOptions) -> None:
    """Refuse what cannot be measured, before anything is started.

    Raises:
        UsageError: An option is out of range, or two of them contradict each other.
    """
    if bool(options.model) == bool(options.sentence_transformer):
        named = "both name" if options.model else "say nothing of"
        raise UsageError(f"--model and --sentence-transformer {named} what to run", hint="give one of them")
    for declared in OPTIONS:
        value, least = getattr(options, declared.name), declared.option.at_least
        if value is not None and least is not None and value < least:
            shown = f"{value:g}" if isinstance(value, float) else value
            raise UsageError(f"{declared.flag} must be at least {least}, not {shown}")
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
    check_compressions(options.compress, options.precision, options.device)
    session_options(options.session_options)
    variables_of(options.env)
    _check_combinations(options)


def _check_providers(requested: Sequence[str]) -> None:
    """Refuse what is no execution provider, before the model is loaded and exported."""
    for name in requested:
        if not may_be_provider(name):
            near = similar_provider(name)
            hint = f"did you mean --provider {near}?" if near else f"--provider with {', '.join(SHORT_NAMES)}"
            raise UsageError(f"there is no execution provider {name!r}", hint=hint)


_OWN_OF_A_GRAPH = {"opset": "opset", "compress": "weights", "dynamic_shapes": "shapes"}
"""Options that say how to export -> what a graph of the user's own brings instead."""


_NOT_WITH_A_CACHE = {
    "padding": "every token before is kept",
    "text": "its tokens are random",
    "dynamic_shapes": "the lengths of the cache and of the mask depend on each other, which the exporters cannot be told",
}
"""Options that mean nothing beside a cache, or that do not work there."""


def _check_combinations(options: CaptureOptions) -> None:
    requested = tuple(map(provider_name, options.providers or (options.device,)))
    if not options.provider_libraries:
        _check_providers(requested)
    provider_options(options.provider_options, requested)
    if options.cuda_graph and requested[0] != GRAPH_PROVIDER:
        hint = "add --device cuda; TensorRT: --provider-option trt_cuda_graph_enable=1 with --io-binding"
        raise UsageError(
            f"--cuda-graph needs {GRAPH_PROVIDER} as the first provider, not {requested[0]}", hint=hint
        )
    provider_libraries(options.provider_libraries)
    if options.autocast and options.precision == "fp32":
        raise UsageError("--autocast needs a lower precision", hint="add --precision bf16 or fp16")
    _check_cache(options)
    if options.text and options.padding:
        raise UsageError("--text and --padding contradict each other: real sentences bring their own padding")
    if options.against_itself == "torch":
        for declared in OPTIONS:
            if declared.option.needs_graph and getattr(options, declared.name) != declared.default:
                raise UsageError(f"{declared.flag} has no use when PyTorch is compared with itself")
    for name, own in _OWN_OF_A_GRAPH.items():
        if options.onnx is not None and getattr(options, name):
            brings = "--onnx" if options.sentence_transformer is None else f"the model's {options.onnx.name}"
            raise UsageError(
                f"--{name.replace('_', '-')} applies to an export; {brings} brings its own {own}"
            )


def _check_cache(options: CaptureOptions) -> None:
    for name in _NOT_WITH_A_CACHE if options.cache_length else ():
        if getattr(options, name):
            flag, why = f"--{name.replace('_', '-')}", _NOT_WITH_A_CACHE[name]
            raise UsageError(f"{flag} does not apply to a step with --cache-length: {why}")
