"""Building the model and its inputs from a recipe, inside a worker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attrib.capture.factory import call_factory
from attrib.capture.failures import first_line
from attrib.capture.handover import load_handover
from attrib.capture.inputs import Arrays, random_tokens, tokenized
from attrib.capture.messages import Recipe
from attrib.capture.outputs_of import named_outputs
from attrib.capture.weights import make_distinct, seed_everything
from attrib.errors import AttribError
from attrib.zoo.architectures import ARCHITECTURES
from attrib.zoo.tasks import TASKS


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
        """Run once; the outputs by name.

        Raises:
            AttribError: The model raises, or returns no tensor.
        """
        import torch

        try:
            with torch.inference_mode():
                result = self.step()
        except Exception as error:
            first = " ".join(str(error).split())[:300]
            raise AttribError(
                f"the model cannot run on its inputs: {type(error).__name__}: {first}"
            ) from error
        outputs = named_outputs(result)
        if not outputs:
            raise AttribError(f"the model returns no tensor but a {type(result).__name__}")
        return outputs


def build(recipe: Recipe) -> Built:
    """Build the model and its inputs; two workers with one recipe and one seed build the same.

    Raises:
        AttribError: The model, its weights or the device cannot be had.
    """
    _check_device(recipe.device)
    seed_everything(recipe.seed)
    module, inputs, positional, weights = _BUILDERS[recipe.kind](recipe)
    module.eval().requires_grad_(requires_grad=False)
    dtype = _dtype(recipe.precision)
    if recipe.precision != "fp32":
        module.to(dtype)
    module.to(recipe.device)
    return Built(
        module=module,
        inputs={name: _placed(value, dtype, recipe) for name, value in inputs.items()},
        positional=positional,
        weights=weights,
    )


def _check_device(device: str) -> None:
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        reason = (
            "this PyTorch was built without CUDA" if torch.version.cuda is None else "no usable GPU was found"
        )
        raise AttribError(f"--device cuda: {reason}", hint="--device cpu, or see `attrib doctor`")


def _dtype(precision: str) -> Any:
    import torch

    return {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]


def _placed(value: Any, dtype: Any, recipe: Recipe) -> Any:
    cast = value.is_floating_point() and recipe.precision != "fp32"
    return value.detach().to(recipe.device, dtype if cast else value.dtype).contiguous()


_Parts = tuple[Any, dict[str, Any], bool, str]


def _from_configuration(recipe: Recipe) -> _Parts:
    import transformers
    from transformers import AutoConfig

    architecture = ARCHITECTURES[recipe.location]
    config = AutoConfig.for_model(architecture.model_type, **architecture.values)
    auto_class = getattr(transformers, TASKS[recipe.task])
    module = auto_class.from_config(config, attn_implementation=recipe.attention)
    make_distinct(module, recipe.seed)
    weights = f"random, seed {recipe.seed}, published configuration"
    return module, _text_inputs(recipe, module, ""), False, weights


def _from_directory(recipe: Recipe) -> _Parts:
    import transformers

    auto_class = getattr(transformers, TASKS[recipe.task])
    try:
        module, loading = auto_class.from_pretrained(
            recipe.location,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            attn_implementation=recipe.attention,
            output_loading_info=True,
        )
    except Exception as error:
        raise AttribError(f"transformers cannot load the model: {first_line(error)}") from error
    missing = sorted(str(name) for name in loading.get("missing_keys", ()))
    if missing:
        make_distinct_missing(module, set(missing), recipe.seed)
    count = len(missing)
    weights = "pretrained" + (
        f", {count} new tensors of the head random, seed {recipe.seed}" if count else ""
    )
    return module, _text_inputs(recipe, module, recipe.location), False, weights


def make_distinct_missing(module: Any, names: set[str], seed: int) -> None:
    """Add noise to the tensors that a checkpoint lacks (a new head), and to no trained one."""
    import torch

    holder = torch.nn.ParameterList(p for name, p in module.named_parameters() if name in names)
    make_distinct(holder, seed)


def _from_factory(recipe: Recipe) -> _Parts:
    module, inputs, positional = call_factory(recipe.location, Path.cwd())
    return module, inputs, positional, "made by the factory"


def _from_saved(recipe: Recipe) -> _Parts:
    return *load_handover(recipe.location), "of the module that was passed in"


_BUILDERS = {
    "configuration": _from_configuration,
    "directory": _from_directory,
    "factory": _from_factory,
    "saved": _from_saved,
}


def _text_inputs(recipe: Recipe, module: Any, directory: str) -> dict[str, Any]:
    import torch

    config = module.config
    config.use_cache = False
    config.return_dict = True
    arrays = _arrays(recipe, module, directory)
    limit = getattr(config, "max_position_embeddings", None)
    length = arrays["input_ids"].shape[1]
    # RoBERTa numbers its positions from pad_token_id + 1, so its last two positions cannot be used.
    reserved = (
        (config.pad_token_id or 0) + 1 if config.model_type in ("roberta", "xlm-roberta", "camembert") else 0
    )
    if limit is not None and length > limit - reserved:
        raise AttribError(
            f"the model has {limit - reserved} positions, --seq-len asks for {length}",
            hint=f"--seq-len {limit - reserved}",
        )
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _arrays(recipe: Recipe, module: Any, directory: str) -> Arrays:
    import inspect

    config = module.config
    if not getattr(config, "vocab_size", 0):
        raise AttribError(
            f"{config.model_type} is not a text model: attrib cannot make its inputs",
            hint="give a factory that returns the module and its inputs: --model file.py:factory",
        )
    accepted = inspect.signature(module.forward).parameters
    if recipe.text:
        rows = max(recipe.batch_size, len(recipe.text))
        arrays = tokenized(directory, recipe.text, batch_size=rows, seq_len=recipe.seq_len)
        return {name: array for name, array in arrays.items() if name in accepted}
    # RoBERTa's forward accepts segments, but with one segment type its tokenizer gives none.
    segments = "token_type_ids" in accepted and getattr(config, "type_vocab_size", 0) > 1
    return random_tokens(
        vocabulary=config.vocab_size,
        batch_size=recipe.batch_size,
        seq_len=recipe.seq_len,
        seed=recipe.seed,
        padding=recipe.padding,
        pad_id=config.pad_token_id or 0,
        segments=segments,
    )
