"""One inference call, traced: which weights it reads, and which of its calls read what which other call made.

Under `torch.inference_mode` a dispatch mode sees each outermost aten op and nothing inside it: the calls of a profile.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attrib.capture.pytorch.scopes import module_scopes
from attrib.model.flow import Flow, FlowCall
from attrib.model.manifest import UnusedModule
from attrib.traces.recording.recording import MODULE_RANGE

_SHAPE_ONLY = frozenset({
    "aten::empty_like", "aten::zeros_like", "aten::ones_like", "aten::full_like", "aten::rand_like",
    "aten::new_empty", "aten::new_zeros", "aten::new_ones", "aten::new_full", "aten::new_empty_strided",
})  # fmt: skip
"""Ops that take a tensor for its shape and type, not for what is in it."""


class Dataflow(NamedTuple):
    """What one inference call did.

    Attributes:
        unused: Modules with weights of which the call reads none, the outermost of nested ones, in the model's order.
        flow: Which call reads the result of which, and which depend on the inputs.
    """

    unused: tuple[UnusedModule, ...]
    flow: Flow


def trace_dataflow(module: Any, inputs: Iterable[Any], step: Callable[[], object]) -> Dataflow | None:
    """Run one inference call and note which weights it reads, and whose results its calls read.

    Args:
        module: The whole model.
        inputs: The tensors that it takes.
        step: One inference call.

    Returns:
        None where torch cannot trace this model (an op that refuses to be intercepted, or that hides the weights that
        it reads).
    """
    tracer = _DataflowMode(inputs)
    try:
        with torch.inference_mode(), module_scopes(module, mark=tracer.scope), tracer:
            step()
    except Exception:  # noqa: BLE001  (the model runs, which was seen before; only the tracing failed)
        return None
    weights = list(module.parameters())
    if weights and not any(id(weight) in tracer.read for weight in weights):
        return None
    unused: list[UnusedModule] = []
    inside: tuple[str, ...] = ()
    for name, part in module.named_modules():
        held = list(part.parameters())
        if held and not name.startswith(inside) and not any(id(weight) in tracer.read for weight in held):
            inside += (f"{name}.",)
            count = sum(weight.numel() for weight in held)
            unused.append(UnusedModule(name=name, kind=type(part).__name__, parameters=count))
    return Dataflow(tuple(unused), Flow(calls=tuple(tracer.calls)))


class _DataflowMode(TorchDispatchMode):  # type: ignore[misc]  # torch is not type-checked here
    """Notes the identity of every tensor that an op takes, and follows results to their readers.

    What depends on the model's inputs is followed by storage, because views and in-place results share it.
    """

    def __init__(self, inputs: Iterable[Any]) -> None:
        super().__init__()
        self.read: set[int] = set()
        self.calls: list[FlowCall] = []
        self._scopes = [""]
        self._seen: Counter[str] = Counter()
        self._made: dict[int, tuple[int, int]] = {}
        self._alive = list(inputs)  # no later tensor may take over an identity
        self._fed = {_storage(tensor) for tensor in self._alive}

    @contextmanager
    def scope(self, label: str) -> Iterator[None]:
        """The range of one call of a module."""
        self._scopes.append(label.removeprefix(MODULE_RANGE))
        try:
            yield
        finally:
            self._scopes.pop()

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = _tensors((args, kwargs))
        self.read.update(id(tensor) for tensor in given)
        result = func(*args, **kwargs)
        op, made = func._schema.name, _tensors(result)  # noqa: SLF001
        self._alive += made
        fed = op not in _SHAPE_ONLY and any(_storage(tensor) in self._fed for tensor in given)
        if fed:
            self._fed.update(_storage(tensor) for tensor in made)
        label = f"{self._scopes[-1]}/{op}"
        sources = dict.fromkeys(self._made[id(tensor)] for tensor in given if id(tensor) in self._made)
        self._made |= {id(tensor): (len(self.calls), place) for place, tensor in enumerate(made)}
        self.calls.append(FlowCall(id=f"{label}#{self._seen[label]}", sources=tuple(sources), fed=fed))
        self._seen[label] += 1
        return result


def _tensors(value: object) -> list[Any]:
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def _storage(tensor: Any) -> int:
    """What identifies a tensor's storage, which views and in-place results share with what they were made of."""
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001
