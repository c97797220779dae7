"""One inference call, traced: which weights it reads, and which of its calls read what which other call made.

Under `torch.inference_mode` a dispatch mode sees each outermost aten op and nothing inside it: the calls of a profile.
Several of them may lie in one call of the profile: a scripted function, an autograd function, an op that autocast gives
casts. The step is profiled while it is watched, and what lies in one of its outermost calls becomes that call.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from attrib.analysis.attribution.host.torch_kernels import is_wrapper
from attrib.capture.pytorch.scopes import module_scopes, range_type
from attrib.model.flow import Flow, FlowCall
from attrib.model.manifest import UnusedModule
from attrib.traces.recording.recording import MODULE_RANGE, RANGE

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
    tracer = DataflowMode(inputs)
    try:
        tracer.watch(module, step)
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
    return Dataflow(tuple(unused), Flow(calls=tracer.flow()))


def _draws(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether an op draws random numbers; an attention does so only for a dropout."""
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return False
    given = {argument.name: argument.default_value for argument in func._schema.arguments}  # noqa: SLF001
    given |= dict(zip(given, args, strict=False)) | kwargs
    return bool(given.get("dropout_p", True))


class DataflowMode(TorchDispatchMode):  # type: ignore[misc]  # torch is not type-checked here
    """Notes the identity of every tensor that an op takes, and follows results to their readers.

    What depends on the model's inputs is followed by storage, because views and in-place results share it.

    Attributes:
        read: Identities of all tensors that were read.
        calls: What was dispatched, one entry an op; without ids.
        writers: By storage, position in `calls` of what last wrote into it.
        groups: After `watch`, positions in `calls` of what lies in one call of the profile.
    """

    def __init__(self, inputs: Iterable[Any]) -> None:
        super().__init__()
        self.read: set[int] = set()
        self.calls: list[FlowCall] = []
        self.groups: list[list[int]] = []
        self._scopes = [""]
        self._places: list[tuple[str, str]] = []
        self._made: dict[int, tuple[int, int]] = {}
        self.writers: dict[int, int] = {}
        self._alive = list(inputs)  # no later tensor may take over an identity
        self._given = {id(tensor) for tensor in self._alive}
        self._fed = {storage_of(tensor) for tensor in self._alive}

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
        given = tensors_in((args, kwargs))
        self.read.update(id(tensor) for tensor in given)
        self.before(given)
        with _RANGE(f"{_MARK}{len(self.calls)}"):
            result = func(*args, **kwargs)
        op, made = func._schema.name, tensors_in(result)  # noqa: SLF001
        self._alive += made
        fed = op not in _SHAPE_ONLY and any(storage_of(tensor) in self._fed for tensor in given)
        fed = fed or _draws(func, args, kwargs)
        if fed:
            self._fed.update(storage_of(tensor) for tensor in made)
        sources = dict.fromkeys(self._made[id(tensor)] for tensor in given if id(tensor) in self._made)
        # What was written into a tensor, or into one that shares its memory, is read with it.
        writers = (self.writers.get(storage_of(tensor)) for tensor in given)
        sources |= dict.fromkeys((writer, 0) for writer in writers if writer is not None)
        position = len(self.calls)
        written = list(_written_by(func, args, kwargs))
        self.writers |= {storage_of(tensor): position for tensor in written}
        self._made |= {id(tensor): (len(self.calls), place) for place, tensor in enumerate(made)}
        self._places.append((self._scopes[-1], op))
        self.calls.append(FlowCall(id="", sources=tuple(sources), fed=fed))
        self.after(made, written)
        return result

    def watch(self, module: Any, step: Callable[[], object]) -> None:
        """Run one inference call."""
        with (
            torch.inference_mode(),
            torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profiler,
            module_scopes(module, mark=self.scope),
            self,
        ):
            step()
        outermost = _outermost_calls(profiler)
        groups: dict[int, list[int]] = {}
        for position, (scope, op) in enumerate(self._places):
            number, name = outermost.get(position, (-1 - position, op))
            self._places[position] = (scope, name)
            groups.setdefault(number, []).append(position)
        self.groups = list(groups.values())

    def ids(self) -> list[str]:
        """The id of each call of the profile, in order: `scope/aten::op#n`."""
        seen, found = Counter[str](), []
        for group in self.groups:
            label = "/".join(self._places[group[0]])
            found.append(f"{label}#{seen[label]}")
            seen[label] += 1
        return found

    def flow(self) -> tuple[FlowCall, ...]:
        """The calls of the profile, and which reads the result of which."""
        group_of = {position: number for number, group in enumerate(self.groups) for position in group}
        found = []
        for number, (name, group) in enumerate(zip(self.ids(), self.groups, strict=True)):
            sources = {
                # Which of its results it is, a call that holds several ops does not say.
                (group_of[maker], place if len(self.groups[group_of[maker]]) == 1 else 0): None
                for position in group
                for maker, place in self.calls[position].sources
                if group_of[maker] != number
            }
            fed = any(self.calls[position].fed for position in group)
            found.append(FlowCall(id=name, sources=tuple(sources), fed=fed))
        return tuple(found)

    def before(self, given: list[Any]) -> None:
        """Called before an op runs, with the tensors that it takes."""

    def after(self, made: list[Any], written: list[Any]) -> None:
        """Called with the tensors that an op returned, and those into which it wrote."""

    def is_followed(self, tensor: Any) -> bool:
        """Whether a tensor is an input of the model, or what an earlier call returned: no weight."""
        return id(tensor) in self._made or id(tensor) in self._given


def _written_by(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[Any]:
    """The tensors among an op's arguments into which it writes."""
    for place, argument in enumerate(func._schema.arguments):  # noqa: SLF001
        if argument.alias_info is None or not argument.alias_info.is_write:
            continue
        value = args[place] if place < len(args) else kwargs.get(argument.name)
        values = value if isinstance(value, list | tuple) else [value]
        yield from (item for item in values if isinstance(item, torch.Tensor))


_MARK = "attrib.call#"
"""Begins the name of the range around each op that is watched, before its number."""

_RANGE = range_type()


def _outermost_calls(profiler: Any) -> dict[int, tuple[int, str]]:
    """The outermost call of the profile in which each watched op lies: its number and name, by the op's number.

    Nothing for an op of which the profile does not say it.
    """
    found: dict[int, tuple[int, str]] = {}
    until: dict[int, int] = {}  # by thread, the end of its outermost call
    call: dict[int, tuple[int, str]] = {}
    events = [(e.start_ns(), -e.duration_ns(), e) for e in profiler.profiler.kineto_results.events()]
    for number, (start, duration, event) in enumerate(sorted(events, key=lambda entry: entry[:2])):
        name, thread = event.name(), event.start_thread_id()
        inside = start < until.get(thread, 0)
        if name.startswith(_MARK):
            if inside:
                found[int(name.removeprefix(_MARK))] = call[thread]
        elif not (inside or event.is_user_annotation() or RANGE.match(name) or is_wrapper(name)):
            until[thread], call[thread] = start - duration, (number, name)
    return found


def tensors_in(value: object) -> list[Any]:
    """Every tensor in a nest of lists, tuples, dicts and the like."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def storage_of(tensor: Any) -> int:
    """What identifies a tensor's storage, which views and in-place results share with what they were made of."""
    return int(tensor.untyped_storage()._cdata)  # noqa: SLF001
