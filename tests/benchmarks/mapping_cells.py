"""The cells of the mapping matrix: every value of every axis, each with every value of the axis it most bears on."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

import msgspec

Kind = Literal["capture", "renamed", "foreign", "foreign-graphs"]
"""What attrib is given: its own capture; one of a file without names; traces without a manifest, without or with graphs."""

BERT = "bert-base-uncased"
ENCODERS = (BERT, "distilbert-base-uncased", "roberta-base", "all-MiniLM-L6-v2")
TRANSFORMERS = (*ENCODERS, "gpt2", "t5-small")
CONVOLUTIONAL = "resnet-18"
EXAMPLES = ("matrix-in-forward", "two-linears", "two-branches", "two-branches-if", "two-branches-where")
EXPORTERS = ("dynamo", "torchscript")
LEVELS = ("disabled", "basic", "extended")
OPSETS = {"dynamo": (18, 21, 23, 24), "torchscript": (14, 16, 18, 20)}
FUSIONS = ("ort-transformers", "optimum-o1", "optimum-o2", "optimum-o3", "onnxscript", "onnxslim")
CONVERSIONS = ("float16", "int8-dynamic", "int8-qdq", "int8-qoperator")
MODES: dict[str, dict[str, Any]] = {
    "compile": {"torch_mode": "compile"},
    "jit": {"torch_mode": "jit"},
    "autocast": {"autocast": True, "precision": "bf16"},
}


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One capture of the matrix.

    Attributes:
        name: Unique; what `--only` looks in.
        kind: What attrib is given.
        options: Fields of `CaptureOptions`.
    """

    name: str
    kind: Kind = "capture"
    options: dict[str, Any]

    @property
    def is_transformer(self) -> bool:
        """Whether the floor of a transformer applies."""
        return self.options["model"] in TRANSFORMERS


def _cell(model: str, *words: str, kind: Kind = "capture", layers: int = 2, **options: Any) -> Cell:
    """A cell at 1x128 tokens; two layers of the models that are made of layers."""
    defaults: dict[str, Any] = {"model": model, "exporter": "dynamo", "opt_level": "all"}
    if model in TRANSFORMERS:
        defaults |= {"layers": layers, "seq_len": 128, "attention": "sdpa"}
    chosen = defaults | options
    shown = [
        f"{model}-{layers}" if "layers" in chosen else model,
        chosen["exporter"],
        *([chosen["attention"]] if "attention" in chosen else []),
        chosen["opt_level"],
        *words,
    ]
    return Cell(name=" ".join(shown), kind=kind, options=chosen)


def _models() -> Iterator[Cell]:
    for model, exporter in product((*TRANSFORMERS, CONVOLUTIONAL), EXPORTERS):
        yield _cell(model, exporter=exporter)
    for model, exporter in product((BERT, "gpt2", "t5-small"), EXPORTERS):
        yield _cell(model, exporter=exporter, attention="eager")
    for model in EXAMPLES:
        yield _cell(model)
    yield _cell("two-linears", exporter="torchscript")


def _levels() -> Iterator[Cell]:
    for model, exporter, level in product((BERT, CONVOLUTIONAL), EXPORTERS, LEVELS):
        yield _cell(model, exporter=exporter, opt_level=level)
    yield _cell("gpt2", exporter="torchscript", opt_level="disabled")
    yield _cell("t5-small", exporter="torchscript", opt_level="disabled")


def _optimizers() -> Iterator[Cell]:
    for rewrite, exporter in product((*FUSIONS, *CONVERSIONS), EXPORTERS):
        yield _cell(BERT, rewrite, exporter=exporter, optimize=(rewrite,))
    for rewrite in ("ort-transformers", "optimum-o3"):
        yield _cell(BERT, rewrite, exporter="torchscript", attention="eager", optimize=(rewrite,))
    yield _cell(BERT, "onnxscript", "int8-dynamic", optimize=("onnxscript", "int8-dynamic"))
    yield _cell(CONVOLUTIONAL, "int8-qdq", optimize=("int8-qdq",))
    yield _cell("gpt2", "ort-transformers", exporter="torchscript", optimize=("ort-transformers",))


def _exports() -> Iterator[Cell]:
    for exporter, opsets in OPSETS.items():
        for opset in opsets:
            yield _cell(BERT, f"opset {opset}", exporter=exporter, opset=opset)
        yield _cell(BERT, "dynamic shapes", exporter=exporter, dynamic_shapes=True)
    for padding, seq_len in ((0.3, 128), (0.0, 32)):
        yield _cell(BERT, f"padding {padding}, {seq_len} tokens", padding=padding, seq_len=seq_len)
    # ONNX Runtime has no bfloat16 kernels for a CPU; on PyTorch's side the autocast cells are in bfloat16.
    yield _cell(BERT, "fp16", precision="fp16")


def _modes() -> Iterator[Cell]:
    for mode, exporter in product(MODES, EXPORTERS):
        yield _cell(BERT, mode, exporter=exporter, **MODES[mode])
    for model, mode in (("gpt2", "compile"), ("gpt2", "jit"), (CONVOLUTIONAL, "compile")):
        yield _cell(model, mode, **MODES[mode])


def _without_evidence() -> Iterator[Cell]:
    for exporter, level in product(EXPORTERS, ("disabled", "all")):
        yield _cell(BERT, "renamed", kind="renamed", exporter=exporter, opt_level=level)
    for exporter in EXPORTERS:
        yield _cell(BERT, "foreign", kind="foreign", exporter=exporter)
        yield _cell(BERT, "foreign with graphs", kind="foreign-graphs", exporter=exporter)
    yield _cell("gpt2", "foreign", kind="foreign")
    yield _cell("gpt2", "renamed", kind="renamed")


def _full_size() -> Iterator[Cell]:
    """BERT-base as published: what the floors of foreign files speak of."""
    for exporter in EXPORTERS:
        yield _cell(BERT, exporter=exporter, layers=12)
    yield _cell(BERT, "renamed", kind="renamed", layers=12)
    yield _cell(BERT, "foreign", kind="foreign", layers=12)


FACTORIES = Path(__file__).with_name("mapping_models.py")


def _factories() -> Iterator[Cell]:
    """What is no transformer of the zoo."""
    from mapping_models import EXPORTED_BY_TRACING, NAMES

    for name in NAMES:
        exporter = "torchscript" if name in EXPORTED_BY_TRACING else "dynamo"
        options = {"model": f"{FACTORIES}:{name}", "exporter": exporter, "opt_level": "all"}
        yield Cell(name=f"{name} {exporter} all", options=options)


def all_cells() -> tuple[Cell, ...]:
    """Every cell, by axis."""
    parts = (_models, _factories, _levels, _optimizers, _exports, _modes, _without_evidence, _full_size)
    return tuple(cell for part in parts for cell in part())
