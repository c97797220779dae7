"""How a model is called: its inputs as they are nested in the call, and the tensors among them by name.

An input may be any nest of tuples, lists, dicts, dataclasses and classes that are registered with `torch.utils._pytree`
(transformers' outputs and caches are), and hold numbers, texts and None beside tensors: these are constants of the call.
"""

import dataclasses
from collections import namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrib.capture.workload.caches import cache_names, caches_in, is_cache_class, register_caches
from attrib.errors import AttribError

_CONSTANTS = (bool, int, float, complex, str, bytes, type(None))
_PLAIN = (tuple, list, dict)
"""Containers that a model does not change by calling their methods."""

_HINT = (
    "pass tensors, numbers, texts and None in tuples, lists, dicts or dataclasses; other classes need"
    " torch.utils._pytree.register_pytree_node"
)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Arguments:
    """The arguments of one call, without the tensors.

    Attributes:
        names: Names of the tensors, in the order in which torch.export flattens the call.
        fill: Puts tensors in that order into the call: its positional arguments, and those by name.
        is_fresh: The call needs containers of its own, because the model may change them, as it does a cache.
        only_caches: Caches of transformers are all that it may change, if anything.
    """

    names: tuple[str, ...]
    fill: Callable[[Sequence[Any]], tuple[tuple[Any, ...], dict[str, Any]]]
    is_fresh: bool = False
    only_caches: bool = True

    @classmethod
    def by_position(cls, names: Iterable[str]) -> "Arguments":
        """A call that takes tensors by position and nothing else."""
        return cls(tuple(names), lambda tensors: (tuple(tensors), {}))

    @classmethod
    def by_name(cls, names: Iterable[str]) -> "Arguments":
        """A call that takes tensors by name and nothing else."""
        known = tuple(names)
        return cls(known, lambda tensors: ((), dict(zip(known, tensors, strict=True))))


def split_call(
    args: Sequence[Any], kwargs: Mapping[str, Any], parameters: Sequence[str], giver: str
) -> tuple[Arguments, dict[str, Any]]:
    """Take a call apart: how it is nested, and its tensors by name.

    Args:
        args: What is given by position.
        kwargs: What is given by name.
        parameters: Names of the parameters that take `args`.
        giver: Who gave them, for the error.

    Raises:
        AttribError: Something is neither a tensor nor a constant, nor anything known that holds such.
    """
    import torch
    from torch.utils import _pytree

    call = (tuple(args), dict(kwargs))
    _register_dataclasses(call)
    register_caches(call)
    of_caches = {place: name for cache in caches_in(call) for place, name in cache_names(cache).items()}
    leaves, spec = _pytree.tree_flatten_with_path(call)
    places: list[int] = []
    tensors: dict[str, Any] = {}
    for place, (path, leaf) in enumerate(leaves):
        in_cache = of_caches.get(id(leaf), "")
        name = f"{_name(path[:-1], parameters)}.{in_cache}" if in_cache else _name(path, parameters)
        if isinstance(leaf, torch.Tensor):
            places.append(place)
            tensors[_unused(name, tensors)] = leaf
        elif not isinstance(leaf, _CONSTANTS):
            raise AttribError(f"{giver} gave a {type(leaf).__name__} as input {name!r}", hint=_HINT)
    values = [leaf for _, leaf in leaves]

    def fill(given: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        filled = list(values)
        for place, tensor in zip(places, given, strict=True):
            filled[place] = tensor
        found: tuple[tuple[Any, ...], dict[str, Any]] = _pytree.tree_unflatten(filled, spec)
        return found

    changing = {kind for kind in _containers(spec) if not _is_plain(kind)}
    return Arguments(tuple(tensors), fill, bool(changing), all(map(is_cache_class, changing))), tensors


def _containers(spec: Any) -> Iterator[type]:
    """The classes of all containers of a nest."""
    if spec.type is not None:
        yield spec.type
    for child in spec.children():
        yield from _containers(child)


def _is_plain(kind: Any) -> bool:
    """Whether no method of a container changes it; torch names all named tuples by the function that makes them."""
    return kind is namedtuple or issubclass(kind, _PLAIN) or dataclasses.is_dataclass(kind)


def _register_dataclasses(value: Any) -> None:
    """Make the dataclasses of a nest known to torch, which takes an unknown class for one thing."""
    from torch.utils import _pytree

    for leaf in _pytree.tree_leaves(value):
        if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
            _pytree.register_dataclass(type(leaf))
            _register_dataclasses(value)
            return


def _name(path: Sequence[Any], parameters: Sequence[str]) -> str:
    """`state.0.key`: the parameter, then the way into it."""
    by_name, first, *rest = (_step(key) for key in path)
    if by_name == "0":
        place = int(first)
        first = parameters[place] if place < len(parameters) else f"input_{place}"
    return ".".join((first, *rest))


def _step(key: Any) -> str:
    """One step of a way into a nest: a position, a key, or the name of a field."""
    for attribute in ("idx", "key", "name"):
        if hasattr(key, attribute):
            return str(getattr(key, attribute))
    return str(key).strip("[].'\"")


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """A name that no other tensor has: a dict may have keys that read alike."""
    found, number = name, 1
    while found in taken:
        found, number = f"{name}.{number}", number + 1
    return found
