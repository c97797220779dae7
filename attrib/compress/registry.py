"""Compressions of the PyTorch module, by the names that `--compress` takes. Importing this table imports no engine.

Every one is lossy: it makes another model, which no other part of attrib may take for the one that was given.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from attrib.errors import UsageError
from attrib.model.capture_options import Device, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """One row of `COMPRESSIONS`.

    Attributes:
        module: The module in this package that does it: its `layers` finds what there is to compress in a PyTorch module,
            its `compress` does it.
        layers: What those layers are called, in the singular.
        share: The share of each layer that it leaves out where none is asked for; None where it takes none.
        precision: The precision that the module computes in afterward; empty where it stays.
        devices: Where PyTorch can compute it.
        precisions: The precisions of what its layers may be given; under autocast that is the lower one.
    """

    module: str
    layers: str
    share: float | None = None
    precision: Precision | None = None
    devices: tuple[Device, ...] = ("cpu", "cuda")
    precisions: tuple[Precision, ...] = ("fp32", "fp16", "bf16")


COMPRESSIONS: dict[str, Compression] = {
    "prune-heads": Compression(module="prune_heads", layers="attention layer", share=0.25),
    "int8-dynamic": Compression(
        module="int8_dynamic",
        layers="Linear layer",
        precision="int8",
        devices=("cpu",),
        precisions=("fp32",),
    ),
    "int8-weight-only": Compression(
        module="int8_weight_only",
        layers="Linear layer",
        precision="int8",
        devices=("cpu",),
    ),
}
"""Name for `--compress` -> what it does."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One `--compress`, taken apart: the name and the share, 0 where the compression takes none."""

    name: str
    share: float

    @property
    def row(self) -> Compression:
        """What it stands for."""
        return COMPRESSIONS[self.name]


def asked_of(text: str) -> Asked:
    """Take `NAME` or `NAME=SHARE` apart.

    Raises:
        UsageError: There is no such compression, or the share makes no sense for it.
    """
    name, given, value = text.partition("=")
    if name not in COMPRESSIONS:
        near = get_close_matches(name, COMPRESSIONS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"--compress with one of: {', '.join(COMPRESSIONS)}"
        raise UsageError(f"unknown compression {name!r}", hint=hint)
    default = COMPRESSIONS[name].share
    if not given:
        return Asked(name, default or 0.0)
    if default is None:
        raise UsageError(f"--compress {name} takes no share, not {value!r}", hint=f"--compress {name}")
    try:
        share = float(value)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        hint = f"--compress {name}={default:g}"
        raise UsageError(f"--compress {name} takes a share above 0 and below 1, not {value!r}", hint=hint)
    return Asked(name, share)


def check_compressions(names: Iterable[str], precision: Precision, device: Device) -> None:
    """Check what was given to `--compress` for a model that runs in this precision on this device.

    Raises:
        UsageError: There is no such compression, or it cannot be computed there.
    """
    for text in (names,) if isinstance(names, str) else names:
        asked = asked_of(text)
        if device not in asked.row.devices:
            raise UsageError(
                f"--compress {asked.name} computes on {' or '.join(asked.row.devices)}, not on {device}",
                hint=f"--device {asked.row.devices[0]}",
            )
        if precision not in asked.row.precisions:
            raise UsageError(
                f"--compress {asked.name} computes from {' or '.join(asked.row.precisions)}, not from {precision}",
                hint=f"--precision {asked.row.precisions[0]}",
            )


def compressed_precision(precision: Precision, names: Iterable[str]) -> Precision:
    """The precision that decides how far apart outputs may be: the module's own, or that of a compression."""
    own = [lower for name in names if (lower := asked_of(name).row.precision)]
    return own[-1] if own else precision
