"""Models of transformers: their configuration, with fewer layers where asked, and their weights."""

from collections.abc import Callable
from typing import Any

from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.weights import make_distinct
from attrib.errors import AttribError, first_line
from attrib.zoo.architectures import ARCHITECTURES
from attrib.zoo.tasks import GENERATION, TASKS, WITH_ENCODER

LAYER_COUNT = "num_hidden_layers"
"""Where a configuration keeps its number of layers; `attribute_map` translates it into each model's own spelling."""

DECODER_LAYER_COUNTS = ("decoder_layers", "num_decoder_layers")
"""Where a configuration with an encoder keeps those of its decoder."""

STAGE_LISTS = ("depths", "hidden_sizes")
"""What a convolutional network has instead: one entry a stage of blocks."""


def from_configuration(recipe: Recipe) -> tuple[Any, str]:
    """Build a published architecture with random weights; the module, and what its weights are.

    Raises:
        AttribError: transformers cannot build it as asked.
    """
    from transformers import AutoConfig

    architecture = ARCHITECTURES[recipe.location]
    config = _prepare(AutoConfig.for_model(architecture.model_type, **architecture.values), recipe)
    module = _call(
        "build",
        lambda: _auto_class(recipe, config).from_config(config, **attention_of(config, recipe.attention)),
    )
    make_distinct(module, recipe.seed)
    return module, f"random, seed {recipe.seed}, published configuration"


def from_directory(recipe: Recipe) -> tuple[Any, str]:
    """Load a model with its weights from a directory; the module, and what its weights are.

    Raises:
        AttribError: transformers cannot load it as asked.
    """
    import torch
    from transformers import AutoConfig

    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    config = _prepare(_call("load", lambda: AutoConfig.from_pretrained(recipe.location, **options)), recipe)
    options |= attention_of(config, recipe.attention)
    module, loading = _call(
        "load",
        lambda: _auto_class(recipe, config).from_pretrained(
            recipe.location, config=config, use_safetensors=True, output_loading_info=True, **options
        ),
    )
    missing = sorted(str(name) for name in loading.get("missing_keys", ()))
    if not missing:
        return module, "pretrained"
    # Noise for the tensors that the checkpoint lacks (a new head), and for no trained one.
    new = torch.nn.ParameterList(p for name, p in module.named_parameters() if name in missing)
    make_distinct(new, recipe.seed)
    return module, f"pretrained, {len(missing)} new tensors of the head random, seed {recipe.seed}"


def attention_of(config: Any, attention: str) -> dict[str, str]:
    """The argument that chooses the attention implementation; none for a model that has no attention."""
    return {"attn_implementation": attention} if hasattr(config, "num_attention_heads") else {}


def _auto_class(recipe: Recipe, config: Any) -> Any:
    """The class that builds the model; what generates with an encoder needs another than a decoder alone."""
    import transformers

    with_encoder = recipe.cache_length and recipe.task == GENERATION and config.is_encoder_decoder
    return getattr(transformers, WITH_ENCODER if with_encoder else TASKS[recipe.task])


def _call(what: str, make: Callable[[], Any]) -> Any:
    """Let transformers make something, and tell its refusal on one line."""
    try:
        return make()
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise AttribError(
                "the model needs code of its own, and attrib runs no code because a model's directory holds it",
                hint="--model file.py:factory with a function that returns the model and its inputs",
            ) from error
        hint = "--attention eager" if "attention implementation" in str(error) else ""
        raise AttribError(f"transformers cannot {what} the model: {first_line(error)}", hint=hint) from error


def _prepare(config: Any, recipe: Recipe) -> Any:
    """Set the configuration for one inference call: no cache unless one is given, and only the first layers where asked."""
    config.use_cache = recipe.cache_length is not None
    config.return_dict = True
    layers = recipe.layers
    if layers is None:
        return config
    stages = [name for name in STAGE_LISTS if isinstance(getattr(config, name, None), list | tuple)]
    published = len(getattr(config, stages[0])) if stages else getattr(config, LAYER_COUNT, None)
    if published is None:
        raise AttribError(f"the configuration of {config.model_type} does not say how many layers it has")
    if layers > published:
        what = "stages" if stages else "layers"
        raise AttribError(
            f"the model has {published} {what}, --layers asks for {layers}", hint=f"--layers {published}"
        )
    for name in stages:
        setattr(config, name, getattr(config, name)[:layers])
    if not stages:
        setattr(config, LAYER_COUNT, layers)
        for name in DECODER_LAYER_COUNTS:
            if hasattr(config, name):
                setattr(config, name, layers)
    return config
