"""Building the model and its inputs from a recipe, inside a worker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from attrib.capture.workers.messages import Recipe, SourceKind
from attrib.capture.workload.arguments import Arguments, split_call
from attrib.capture.workload.cached_step import cached_call
from attrib.capture.workload.caches import cache_outputs, is_cache, restorer
from attrib.capture.workload.factory import call_factory
from attrib.capture.workload.handover import load_handover
from attrib.capture.workload.model_inputs import model_inputs
from attrib.capture.workload.pretrained import from_configuration, from_directory
from attrib.capture.workload.weights import seed_everything
from attrib.compress.run import compress
from attrib.compress.subject import Subject
from attrib.errors import AttribError, first_line
from attrib.model.manifest import Compressed

RETURNED = ".returned"
"""Follows the name of an output that is also that of an input, e.g. of a cache."""


def named_outputs(result: object) -> dict[str, Any]:
    """Every tensor of a result by name, in the order in which `torch.export` flattens it; None is left out.

    A mapping (such as a `ModelOutput`) names its outputs by its keys, a dataclass by its fields, a cache of transformers as
    exporters of decoders do (`present.0.key`), nested sequences and other classes that torch knows by position.
    """
    import torch

    if isinstance(result, torch.Tensor):
        return {"output": result}
    return dict(_flatten("", result))


def _flatten(prefix: str, value: object) -> Iterator[tuple[str, Any]]:
    import torch
    from torch.utils import _pytree

    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, item in enumerate(value):
            yield from _flatten(f"{prefix}.{i}" if prefix else f"output_{i}", item)
    elif is_dataclass(value):
        for entry in fields(value):
            name = f"{prefix}.{entry.name}" if prefix else entry.name
            yield from _flatten(name, getattr(value, entry.name))
    elif is_cache(value):
        yield from cache_outputs(prefix, value)
    elif type(value) in _pytree.SUPPORTED_NODES:
        yield from _flatten(prefix, _pytree.tree_leaves(value))


@dataclass(frozen=True, eq=False, kw_only=True)
class Built:
    """A model that is ready to run.

    Attributes:
        module: In eval mode, on its device, in its precision, without gradients.
        inputs: Tensors by name, in the order in which the model takes them.
        arguments: How they are nested in the call.
        weights: How the weights were made, for the manifest.
        notes: What was changed so that the model can be exported, as settings.
        compressed: What `--compress` did to the module.
    """

    module: Any
    inputs: dict[str, Any]
    arguments: Arguments
    weights: str
    notes: dict[str, str] = field(default_factory=dict)
    compressed: tuple[Compressed, ...] = ()

    @cached_property
    def _same_call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.call()

    def call(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of one call, in containers of its own."""
        return self.arguments.fill(tuple(self.inputs.values()))

    @cached_property
    def _restore(self) -> Callable[[], None] | None:
        """What makes the containers of the same call good for another step; None where it needs new ones."""
        if not self.arguments.is_fresh:
            return lambda: None
        return restorer(self._same_call) if self.arguments.only_caches else None

    def step(self) -> object:
        """One inference call."""
        if self._restore is None:
            args, kwargs = self.call()
        else:
            self._restore()
            args, kwargs = self._same_call
        return self.module(*args, **kwargs)

    def first_outputs(self) -> dict[str, Any]:
        """Run once and return the outputs by name.

        Raises:
            AttribError: The model raises, or returns no tensor.
        """
        import torch

        try:
            with torch.inference_mode():
                result = self.step()
        except Exception as error:
            raise AttribError(f"the model cannot run on its inputs: {first_line(error)}") from error
        outputs = self.outputs_of(result)
        if not outputs:
            raise AttribError(f"the model returns no tensor but a {type(result).__name__}")
        return outputs

    def outputs_of(self, result: object) -> dict[str, Any]:
        """The tensors of a step's result by name; none is that of an input, which a graph could not tell apart."""
        named = named_outputs(result)
        return {f"{name}{RETURNED}" if name in self.inputs else name: value for name, value in named.items()}


def build(recipe: Recipe) -> Built:
    """Build the model and its inputs; two workers with one recipe and one seed build the same.

    Raises:
        AttribError: The model, its weights or the device cannot be had.
    """
    import torch

    if recipe.device == "cuda" and not torch.cuda.is_available():
        built_without = torch.version.cuda is None
        reason = "this PyTorch was built without CUDA" if built_without else "no usable GPU was found"
        raise AttribError(f"--device cuda: {reason}", hint="--device cpu, or see `attrib doctor`")
    seed_everything(recipe.seed)
    module, inputs, arguments, weights = _BUILDERS[recipe.kind](recipe)
    module.eval()
    notes = _without_cache(module) if not arguments.is_fresh else {}
    for parameter in module.parameters():  # not `module.requires_grad_`, which scripted modules lack
        parameter.requires_grad_(requires_grad=False)
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[recipe.precision]
    # transformers loads weights in the type in which they are stored. What a factory gives is in the type that it wants.
    if recipe.precision != "fp32" or recipe.kind == "directory":
        module.to(dtype)
    module.to(recipe.device)
    placed = {}
    for name, value in inputs.items():
        cast = value.is_floating_point() and recipe.precision != "fp32"
        placed[name] = value.detach().to(recipe.device, dtype if cast else value.dtype).contiguous()
    built = Built(module=module, inputs=placed, arguments=arguments, weights=weights, notes=notes)
    if not recipe.compress:
        return built

    def step() -> dict[str, Any]:
        # The same numbers for a model that draws some, and none of those that its later steps draw.
        with torch.random.fork_rng([torch.cuda.current_device()] if recipe.device == "cuda" else []):
            return {name: value.clone() for name, value in built.first_outputs().items()}

    subject = Subject(module=module, precision=recipe.precision, step=step)
    return replace(built, compressed=compress(subject, recipe.compress))


def _without_cache(module: Any) -> dict[str, str]:
    """Let a model of transformers return no cache, which nobody reads and no exporter writes; what was changed.

    A call that is given a cache keeps it.
    """
    configs = {id(config): config for part in module.modules() if (config := getattr(part, "config", None))}
    caching = [config for config in configs.values() if getattr(config, "use_cache", None) is True]
    for config in caching:
        config.use_cache = False
    return {"use_cache": "switched off: the call has no cache"} if caching else {}


_Parts = tuple[Any, dict[str, Any], Arguments, str]
"""A module, its tensors by name, how they are nested in the call, and what its weights are."""


def _with_inputs(recipe: Recipe, module: Any, weights: str) -> _Parts:
    if recipe.cache_length:
        arguments, tensors = split_call((), cached_call(recipe, module), (), "transformers")
        return module, tensors, arguments, weights
    inputs = model_inputs(recipe, module)
    return module, inputs, Arguments.by_name(inputs), weights


def _from_sentence_transformer(recipe: Recipe) -> _Parts:
    from attrib.capture.workload.sentence_transformer import from_sentence_transformer

    module, inputs, weights = from_sentence_transformer(recipe)
    return module, inputs, Arguments.by_name(inputs), weights


def _from_example(recipe: Recipe) -> _Parts:
    from attrib.zoo.modules import BUILDERS

    module, inputs = BUILDERS[recipe.location](recipe.batch_size)
    return module, inputs, Arguments.by_name(inputs), f"random, seed {recipe.seed}"


_BUILDERS: dict[SourceKind, Callable[[Recipe], _Parts]] = {
    "configuration": lambda recipe: _with_inputs(recipe, *from_configuration(recipe)),
    "directory": lambda recipe: _with_inputs(recipe, *from_directory(recipe)),
    "sentence-transformer": _from_sentence_transformer,
    "example": _from_example,
    "factory": lambda recipe: (*call_factory(recipe.location, Path.cwd()), "made by the factory"),
    "saved": lambda recipe: (*load_handover(recipe.location), "of the module that was passed in"),
}
