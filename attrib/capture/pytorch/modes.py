"""How PyTorch runs the model: eager, through torch.compile, or as a TorchScript trace; each under autocast if asked for."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch

from attrib.capture.pytorch.compiled_launches import InductorProvenance
from attrib.capture.pytorch.scopes import module_scopes
from attrib.capture.pytorch.torchscript_nodes import compiled_from_torchscript
from attrib.capture.workload.build import Built
from attrib.capture.workload.flat_module import FlatModule
from attrib.errors import AttribError, first_line
from attrib.model.capture_options import Precision, TorchMode
from attrib.model.compiled import Compiled

Step = Callable[[], object]

_DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}
_SETTLING_RUNS = 5
"""TorchScript's executor watches the first runs and optimizes after them."""


class Prepared(NamedTuple):
    """A model that is ready to be timed.

    Attributes:
        step: One inference call.
        scopes: Marks module calls while it lasts.
        compiled: What the kernels compute, as far as a compiler recorded it by now; None where nothing is compiled.
    """

    step: Step
    scopes: Callable[[], AbstractContextManager[None]]
    compiled: Callable[[], Compiled | None]


def prepare(built: Built, mode: TorchMode, autocast: Precision | None) -> Prepared:
    """Make the model ready to run in a mode, compiled if need be.

    Raises:
        AttribError: The compiler cannot compile it.
    """
    ready = _MODES[mode](built, autocast)
    if not any(value.is_cuda for value in (*built.inputs.values(), *built.module.parameters())):
        return ready

    def run_and_wait() -> object:
        result = ready.step()
        torch.cuda.synchronize()
        return result

    return ready._replace(step=run_and_wait)


def _eager(built: Built, autocast: Precision | None) -> Prepared:
    return Prepared(
        autocast_step(built, built.step, autocast),
        partial(module_scopes, built.module),
        compiled=lambda: None,
    )


def _compile(built: Built, autocast: Precision | None) -> Prepared:
    provenance = InductorProvenance(built.module)
    # Not `module.compile()`: that compiles nothing where the model is a container of torch's own, e.g. nn.Sequential.
    compiled = replace(built, module=torch.compile(built.module, backend=provenance.backend))
    step = autocast_step(built, compiled.step, autocast)
    _first_run(step, "torch.compile failed", "torch.compile needs a C++ compiler; or use --torch-mode eager")
    scopes = partial(module_scopes, built.module, compiled=True)
    return Prepared(step, scopes, compiled=lambda: provenance.compiled)


def _jit(built: Built, autocast: Precision | None) -> Prepared:
    flat, inputs = FlatModule(built), tuple(built.inputs.values())
    names = tuple(built.first_outputs())
    traced: list[Any] = []

    def trace() -> None:
        # The casts become part of the trace; a cast that autocast remembers would become a constant in it.
        with torch.inference_mode(), _autocast(built, autocast, cache_enabled=False):
            traced.append(torch.jit.trace(flat, inputs, check_trace=False))

    def step() -> object:
        return dict(zip(names, traced[0](*inputs), strict=True))

    hint = "TorchScript cannot hold every model; use --torch-mode eager or compile"
    _first_run(trace, "torch.jit.trace failed", hint)
    for _ in range(_SETTLING_RUNS):
        _first_run(step, "the TorchScript trace cannot run", hint)
    record = compiled_from_torchscript(torch.jit.last_executed_optimized_graph(), FlatModule.ATTRIBUTE)
    return Prepared(step, nullcontext, compiled=lambda: record)


_MODES: dict[TorchMode, Callable[[Built, Precision | None], Prepared]] = {
    "eager": _eager,
    "compile": _compile,
    "jit": _jit,
}


def _first_run(run: Step, failure: str, hint: str) -> None:
    """Run once, and turn what a compiler raises into an error with a way out."""
    try:
        with torch.inference_mode():
            run()
    except Exception as error:
        raise AttribError(f"{failure}: {first_line(error)}", hint=hint) from error


def _autocast(built: Built, precision: Precision | None, **options: bool) -> AbstractContextManager[Any]:
    if precision is None:
        return nullcontext()
    held = (*built.inputs.values(), *built.module.parameters())
    device = held[0].device.type if held else "cpu"
    context: AbstractContextManager[Any] = torch.autocast(device, _DTYPES[precision], **options)
    return context


def autocast_step(built: Built, step: Step, precision: Precision | None) -> Step:
    """A step under autocast to a precision; as it is where that is None."""
    if precision is None:
        return step

    def cast() -> object:
        with _autocast(built, precision):
            return step()

    return cast
