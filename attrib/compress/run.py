"""Compressing a module: what could be compressed, each compression in order, and how far its outputs move."""

import importlib
from collections.abc import Iterable
from typing import Any

from attrib.compress.registry import COMPRESSIONS, Compression, asked_of
from attrib.compress.subject import Subject, largest_difference
from attrib.errors import AttribError, first_line
from attrib.model.manifest import Compressed


def _own(row: Compression) -> Any:
    return importlib.import_module(f"attrib.compress.{row.module}")


def compressible(module: Any) -> tuple[str, ...]:
    """The compressions that find a layer in this module which they could compress."""
    return tuple(name for name, row in COMPRESSIONS.items() if _own(row).layers(module))


def compress(subject: Subject, names: Iterable[str]) -> tuple[Compressed, ...]:
    """Compress a module in place, as `--compress` says; what was done, with the largest difference of an output.

    Raises:
        AttribError: There is no layer for it, or the module does not run, or not as it must, with it.
    """
    done = []
    for text in names:
        asked = asked_of(text)
        layers = _own(asked.row).layers(subject.module)
        if not layers:
            raise AttribError(
                f"--compress {text}: the model has no {asked.row.layers} of a form that it can compress",
                hint=f"leave out --compress {text}",
            )
        before = subject.step()
        try:
            what = _own(asked.row).compress(subject, layers, asked.share)
            apart = largest_difference(before, subject.step())
        except Exception as error:
            why = str(error) if isinstance(error, AttribError) else first_line(error)
            hint = getattr(error, "hint", "") or f"leave out --compress {text}"
            raise AttribError(f"--compress {text}: {why}", hint=hint) from error
        done.append(Compressed(name=text, what=what, apart=apart))
    return tuple(done)


def parameter_count(module: Any) -> int:
    """Count the weights of a module; `torch.ao` keeps those of its int8 layers in no parameter, but behind a method."""
    packed = (
        part
        for part in module.modules()
        if type(part).__module__.startswith("torch.ao.nn.quantized.dynamic")
        and type(part).__name__ == "Linear"
    )
    held = [tensor for part in packed for tensor in (part.weight(), part.bias()) if tensor is not None]
    return sum(tensor.numel() for tensor in (*module.parameters(), *held))
