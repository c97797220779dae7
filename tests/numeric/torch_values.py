"""What every PyTorch call of one step returns, under the id that attrib gives the call.

Under `torch.inference_mode` a dispatch mode sees each outermost aten op and nothing inside it, which is what a profile
calls outermost; hooks name the module, as `attrib.capture.pytorch.scopes` does.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.numeric.tensors import Values


@dataclass(frozen=True, eq=False)
class Call:
    """One outermost aten op.

    Attributes:
        id: As in attrib's partition: `scope/aten::op#n`.
        scope: Qualified module name.
        op: `aten::linear`.
        inputs: Tensors that are no weights: the model's inputs and what earlier calls returned.
        makers: Which calls returned those inputs: position of the call, position of its output.
        outputs: What it returned.
    """

    id: str
    scope: str
    op: str
    inputs: tuple[Values, ...]
    makers: tuple[tuple[int, int], ...]
    outputs: tuple[Values, ...]


class _Recording(TorchDispatchMode):
    def __init__(self, inputs: list[Any]) -> None:
        super().__init__()
        self.scopes = [""]
        self.calls: list[Call] = []
        self._known: dict[int, tuple[Values, tuple[int, int] | None]] = {
            id(tensor): (_copied(tensor), None) for tensor in inputs
        }
        self._seen = Counter[str]()
        # No later tensor may take over an identity.
        self._alive = list(inputs)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = [self._known[id(t)] for t in _tensors((args, kwargs)) if id(t) in self._known]
        result = func(*args, **(kwargs or {}))
        if func._schema.name.startswith("aten::"):
            self._note(func._schema.name, given, list(_tensors(result)))
        return result

    def _note(self, op: str, given: list[tuple[Values, tuple[int, int] | None]], returned: list[Any]) -> None:
        label, position = f"{self.scopes[-1]}/{op}", len(self.calls)
        outputs = tuple(map(_copied, returned))
        call = Call(
            id=f"{label}#{self._seen[label]}",
            scope=self.scopes[-1],
            op=op,
            inputs=tuple(values for values, _ in given),
            makers=tuple(maker for _, maker in given if maker),
            outputs=outputs,
        )
        self.calls.append(call)
        self._seen[label] += 1
        self._alive += returned
        self._known |= {
            id(t): (values, (position, i))
            for i, (t, values) in enumerate(zip(returned, outputs, strict=True))
        }


def calls_of(module: Any, inputs: dict[str, Any], step: Callable[[], object]) -> list[Call]:
    """Run one step and keep what every call returned."""
    recording = _Recording(list(inputs.values()))
    with torch.inference_mode(), _named_modules(module, recording.scopes), recording:
        step()
    return recording.calls


@contextmanager
def _named_modules(module: Any, scopes: list[str]) -> Iterator[None]:
    """While this lasts, the last of `scopes` is the innermost module that runs."""
    with ExitStack() as stack:
        for name, submodule in module.named_modules():
            for handle in _hooks(submodule, name, scopes):
                stack.callback(handle.remove)
        yield


def _hooks(module: Any, name: str, scopes: list[str]) -> tuple[Any, Any]:
    def enter(_module: Any, _inputs: Any) -> None:
        scopes.append(name)

    def leave(_module: Any, _inputs: Any, _result: Any) -> None:
        scopes.pop()

    return (
        module.register_forward_pre_hook(enter, prepend=True),
        module.register_forward_hook(leave, always_call=True),
    )


def _tensors(value: Any) -> Iterator[Any]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)


def _copied(tensor: Any) -> Values:
    """A copy, because a later call may change the tensor in place."""
    value = tensor.detach().cpu()
    return Values((value.float() if value.dtype == torch.bfloat16 else value).contiguous().numpy().copy())
