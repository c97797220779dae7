"""Which modules of a model take no part in an inference call, by the weights that the call reads.

Not by which `forward` is called: a fast path, a script or functional code uses a module's weights without calling it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attrib.model.manifest import UnusedModule


class _ReadTensors(TorchDispatchMode):  # type: ignore[misc]  # torch is not type-checked here
    """Notes the identity of every tensor that an op takes."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self.ids.update(id(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor))
        return func(*args, **kwargs)


def unused_modules(module: Any, step: Callable[[], object]) -> tuple[UnusedModule, ...] | None:
    """Modules with weights of which one inference call reads none, the outermost of nested ones.

    Args:
        module: The whole model.
        step: One inference call.

    Returns:
        In the model's order; None where torch cannot watch this model (an op that refuses to be intercepted, or that
        hides the weights that it reads).
    """
    watch = _ReadTensors()
    try:
        with torch.inference_mode(), watch:
            step()
    except Exception:  # noqa: BLE001  (the model runs, which was seen before; only the watching failed)
        return None
    weights = list(module.parameters())
    if weights and not any(id(weight) in watch.ids for weight in weights):
        return None
    return tuple(_unused(module.named_modules(), watch.ids))


def _unused(modules: Iterable[tuple[str, Any]], read: set[int]) -> Iterator[UnusedModule]:
    found: tuple[str, ...] = ()
    for name, module in modules:
        weights = list(module.parameters())
        if not weights or name.startswith(found) or any(id(weight) in read for weight in weights):
            continue
        found += (f"{name}.",)
        yield UnusedModule(
            name=name, kind=type(module).__name__, parameters=sum(weight.numel() for weight in weights)
        )
