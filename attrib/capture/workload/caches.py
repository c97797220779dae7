"""Caches of transformers: the keys and values that a language model keeps of the tokens before.

Their tensors are called as exporters of decoders call them: `0.key` for the keys of the first layer; `0.decoder.key` and
`0.encoder.key` where a model keeps two caches, of its own tokens and of those that it attends to.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

_MODULE = "transformers.cache_utils"
_TENSORS = {"keys": "key", "values": "value"}
"""Attribute of a layer of a cache -> what its tensor is called."""

_GROWING = "DynamicLayer"
"""The layer of a cache of which an update changes no tensor, but puts longer ones in their place."""

PAST, PRESENT = "past_key_values", "present"
"""What transformers calls a cache that is given, and what exporters call the one that is returned."""


def is_cache(value: object) -> bool:
    """Whether a value is a cache of transformers, or of a class made from one."""
    return is_cache_class(type(value))


def is_cache_class(kind: type) -> bool:
    """Whether a class is one of transformers' caches, or made from one."""
    return any(base.__module__ == _MODULE for base in kind.__mro__)


def caches_in(nest: object) -> list[Any]:
    """All caches of a nest, in the order in which torch flattens it."""
    from torch.utils import _pytree

    return [leaf for leaf in _pytree.tree_leaves(nest, is_leaf=is_cache) if is_cache(leaf)]


def _layers_of(cache: Any) -> Iterator[tuple[str, Any]]:
    """The layers of a cache, each with the beginning of the names of its tensors; none of a kind that is not known."""
    parts = {
        "decoder.": getattr(cache, "self_attention_cache", None),
        "encoder.": getattr(cache, "cross_attention_cache", None),
    }
    known = {part: its for part, its in parts.items() if its is not None} or {"": cache}
    for part, its in known.items():
        for number, layer in enumerate(getattr(its, "layers", ())):
            yield f"{number}.{part}", layer


def cache_names(cache: Any) -> dict[int, str]:
    """The names of a cache's tensors, by their `id`; without those of a kind of cache that is not known."""
    return {
        id(tensor): f"{start}{name}"
        for start, layer in _layers_of(cache)
        for attribute, name in _TENSORS.items()
        if (tensor := getattr(layer, attribute, None)) is not None
    }


def cache_outputs(prefix: str, cache: Any) -> Iterator[tuple[str, Any]]:
    """The tensors of a cache that a model returned, by name, in the order in which torch flattens it."""
    import torch
    from torch.utils import _pytree

    register_caches(cache)
    names = cache_names(cache)
    head = PRESENT if prefix == PAST else prefix
    for place, leaf in enumerate(_pytree.tree_leaves(cache)):
        if isinstance(leaf, torch.Tensor):
            yield f"{head}.{names.get(id(leaf), place)}", leaf


def cached_length(shapes: dict[str, tuple[int, ...]]) -> int:
    """Tokens that a cache among the inputs holds, by their names and shapes `[batch, heads, tokens, size]`; 0 for none."""
    keys = [shape for name, shape in shapes.items() if name.startswith(f"{PAST}.") and name.endswith(".key")]
    return keys[0][2] if keys and len(keys[0]) == 4 else 0  # noqa: PLR2004


def register_caches(nest: object) -> None:
    """Make the caches of a nest known to torch, by transformers' own code."""
    for kind in {type(cache) for cache in caches_in(nest)}:
        # An older release has no such module: the caller is told that the class is not known.
        with contextlib.suppress(ImportError):
            from transformers.exporters.exporter_dynamo import register_pytree_node

            register_pytree_node(kind)


def restorer(nest: object) -> Callable[[], None] | None:
    """What puts the caches of a nest back to what they hold now, after a step that made them longer.

    It takes some microseconds, where new containers take a hundred, which a step in use does not pay.

    Returns:
        None where there is none, or one whose tensors a step changes in place.
    """
    of_caches = [[layer for _, layer in _layers_of(cache)] for cache in caches_in(nest)]
    layers = [layer for its in of_caches for layer in its]
    if not all(of_caches) or not layers or any(type(layer).__name__ != _GROWING for layer in layers):
        return None
    known = [(vars(layer), dict(vars(layer))) for layer in layers]

    def restore() -> None:
        for now, before in known:
            now.update(before)

    return restore
