"""Helpers for the experiments: changed options, and the reasons why nothing can be changed."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from attrib.capture.config.options import check_options
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.model.execution_providers import CPU_PROVIDER
from attrib.model.experiment import Prediction
from attrib.model.manifest import ENGINE_NAMES, Role
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant

Variants = Callable[[ExperimentContext], tuple[Variant, ...] | Inapplicable]


def experiment(name: str, title: str, about: str, side: Role, variants: Variants, **facts: Any) -> Experiment:
    """Make an experiment that keeps only variants which change something and which a capture accepts."""

    def valid_variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        ran = context.manifest.sides.get(side)
        if ran is None or ran.engine != side:
            return Inapplicable(reason=f"the capture has no side that ran {ENGINE_NAMES[side]}")
        found = variants(context)
        if isinstance(found, Inapplicable):
            return found
        valid, why = [], "it would change nothing here"
        for variant in found:
            try:
                check_options(variant.options)
            except UsageError as error:
                why = str(error)
                continue
            if variant.options != context.options:
                valid.append(variant)
        return tuple(valid) or Inapplicable(reason=why)

    return Experiment(id=name, title=title, about=about, side=side, variants=valid_variants, **facts)


def variant(
    name: str, title: str, options: CaptureOptions, predicted: Prediction | None, unpredicted: str = ""
) -> Variant:
    """Make a variant; `unpredicted` says why there is no prediction, and is ignored where there is one."""
    return Variant(
        id=name,
        title=title,
        options=options,
        predicted=predicted,
        unpredicted="" if predicted else unpredicted,
    )


def with_session(options: CaptureOptions, **entries: str) -> CaptureOptions:
    """Set attributes of the session; each replaces what was set before."""
    return with_entries(options, entries)


def with_entries(options: CaptureOptions, entries: dict[str, str]) -> CaptureOptions:
    """Set configuration entries of the session; each replaces what was set before."""
    kept = [item for item in options.session_options if item.partition("=")[0] not in entries]
    return replace(options, session_options=(*kept, *(f"{key}={value}" for key, value in entries.items())))


def session_value(options: CaptureOptions, key: str) -> str | None:
    """The value of a configuration entry of the session; None where it is not set."""
    found = [item.partition("=")[2] for item in options.session_options if item.partition("=")[0] == key]
    return found[-1] if found else None


def with_rewrite(options: CaptureOptions, name: str) -> CaptureOptions:
    """Add an offline rewrite behind those of the options."""
    return replace(options, optimize=(*options.optimize, name))


def on_cpu(context: ExperimentContext) -> bool:
    """Whether ONNX Runtime computed on its own CPU provider."""
    side = context.manifest.sides.get("onnxruntime")
    used = (side.providers or side.requested_providers) if side else ()
    return not used or used[0] == CPU_PROVIDER


NOT_EXPORTED = Inapplicable(
    reason="the capture ran an ONNX file that the user brought, so nothing was exported"
)
NO_GRAPH = Inapplicable(
    reason="needs the graph that ONNX Runtime ran and its profile: the trace directory lacks one of them"
)


def saw_graph(context: ExperimentContext) -> bool:
    """Whether it is known which graph ran, and how long its nodes took."""
    evidence = context.evidence
    return evidence.optimized is not None and "onnxruntime" in evidence.partitions
