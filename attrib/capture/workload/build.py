"""Building the model and its inputs from a recipe, inside a worker."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attrib.capture.workers.messages import Recipe, SourceKind
from attrib.capture.workload.factory import call_factory
from attrib.capture.workload.handover import load_handover
from attrib.capture.workload.model_inputs import model_inputs
from attrib.capture.workload.pretrained import from_configuration, from_directory
from attrib.capture.workload.weights import seed_everything
from attrib.errors import AttribError, first_line


def named_outputs(result: object) -> dict[str, Any]:
    """Every tensor of a result by name, in the order in which `torch.export` flattens it; None is left out.

    A mapping (such as a `ModelOutput`) names its outputs by its keys, nested sequences by position.
    """
    import torch

    if isinstance(result, torch.Tensor):
        return {"output": result}
    return dict(_flatten("", result))


def _flatten(prefix: str, value: object) -> Iterator[tuple[str, Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield prefix, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else str(key), item)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for i, item in enumerate(value):
            yield from _flatten(f"{prefix}.{i}" if prefix else f"output_{i}", item)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Built:
    """A model that is ready to run.

    Attributes:
        module: In eval mode, on its device, in its precision, without gradients.
        inputs: Tensors by name, in the order in which the model takes them.
        positional: The inputs are passed by position.
        weights: How the weights were made, for the manifest.
    """

    module: Any
    inputs: dict[str, Any]
    positional: bool
    weights: str

    def step(self) -> object:
        """One inference call."""
        return self.module(*self.inputs.values()) if self.positional else self.module(**self.inputs)

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
        outputs = named_outputs(result)
        if not outputs:
            raise AttribError(f"the model returns no tensor but a {type(result).__name__}")
        return outputs


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
    module, inputs, positional, weights = _BUILDERS[recipe.kind](recipe)
    module.eval()
    for parameter in module.parameters():  # not `module.requires_grad_`, which scripted modules lack
        parameter.requires_grad_(requires_grad=False)
    dtype = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[recipe.precision]
    if recipe.precision != "fp32":
        module.to(dtype)
    module.to(recipe.device)
    placed = {}
    for name, value in inputs.items():
        cast = value.is_floating_point() and recipe.precision != "fp32"
        placed[name] = value.detach().to(recipe.device, dtype if cast else value.dtype).contiguous()
    return Built(module=module, inputs=placed, positional=positional, weights=weights)


_Parts = tuple[Any, dict[str, Any], bool, str]
"""A module, its inputs by name, whether they are positional, and what its weights are."""


def _with_inputs(recipe: Recipe, module: Any, weights: str) -> _Parts:
    return module, model_inputs(recipe, module), False, weights


def _from_example(recipe: Recipe) -> _Parts:
    from attrib.zoo.modules import BUILDERS

    module, inputs = BUILDERS[recipe.location](recipe.batch_size)
    return module, inputs, False, f"random, seed {recipe.seed}"


_BUILDERS: dict[SourceKind, Callable[[Recipe], _Parts]] = {
    "configuration": lambda recipe: _with_inputs(recipe, *from_configuration(recipe)),
    "directory": lambda recipe: _with_inputs(recipe, *from_directory(recipe)),
    "example": _from_example,
    "factory": lambda recipe: (*call_factory(recipe.location, Path.cwd()), "made by the factory"),
    "saved": lambda recipe: (*load_handover(recipe.location), "of the module that was passed in"),
}
