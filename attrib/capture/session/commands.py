"""What the options mean to the workers, and to the record of a side before it has run."""

from collections.abc import Mapping
from pathlib import Path

from attrib.capture.config.provider_options import (
    GRAPH_OPTION,
    GRAPH_PROVIDER,
    Options,
    provider_libraries,
    provider_options,
)
from attrib.capture.config.session_options import session_options
from attrib.capture.workers.messages import Export, Load, Open, Optimize, Recipe
from attrib.capture.workload.sources import Source
from attrib.model.capture_options import CaptureOptions, Precision
from attrib.model.execution_providers import provider_name
from attrib.model.manifest import Role, Side
from attrib.scrub import scrub
from attrib.zoo.tasks import GENERATION


def providers_of(options: CaptureOptions) -> tuple[str, ...]:
    """Execution providers to request, by their full names: those asked for, else the device's own."""
    return tuple(map(provider_name, options.providers or (options.device,)))


def provider_options_of(options: CaptureOptions) -> Options:
    """The options that each provider is given, by provider."""
    given = provider_options(options.provider_options, providers_of(options))
    if options.cuda_graph:
        given[GRAPH_PROVIDER] = given.get(GRAPH_PROVIDER, {}) | {GRAPH_OPTION: "1"}
    return given


def weights_precision(options: CaptureOptions) -> Precision:
    """The precision in which the model is built and exported: autocast leaves the weights as they are."""
    return "fp32" if options.autocast else options.precision


def task_of(options: CaptureOptions, source: Source) -> str:
    """The task that the model is built for: a step with a cache is one of a generation, if nobody says otherwise."""
    return options.task or (GENERATION if options.cache_length else source.task)


def recipe_of(options: CaptureOptions, source: Source) -> Recipe:
    """The recipe by which workers build the model and its inputs."""
    return Recipe(
        kind=source.kind,
        location=source.location,
        task=task_of(options, source),
        batch_size=options.batch_size or source.batch_size,
        seq_len=options.seq_len,
        cache_length=options.cache_length,
        device=options.device,
        precision=weights_precision(options),
        attention=options.attention,
        seed=options.seed,
        padding=options.padding,
        text=options.text,
        layers=options.layers,
        compress=options.compress,
        graph=str(options.onnx.resolve()) if options.onnx else "",
    )


def load_command(options: CaptureOptions, source: Source, threads: int, folder: str) -> Load:
    """The command to build the model in PyTorch."""
    return Load(
        recipe=recipe_of(options, source),
        threads=threads,
        torch_mode=options.torch_mode,
        folder=folder,
        autocast=options.precision if options.autocast else None,
    )


def export_command(options: CaptureOptions, source: Source, folder: str) -> Export:
    """The command to build the model again and export it."""
    return Export(
        recipe=recipe_of(options, source),
        exporter=options.exporter,
        opset=options.opset,
        folder=folder,
        dynamic_shapes=options.dynamic_shapes,
    )


def optimize_command(
    options: CaptureOptions, source: Source, model: Path, inputs: Path, folder: str
) -> Optimize:
    """The command to rewrite the exported graph, or the user's."""
    return Optimize(
        recipe=recipe_of(options, source),
        model=str(model.resolve()),
        inputs=str(inputs),
        rewrites=options.optimize,
        folder=folder,
    )


def open_command(options: CaptureOptions, model: Path, inputs: Path, threads: int, folder: str) -> Open:
    """The command to create the sessions of a graph."""
    return Open(
        model=str(model.resolve()),
        inputs=str(inputs),
        precision=weights_precision(options),
        threads=threads,
        opt_level=options.opt_level,
        providers=providers_of(options),
        io_binding=options.io_binding or options.cuda_graph,
        folder=folder,
        session_options=session_options(options.session_options),
        disabled_optimizers=options.disabled_optimizers,
        provider_options=provider_options_of(options),
        provider_libraries=provider_libraries(options.provider_libraries),
    )


def shareable(options: Options) -> Options:
    """The options of providers as a manifest may hold them: a value that is a path keeps its last part."""
    return {name: shareable_entries(given) for name, given in options.items()}


def shareable_entries(options: Mapping[str, str]) -> dict[str, str]:
    """The options of a session as a manifest may hold them: a value that is a path keeps its last part."""
    return {key: scrub(value) for key, value in options.items()}


def new_side(options: CaptureOptions, engine: Role, folder: str, threads: int) -> Side:
    """The record of a side that has not run: `interrupted` until it is complete or has failed."""
    if engine == "torch":
        return Side(
            engine=engine, state="interrupted", folder=folder, mode=options.torch_mode, threads=threads
        )
    return Side(
        engine=engine,
        state="interrupted",
        folder=folder,
        requested_providers=providers_of(options),
        opt_level=options.opt_level,
        exporter="file" if options.onnx else options.exporter,
        opset=options.opset or 0,
        session_options=shareable_entries(session_options(options.session_options)),
        disabled_optimizers=options.disabled_optimizers,
        provider_options=shareable(provider_options_of(options)),
        provider_libraries=tuple(provider_libraries(options.provider_libraries)),
        threads=threads,
    )
