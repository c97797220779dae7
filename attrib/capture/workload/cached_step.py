"""A step of a language model that keeps a cache: new tokens, and the keys and values of those before them."""

import inspect
from typing import Any

import msgspec

from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.caches import PAST, is_cache
from attrib.capture.workload.inputs import random_tokens
from attrib.capture.workload.model_inputs import model_inputs
from attrib.errors import AttribError, first_line

DEFAULT_NEW_TOKENS = 1
"""What a step of decoding takes."""

_WRITTEN = "decoder_input_ids"


def cached_call(recipe: Recipe, module: Any) -> dict[str, Any]:
    """The arguments of a step by name; its cache is what the model itself makes of random tokens.

    Args:
        recipe: How many new tokens, and how many before them; of a model with an encoder, how many the encoder read.
        module: A model of transformers, on the CPU; it is put into eval mode.

    Raises:
        AttribError: It keeps no cache, or has no position for so many tokens.
    """
    module.eval()
    decoder_alone = not getattr(module.config, "is_encoder_decoder", False)
    call = _after_prompt(recipe, module) if decoder_alone else _after_encoder(recipe, module)
    # torch.export takes arguments that are given by name in the order of the parameters.
    return {name: call[name] for name in inspect.signature(module.forward).parameters if name in call}


def _after_prompt(recipe: Recipe, module: Any) -> dict[str, Any]:
    """New tokens of a decoder, behind those that it read at once."""
    before = recipe.cache_length or 0
    new = recipe.seq_len or DEFAULT_NEW_TOKENS
    whole = model_inputs(msgspec.structs.replace(recipe, seq_len=before + new), module)
    result = _run(recipe, module, {name: value[:, :before] for name, value in whole.items()})
    # The mask tells of all tokens; everything else only of the new ones.
    after = {name: value[:, before:] for name, value in whole.items()}
    return after | {"attention_mask": whole["attention_mask"], PAST: getattr(result, PAST)}


def _after_encoder(recipe: Recipe, module: Any) -> dict[str, Any]:
    """One new token of a decoder, behind those that it wrote, with what the encoder made of its own inputs."""
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    config, before = module.config, recipe.cache_length or 0
    limit = getattr(config, "max_target_positions", None) or getattr(config, "max_position_embeddings", None)
    if limit is not None and before + DEFAULT_NEW_TOKENS > limit:
        raise AttribError(
            f"the model's decoder has {limit} positions, --cache-length asks for {before} and a new one",
            hint=f"--cache-length {limit - DEFAULT_NEW_TOKENS}",
        )
    read = model_inputs(msgspec.structs.replace(recipe, cache_length=None), module)
    written = random_tokens(
        vocabulary=config.vocab_size,
        batch_size=recipe.batch_size,
        seq_len=before + DEFAULT_NEW_TOKENS,
        seed=recipe.seed + 1,
        padding=0.0,
        pad_id=0,
        segments=False,
    )
    tokens = torch.from_numpy(written["input_ids"])
    result = _run(recipe, module, read | {_WRITTEN: tokens[:, :before]})
    states = BaseModelOutput(last_hidden_state=result.encoder_last_hidden_state)
    call = {"encoder_outputs": states, _WRITTEN: tokens[:, before:], PAST: getattr(result, PAST)}
    return call | {name: value for name, value in read.items() if name == "attention_mask"}


def _run(recipe: Recipe, module: Any, inputs: dict[str, Any]) -> Any:
    """What the model makes of the tokens before, its cache among it.

    Raises:
        AttribError: It keeps none.
    """
    import torch

    with torch.no_grad():
        try:
            result = module(**inputs, use_cache=True)
        except (TypeError, ValueError, RuntimeError) as error:
            raise _no_cache(recipe, first_line(error)) from error
    if not is_cache(getattr(result, PAST, None)):
        raise _no_cache(recipe, "it returns none")
    return result


def _no_cache(recipe: Recipe, why: str) -> AttribError:
    return AttribError(
        f"--cache-length does not apply: {recipe.location} keeps no cache ({why})",
        hint="a language model that generates, as gpt2, keeps one",
    )
