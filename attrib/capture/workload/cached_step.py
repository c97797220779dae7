"""A step of a language model that keeps a cache: new tokens, and the keys and values of those before them."""

import inspect
from typing import Any

import msgspec

from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.caches import PAST, is_cache
from attrib.capture.workload.model_inputs import model_inputs
from attrib.errors import AttribError, first_line

DEFAULT_NEW_TOKENS = 1
"""What a step of decoding takes."""


def cached_call(recipe: Recipe, module: Any) -> dict[str, Any]:
    """The arguments of a step by name; its cache is what the model itself makes of random tokens.

    Args:
        recipe: How many new tokens, and how many before them.
        module: A model of transformers, on the CPU; it is put into eval mode.

    Raises:
        AttribError: It keeps no cache, or has no position for so many tokens.
    """
    import torch

    config = module.config
    if getattr(config, "is_encoder_decoder", False):
        raise AttribError(
            f"--cache-length does not apply: {config.model_type} has an encoder, whose states its decoder needs as well",
            hint="give a factory that returns the module and its inputs: --model file.py:factory",
        )
    new = recipe.seq_len or DEFAULT_NEW_TOKENS
    assert recipe.cache_length is not None  # noqa: S101  (asked for)
    whole = model_inputs(msgspec.structs.replace(recipe, seq_len=recipe.cache_length + new), module)
    before = {name: value[:, : recipe.cache_length] for name, value in whole.items()}
    module.eval()
    with torch.no_grad():
        try:
            cache = getattr(module(**before, use_cache=True), PAST, None)
        except (TypeError, ValueError, RuntimeError) as error:
            raise _no_cache(recipe, first_line(error)) from error
    if not is_cache(cache):
        raise _no_cache(recipe, "it returns none")
    # The mask tells of all tokens; everything else only of the new ones.
    after = {name: value[:, recipe.cache_length :] for name, value in whole.items()}
    call = after | {"attention_mask": whole["attention_mask"], PAST: cache}
    # torch.export takes arguments that are given by name in the order of the parameters.
    return {name: call[name] for name in inspect.signature(module.forward).parameters if name in call}


def _no_cache(recipe: Recipe, why: str) -> AttribError:
    return AttribError(
        f"--cache-length does not apply: {recipe.location} keeps no cache ({why})",
        hint="a language model that generates, as gpt2, keeps one",
    )
