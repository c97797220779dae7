"""Planted into another environment (`check_build.py`): each run of ONNX Runtime takes a share of itself longer.

Imports nothing but the standard library: it is copied there, and runs at the start of the interpreter.
"""

import sys
import time
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

MODULE = "onnxruntime.capi.onnxruntime_inference_collection"
RUNS = ("run", "run_with_iobinding")


def stretched(run: Callable[..., Any], share: float) -> Callable[..., Any]:
    """The same, and a share of the time that it took longer: it goes on using its core."""

    def longer(*arguments: Any, **named: Any) -> Any:
        begin = time.perf_counter_ns()
        result = run(*arguments, **named)
        end = time.perf_counter_ns()
        until = end + share * (end - begin)
        while time.perf_counter_ns() < until:
            pass
        return result

    return longer


class _Planter(MetaPathFinder):
    """Finds the module as Python does, and changes its sessions when it was imported."""

    def __init__(self, share: float) -> None:
        self._share = share

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != MODULE:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader.exec_module = self._planting(spec.loader.exec_module)  # type: ignore[method-assign]
        return spec

    def _planting(self, execute: Callable[[ModuleType], None]) -> Callable[[ModuleType], None]:
        def planting(module: ModuleType) -> None:
            execute(module)
            for name in RUNS:
                setattr(module.Session, name, stretched(getattr(module.Session, name), self._share))

        return planting


def install(share: float) -> None:
    """Let every session of this interpreter take so much longer, e.g. 0.1 for a tenth."""
    sys.meta_path.insert(0, _Planter(share))
