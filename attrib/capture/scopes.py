"""Module scopes in a PyTorch profile: hooks that exist only while a profiled block runs.

`with_stack`'s own `nn.Module: X_0` is an instance number, not a name, and costs two to three times as much.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PREFIX = "module: "
"""The range of a module is named `module: ` and its qualified name; the root's name is empty."""


@contextmanager
def module_scopes(module: Any) -> Iterator[None]:
    """While this lasts, each call of a submodule is a profiler range that carries its qualified name."""
    handles = [
        handle for name, submodule in module.named_modules() for handle in _hooks(submodule, PREFIX + name)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooks(module: Any, label: str) -> tuple[Any, Any]:
    mark = _range_type()
    # A stack, because a module can call itself.
    running: list[Any] = []

    def enter(_module: Any, _inputs: Any) -> None:
        scope = mark(label)
        running.append(scope)
        scope.__enter__()

    def leave(_module: Any, _inputs: Any, _result: Any) -> None:
        running.pop().__exit__(None, None, None)

    # always_call: the range is closed even where the forward raises.
    return module.register_forward_pre_hook(enter, prepend=True), module.register_forward_hook(
        leave, always_call=True
    )


def _range_type() -> Any:
    """The cheapest profiler range of torch: a tenth of the cost of `record_function`, in the versions that have it."""
    import torch

    fast = getattr(torch._C._profiler, "_RecordFunctionFast", None)  # noqa: SLF001
    return fast or torch.profiler.record_function
