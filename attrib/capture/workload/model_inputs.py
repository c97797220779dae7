"""The inputs of a model of transformers, by what it says its main input is."""

import inspect
from collections.abc import Callable
from typing import Any

from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.inputs import Arrays, random_pixels, random_tokens, tokenize_text
from attrib.errors import AttribError

DEFAULT_SEQ_LEN = 128

DEFAULT_IMAGE_SIZE = 224
"""Side of the square that ImageNet models are trained on; a convolutional network's configuration names none."""

POSITIONS_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert")
"""Model types that number their positions from `pad_token_id + 1`, so that their last ones cannot be used."""


def model_inputs(recipe: Recipe, module: Any) -> dict[str, Any]:
    """Seeded inputs by name, as tensors.

    Raises:
        AttribError: attrib cannot make the inputs of this kind of model, or not those that were asked for.
    """
    import torch

    make = _MAKERS.get(module.main_input_name)
    if make is None:
        raise AttribError(
            f"{module.config.model_type} takes {module.main_input_name}: attrib cannot make such inputs",
            hint="give a factory that returns the module and its inputs: --model file.py:factory",
        )
    return {name: torch.from_numpy(array) for name, array in make(recipe, module).items()}


def _images(recipe: Recipe, module: Any) -> Arrays:
    refused = {
        "--seq-len": recipe.seq_len is not None,
        "--padding": bool(recipe.padding),
        "--text": bool(recipe.text),
    }
    for option in (name for name, given in refused.items() if given):
        raise AttribError(f"{option} does not apply: {module.config.model_type} takes images")
    size = getattr(module.config, "image_size", None) or DEFAULT_IMAGE_SIZE
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return random_pixels(
        shape=(recipe.batch_size, module.config.num_channels, height, width), seed=recipe.seed
    )


def _tokens(recipe: Recipe, module: Any) -> Arrays:
    config = module.config
    accepted = inspect.signature(module.forward).parameters
    seq_len = recipe.seq_len or DEFAULT_SEQ_LEN
    if recipe.text:
        rows = max(recipe.batch_size, len(recipe.text))
        arrays = tokenize_text(recipe.location, recipe.text, batch_size=rows, seq_len=seq_len)
        arrays = {name: array for name, array in arrays.items() if name in accepted}
    else:
        # RoBERTa's forward accepts segments, but with one segment type its tokenizer gives none.
        segments = "token_type_ids" in accepted and getattr(config, "type_vocab_size", 0) > 1
        arrays = random_tokens(
            vocabulary=config.vocab_size,
            batch_size=recipe.batch_size,
            seq_len=seq_len,
            seed=recipe.seed,
            padding=recipe.padding,
            pad_id=config.pad_token_id or 0,
            segments=segments,
        )
    length, limit = arrays["input_ids"].shape[1], getattr(config, "max_position_embeddings", None)
    reserved = (config.pad_token_id or 0) + 1 if config.model_type in POSITIONS_AFTER_PADDING else 0
    if limit is not None and length > limit - reserved:
        most = limit - reserved
        if recipe.cache_length:
            asked = f"--cache-length and --seq-len ask for {length}"
            hint = f"--cache-length {most - (length - recipe.cache_length)}"
        else:
            asked, hint = f"--seq-len asks for {length}", f"--seq-len {most}"
        raise AttribError(f"the model has {most} positions, {asked}", hint=hint)
    return arrays


_MAKERS: dict[str, Callable[[Recipe, Any], Arrays]] = {"input_ids": _tokens, "pixel_values": _images}
"""What a model of transformers calls its main input -> who makes it."""
