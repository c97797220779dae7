"""The PyTorch side: factories for `attrib profile --model modules.py:NAME`, each a BERT with a planted cause or none.

The size comes from the environment (`PLANTED_*`), because a factory takes no arguments. Imports torch: only a capture's
worker may import this.
"""

import os
from typing import Any

import torch
from torch import nn

from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.build import Built, build

PADDED_SHARE = 0.3
"""Share of tokens that the mask hides in `padded`; `trimmed` does without them."""

Made = tuple[nn.Module, dict[str, torch.Tensor]]


def plain() -> Made:
    """Nothing planted."""
    return _made(_bert())


def padded() -> Made:
    """Inputs of which a part is padding."""
    return _made(_bert(padding=PADDED_SHARE))


def trimmed() -> Made:
    """The same inputs without the padding."""
    return _made(_bert(seq_len=round(_number("SEQ_LEN") * (1 - PADDED_SHARE))))


def one_thread() -> Made:
    """One thread, whatever attrib asks for."""
    built = _bert()
    torch.set_num_threads(1)
    return _made(built)


def busy_layer() -> Made:
    """Python that computes nothing useful in the `forward` of the first layer."""
    return _made(_with_classes(_bert(), {"encoder.layer.0": _busy(60_000)}))


def busy_linears() -> Made:
    """A little such Python in the `forward` of every linear of the encoder."""
    built = _bert()
    linears = [name for name, module in built.module.named_modules() if isinstance(module, nn.Linear)]
    return _made(_with_classes(built, dict.fromkeys(linears, _busy(8_000))))


def slow_gelu() -> Made:
    """Gelu by hand in one layer: six ops instead of one."""
    return _made(_with_modules(_bert(), {f"encoder.layer.0.{_GELU}": lambda _: GeluByHand()}))


def slow_gelus() -> Made:
    """Gelu by hand in every layer."""
    built = _bert()
    names = [f"encoder.layer.{layer}.{_GELU}" for layer in range(_number("LAYERS"))]
    return _made(_with_modules(built, dict.fromkeys(names, lambda _: GeluByHand())))


def slow_norms() -> Made:
    """Layer norms by hand."""
    built = _bert()
    names = [name for name, module in built.module.named_modules() if isinstance(module, nn.LayerNorm)]
    return _made(_with_modules(built, dict.fromkeys(names, NormByHand)))


def chunked_linear() -> Made:
    """The widest linear of the last layer computed in pieces that are put together again."""
    name = f"encoder.layer.{_number('LAYERS') - 1}.intermediate.dense"
    return _made(_with_modules(_bert(), {name: ChunkedLinear}))


def double_linear() -> Made:
    """A linear in double precision."""
    return _made(_with_modules(_bert(), {"encoder.layer.0.output.dense": DoubleLinear}))


_GELU = "intermediate.intermediate_act_fn"


class GeluByHand(nn.Module):
    """Gelu as someone writes it who does not know `nn.functional.gelu`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape to the same."""
        return x * 0.5 * (1.0 + torch.erf(x / 2.0**0.5))


class NormByHand(nn.Module):
    """A layer norm of elementwise ops; its weights are the original's."""

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[..., features]` to the same."""
        mean = x.mean(-1, keepdim=True)
        variance = ((x - mean) ** 2).mean(-1, keepdim=True)
        return (x - mean) / torch.sqrt(variance + self.eps) * self.weight + self.bias


class ChunkedLinear(nn.Module):
    """A linear in pieces of its outputs; its weights are the original's."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[..., inputs]` to `[..., outputs]`."""
        pieces = zip(self.weight.chunk(_PIECES), self.bias.chunk(_PIECES), strict=True)
        return torch.cat([nn.functional.linear(x, weight, bias) for weight, bias in pieces], dim=-1)


_PIECES = 48


class DoubleLinear(nn.Module):
    """A linear that converts its input and its weights to double precision in every call."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = linear.weight, linear.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[..., inputs]` to `[..., outputs]`."""
        return nn.functional.linear(x.double(), self.weight.double(), self.bias.double()).float()


def _busy(rounds: int) -> Any:
    """Makes, of a module's class, one whose `forward` first sums squares in Python."""

    def made(kind: type[nn.Module]) -> type[nn.Module]:
        class Busy(kind):  # type: ignore[misc,valid-type]
            def forward(self, *args: Any, **kwargs: Any) -> Any:
                self.ballast = sum(number * number for number in range(rounds))
                return super().forward(*args, **kwargs)

        Busy.__name__ = Busy.__qualname__ = kind.__name__
        return Busy

    return made


def _with_classes(built: Built, makers: dict[str, Any]) -> Built:
    """Change the class of modules in place, so that their names and weights stay."""
    for name, make in makers.items():
        module = built.module.get_submodule(name)
        module.__class__ = make(type(module))
    return built


def _with_modules(built: Built, makers: dict[str, Any]) -> Built:
    """Put other modules in the places of these."""
    for name, make in makers.items():
        parent, _, child = name.rpartition(".")
        setattr(built.module.get_submodule(parent), child, make(built.module.get_submodule(name)))
    return built


def _bert(*, padding: float = 0.0, seq_len: int | None = None) -> Built:
    """BERT at the size that the environment gives, the weights those of `--model bert-base-uncased`."""
    return build(
        Recipe(
            kind="configuration",
            location="bert-base-uncased",
            task="",
            batch_size=_number("BATCH_SIZE"),
            seq_len=seq_len or _number("SEQ_LEN"),
            layers=_number("LAYERS"),
            device="cpu",
            precision="fp32",
            attention="sdpa",
            seed=0,
            padding=padding,
        )
    )


def _number(name: str) -> int:
    return int(os.environ[f"PLANTED_{name}"])


def _made(built: Built) -> Made:
    return built.module, built.inputs
