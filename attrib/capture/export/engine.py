"""The exporter's worker: builds the same model from the same recipe, writes it as ONNX, and rewrites the graph."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from attrib.capture.export.dynamic_shapes import dynamic_dims, with_traceable_inputs
from attrib.capture.export.exporters import EXPORTERS
from attrib.capture.ort.run_once import read_feeds, run_once
from attrib.capture.workers.messages import Export, Exported, Optimize, Optimized, Recipe, Reply
from attrib.capture.workers.silence import silence_libraries
from attrib.capture.workload.build import Built, build
from attrib.capture.workload.weights import fingerprint
from attrib.compress.registry import compressed_precision
from attrib.errors import AttribError, UsageError, is_full_disk, reason
from attrib.rewrite.registry import Job, ModelArchitecture
from attrib.rewrite.run import run_rewrites

_TOKEN_KINDS = ("configuration", "directory", "sentence-transformer")


class ExportEngine:
    """Serves the commands of the exporter's worker."""

    def __init__(self) -> None:
        silence_libraries()
        self.version = str(torch.__version__)
        self.handlers: dict[type, Callable[..., Reply]] = {
            Export: self.export,
            Optimize: self.optimize,
        }
        self._architecture: ModelArchitecture | None = None
        self._outputs: tuple[str, ...] = ()

    def export(self, command: Export) -> Exported:
        """Build the model and write it.

        Raises:
            UsageError: The exporter cannot write the opset, or the inputs have no common batch.
            AttribError: It cannot export the model.
        """
        built = build(command.recipe)
        weights = fingerprint(built.module)  # before a step changes any
        self._architecture = _architecture_of(built)
        names = list(built.first_outputs())
        self._outputs = tuple(names)
        file = Path(command.folder) / "exported.onnx"
        begin = time.perf_counter()
        traced, dims = built, None
        if command.dynamic_shapes:
            dims = dynamic_dims(built.inputs, tokens=command.recipe.kind in _TOKEN_KINDS)
            traced = with_traceable_inputs(built, dims)
        try:
            opset = EXPORTERS[command.exporter].write(traced, names, command.opset, dims, file)
        except Exception as error:
            if is_full_disk(error):
                raise
            raise _failure(command, reason(error)) from error
        if command.opset is not None and opset != command.opset:
            raise _wrong_opset(command, f"it could not convert the graph from opset {opset}")
        return Exported(
            model=str(file),
            opset=opset,
            weight_bytes=sum(p.numel() * p.element_size() for p in built.module.parameters()),
            fingerprint=weights,
            seconds=time.perf_counter() - begin,
        )

    def optimize(self, command: Optimize) -> Optimized:
        """Rewrite a graph, exported here or the user's own."""
        recipe, inputs = command.recipe, Path(command.inputs)
        first = Job(
            source=Path(command.model),
            target=Path(command.folder) / "rewritten.onnx",
            run=lambda file: run_once(file, inputs),
            feeds=lambda file: read_feeds(file, inputs),
            seed=recipe.seed,
            gpu=recipe.device == "cuda",
            architecture=lambda: self._read_architecture(recipe),
            outputs=lambda: self._outputs_of(recipe),
        )
        done = run_rewrites(command.rewrites, first)
        return Optimized(
            models=tuple(str(one.file) for one in done),
            rewrites=tuple(one.entry for one in done),
            notes=tuple(note for one in done for note in one.notes),
        )

    def _outputs_of(self, recipe: Recipe) -> tuple[str, ...]:
        """What the model returns; beside a graph of the user's own it was not run yet."""
        self._outputs = self._outputs or tuple(build(recipe).first_outputs())
        return self._outputs

    def _read_architecture(self, recipe: Recipe) -> ModelArchitecture:
        """What the model's configuration says; beside a graph of the user's own the model was not built yet."""
        self._architecture = self._architecture or _architecture_of(build(recipe))
        return self._architecture


def _architecture_of(built: Built) -> ModelArchitecture:
    """What the model's configuration says of its architecture; zeros and empty text where it says nothing."""
    config = getattr(built.module, "config", None)
    return ModelArchitecture(
        model_type=str(getattr(config, "model_type", "")),
        heads=_count(config, "num_attention_heads"),
        hidden=_count(config, "hidden_size"),
    )


def _count(config: Any, name: str) -> int:
    """An integer of a configuration, where it has it under that name (transformers maps the older names)."""
    value = getattr(config, name, 0)
    return value if isinstance(value, int) else 0


def _failure(command: Export, why: str) -> AttribError:
    """Why there is no graph: the opset, where the exporter is not known to write it, else the model."""
    first, last = EXPORTERS[command.exporter].opsets
    if command.opset is not None and not first <= command.opset <= last:
        return _wrong_opset(command, why)
    other = next(name for name in EXPORTERS if name != command.exporter)
    ways = [f"--exporter {other}", "--onnx FILE with a graph of your own"]
    if compressed_precision(command.recipe.precision, command.recipe.compress) == "int8":
        # Neither exporter of torch 2.13 writes PyTorch's int8 products; quantizing the graph does the same to ONNX Runtime.
        ways = ["--optimize int8-dynamic quantizes the exported graph instead"]
    if command.dynamic_shapes:
        ways.insert(0, "leave out --dynamic-shapes")
    return AttribError(
        f"the {command.exporter} exporter cannot export this model: {why}", hint=", or ".join(ways)
    )


def _wrong_opset(command: Export, why: str) -> UsageError:
    own, other = command.exporter, next(name for name in EXPORTERS if name != command.exporter)
    ranges = {name: "--opset {} to {}".format(*EXPORTERS[name].opsets) for name in EXPORTERS}
    return UsageError(
        f"the {own} exporter cannot write this model in opset {command.opset}: {why}",
        hint=f"{ranges[own]}, or --exporter {other} with {ranges[other]}",
    )
