"""Offline rewrites of the exported graph, by the names that `--optimize` takes. Importing this table imports no engine.

Each rewrite reads one ONNX file and writes another, weights beside it; it never changes the file that it reads. It runs
in a worker, because the tools load whole models and may crash.
"""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrib.errors import UsageError

if TYPE_CHECKING:
    import numpy.typing as npt

Arrays = dict[str, "npt.NDArray[Any]"]
"""Tensors by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArchitecture:
    """The architecture of the model, for fusions; they read sizes that are 0 here from the graph."""

    model_type: str
    heads: int = 0
    hidden: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a rewrite is given: two files, and functions that answer what a graph cannot tell about itself.

    The functions are called only by rewrites that need an answer; some of them build the model or run a graph.

    Attributes:
        source: The graph to read.
        target: The graph to write; its folder is the rewrite's own.
        run: Runs a graph once, unoptimized, on the workload's inputs; its outputs by name.
        feeds: The workload's inputs under the names that a graph gives them.
        seed: Seed of whatever is random.
        gpu: The graph is meant for a GPU.
        architecture: The model's architecture.
        outputs: The names of what the PyTorch model returns, flattened.
    """

    source: Path
    target: Path
    run: Callable[[Path], Arrays]
    feeds: Callable[[Path], Arrays]
    seed: int
    gpu: bool
    architecture: Callable[[], ModelArchitecture]
    outputs: Callable[[], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The settings of a rewrite for the manifest, and notes for the user."""

    settings: dict[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriter:
    """One row of `REWRITES`.

    Attributes:
        package: The package that does it, whose version is recorded.
        function: `module:function` in this package, called with a `Job`; returns its `Outcome`.
        precision: The precision that the graph computes in afterward; empty where it stays.
    """

    package: str
    function: str
    precision: str = ""

    def __call__(self, job: Job) -> Outcome:
        """Run the rewrite."""
        module, function = self.function.split(":")
        outcome: Outcome = getattr(importlib.import_module(f"attrib.rewrite.{module}"), function)(job)
        return outcome


def _ort(function: str, precision: str = "") -> Rewriter:
    return Rewriter(package="onnxruntime", function=function, precision=precision)


def _own(function: str) -> Rewriter:
    return Rewriter(package="attrib", function=f"surgery.{function}")


REWRITES: dict[str, Rewriter] = {
    "ort-transformers": _ort("fuse:ort_transformers"),
    "optimum-o1": _ort("fuse:optimum_o1"),
    "optimum-o2": _ort("fuse:optimum_o2"),
    "optimum-o3": _ort("fuse:optimum_o3"),
    "optimum-o4": _ort("fuse:optimum_o4", "fp16"),
    "onnxscript": Rewriter(package="onnxscript", function="fuse:onnxscript"),
    "onnxslim": Rewriter(package="onnxslim", function="fuse:onnxslim"),
    "float16": _ort("convert:float16", "fp16"),
    "int8-dynamic": _ort("convert:int8_dynamic", "int8"),
    "int8-qdq": _ort("convert:int8_qdq", "int8"),
    "int8-qoperator": _ort("convert:int8_qoperator", "int8"),
    "drop-nan-guard": _own("nan_guard:drop_nan_guard"),
    "drop-inverse-pairs": _own("inverse_pairs:drop_inverse_pairs"),
    "merge-duplicates": _own("duplicates:merge_duplicates"),
    "double-to-float": _own("double_to_float:double_to_float"),
    "einsum-to-matmul": _own("einsum_to_matmul:einsum_to_matmul"),
    "fold-batch-norms": _own("fold_batch_norms:fold_batch_norms"),
    "drop-unused-outputs": _own("duplicates:drop_unused_outputs"),
    "drop-initializer-inputs": _own("duplicates:drop_initializer_inputs"),
}
"""Name for `--optimize` -> the package and function that do it."""

_HALF = ("fp16", "bf16")
_ROUGHER = ("fp32", "fp16", "bf16", "int8")


def check_rewrites(names: Iterable[str], precision: str) -> None:
    """Check the names given to `--optimize` for a model of this precision.

    Raises:
        UsageError: There is no such rewrite, or it cannot begin with what it would get.
    """
    for name in (names,) if isinstance(names, str) else names:
        if name not in REWRITES:
            near = get_close_matches(name, REWRITES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"--optimize with one of: {', '.join(REWRITES)}"
            raise UsageError(f"unknown rewrite {name!r}", hint=hint)
        own = REWRITES[name].precision
        if own == "int8" and precision in _HALF:
            # onnxruntime quantizes such a graph without a word, and then refuses it: scales must be float32.
            raise UsageError(
                f"--optimize {name} begins with a float32 graph, not with {precision}",
                hint="--precision fp32, and no float16 or optimum-o4 before it",
            )
        precision = own or precision


def lowest_precision(precision: str, names: Iterable[str]) -> str:
    """Find the lowest precision of the model and of the rewrites that convert it."""
    taking_part = (precision, *(REWRITES[name].precision or precision for name in names))
    return max(taking_part, key=_ROUGHER.index)
