"""ONNX files with their weights: writing and copying them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrib.capture.graph_files import tensors_of

INLINE = 1024
"""Tensors below this many bytes stay in the file: shapes and scalars, which tools look up without the weights."""


def load_graph(file: Path) -> Any:
    """A model without its weights."""
    import onnx

    return onnx.load(str(file), load_external_data=False)


def save_graph(model: Any, file: Path) -> None:
    """Write a model with its weights beside it, whatever its size: protobuf ends at 2 GB."""
    import onnx

    onnx.save(
        model,
        str(file),
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location=f"{file.name}.data",
        size_threshold=INLINE,
    )


def copy_graph(source: Path, target: Path, origin: Path | None = None) -> None:
    """Copy a model and the files of its weights, which get names of their own beside `target`; weights are not loaded.

    Args:
        source: The model.
        target: The copy.
        origin: Where weights lie that are not beside the model: ONNX Runtime writes an optimized graph that goes on
            pointing to the files beside the graph that it was made from.
    """
    model = load_graph(source)
    names: dict[str, str] = {}
    for tensor in tensors_of(model):
        for entry in tensor.external_data:
            if entry.key == "location":
                suffix = f".{len(names)}" if names else ""
                entry.value = names.setdefault(entry.value, f"{target.name}.data{suffix}")
    for location, name in names.items():
        with _whole(target.with_name(name)) as partial:
            beside = source.parent / location
            shutil.copyfile(beside if beside.exists() or origin is None else origin / location, partial)
    with _whole(target) as partial:
        partial.write_bytes(model.SerializeToString())


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A name to write under; what was written gets its own name when it is complete, and goes otherwise."""
    partial = target.with_name(f"{target.name}.partial")
    try:
        yield partial
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
