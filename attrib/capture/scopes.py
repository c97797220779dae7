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
    from torch.profiler import record_function

    # A stack, because a module can call itself.
    running: list[Any] = []

    def enter(_module: Any, _inputs: Any) -> None:
        scope = record_function(label)
        running.append(scope)
        scope.__enter__()

    def leave(_module: Any, _inputs: Any, _result: Any) -> None:
        running.pop().__exit__(None, None, None)

    # always_call: the range is closed even where the forward raises.
    return module.register_forward_pre_hook(enter, prepend=True), module.register_forward_hook(
        leave, always_call=True
    )
