"""Module scopes in a PyTorch profile: hooks that exist only while a profiled block runs.

`with_stack`'s own `nn.Module: X_0` is an instance number, not a name, and costs two to three times as much.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import islice
from typing import Any

from attrib.traces.recording.recording import MODULE_RANGE

Mark = Callable[[str], AbstractContextManager[object]]

_MOST_NAMES = 100_000
"""Shared modules inside shared modules multiply the names; beyond this many a module is known by its first one only."""


class ModuleNames:
    """Qualified names of a model's modules; a module that is held in several places has several."""

    def __init__(self, module: Any) -> None:
        self._names: dict[int, list[str]] = {}
        for name, submodule in islice(module.named_modules(remove_duplicate=False), _MOST_NAMES):
            self._names.setdefault(id(submodule), []).append(name)
        for name, submodule in module.named_modules():
            self._names.setdefault(id(submodule), [name])

    def is_shared(self, module: Any) -> bool:
        """Whether the module has more than one name."""
        return len(self._names[id(module)]) > 1

    def beneath(self, module: Any, caller: str) -> str:
        """The name under which a module is called: nearest beneath the calling module, else the first one."""
        names = self._names[id(module)]
        inside = [name for name in names if not caller or name.startswith(f"{caller}.")]
        return min(inside or names[:1], key=lambda name: name.count("."))

    def of(self, identity: int, path: str) -> str | None:
        """The name of the module with that `id()` which a path such as `L['self'].encoder` ends with, else its first.

        None for a module that is no part of the model.
        """
        names = self._names.get(identity, [])
        fitting = [name for name in names if name and f".{path}".endswith(f".{name}")]
        return max(fitting, key=len) if fitting else next(iter(names), None)


@contextmanager
def module_scopes(module: Any, *, compiled: bool = False, mark: Mark | None = None) -> Iterator[None]:
    """While this lasts, each call of a submodule is a range that carries its qualified name.

    Args:
        module: The model.
        compiled: Dynamo runs the model: it must neither trace nor compile the hooks.
        mark: Makes a range from its label, `MODULE_RANGE` and the name; by default torch's profiler does.
    """
    marks = _Marks(module, mark or range_type(), compiled=compiled)
    handles: list[Any] = []
    for _, part in module.named_modules():
        with suppress(RuntimeError):  # modules that `torch.jit.script` made take no hooks
            handles += marks.hooks(part)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Marks:
    """The hooks of one model, and which of its modules are running."""

    def __init__(self, module: Any, mark: Mark, *, compiled: bool) -> None:
        self._names = ModuleNames(module)
        self._mark = mark
        self._callers: list[str] = []
        self._tracked = any(self._names.is_shared(submodule) for submodule in module.modules())
        self._outside_graphs: Callable[[Any], Any] = lambda hook: hook
        if compiled:
            import torch

            self._outside_graphs = torch._dynamo.disable  # noqa: SLF001

    def hooks(self, module: Any) -> tuple[Any, Any]:
        """Install the hooks of one module; their handles."""
        mark, names, callers = self._mark, self._names, self._callers
        label = MODULE_RANGE + names.beneath(module, "")
        # A stack, because a module can call itself.
        running: list[Any] = []

        def enter(_module: Any, _inputs: Any) -> None:
            scope = mark(label)
            running.append(scope)
            scope.__enter__()

        def leave(_module: Any, _inputs: Any, _result: Any) -> None:
            running.pop().__exit__(None, None, None)

        # In a model in which a module has several names, who calls it tells which one is meant.
        def enter_by_caller(_module: Any, _inputs: Any) -> None:
            name = names.beneath(module, callers[-1] if callers else "")
            callers.append(name)
            scope = mark(MODULE_RANGE + name)
            running.append(scope)
            scope.__enter__()

        def leave_by_caller(_module: Any, _inputs: Any, _result: Any) -> None:
            running.pop().__exit__(None, None, None)
            callers.pop()

        before, after = (enter_by_caller, leave_by_caller) if self._tracked else (enter, leave)
        # always_call: the range is closed even where the forward raises.
        return (
            module.register_forward_pre_hook(self._outside_graphs(before), prepend=True),
            module.register_forward_hook(self._outside_graphs(after), always_call=True),
        )


def range_type() -> Mark:
    """The cheapest profiler range of torch: a tenth of the cost of `record_function`, in the versions that have it."""
    import torch

    fast: Mark | None = getattr(torch._C._profiler, "_RecordFunctionFast", None)  # noqa: SLF001
    profiler: Mark = torch.profiler.record_function
    return fast or profiler
