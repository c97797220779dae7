"""Models whose steps are hard to profile: `attrib profile --model tests/benchmarks/tiny_models.py:NAME --threads 1`.

Their nodes take no longer than the record of a node does, or their steps no longer than a call of the engine, or they live
in memory that the allocator gives back after each step. Each factory returns (module, example inputs).
"""

import torch
from torch import nn

Made = tuple[nn.Module, tuple[torch.Tensor, ...]]

_SEED = 0
_PER_GROUP = 10
_WIDTH = 16


class Group(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Ten elementwise ops on a small tensor, two of them where branches meet. No optimizer folds or fuses any of them."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[rows, features]` to the same, within -2 and 2."""
        left = torch.tanh(torch.sin(x))
        right = torch.neg(torch.atan(x))
        both = torch.abs(left + right)
        return torch.sin(torch.tanh(torch.cos(both) - x))


def _many_nodes(nodes: int) -> Made:
    torch.manual_seed(_SEED)
    return nn.Sequential(*(Group() for _ in range(nodes // _PER_GROUP))), (torch.randn(1, _WIDTH),)


def many_nodes_3000() -> Made:
    """3,000 nodes of about a microsecond each."""
    return _many_nodes(3000)


def many_nodes_10000() -> Made:
    """10,000 nodes of about a microsecond each."""
    return _many_nodes(10000)


class Microseconds(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Two ops, whose step is over in tens of microseconds."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(256, 256)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[rows, 256]` to the same."""
        return torch.tanh(self.layer(x))


def microseconds() -> Made:
    """A step of some tens of microseconds."""
    torch.manual_seed(_SEED)
    return Microseconds(), (torch.randn(16, 256),)


class Tabular(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A small network over many rows: its tensors of some megabytes are handed back to the system after use."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.BatchNorm1d(64)]
        for _ in range(4):
            layers += [nn.Linear(64, 64), nn.ReLU(), nn.BatchNorm1d(64)]
        self.body = nn.Sequential(*layers, nn.Linear(64, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[rows, 64]` to `[rows, 1]`."""
        return self.body(x)


def tabular() -> Made:
    """10,000 rows of 64 features, normalized between the layers."""
    torch.manual_seed(_SEED)
    model = Tabular().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return model, (torch.randn(10000, 64),)


def two_gigabytes() -> Made:
    """Two gigabytes of activations: 32 layers on 8,192 rows, each result 33.5 MB."""
    torch.manual_seed(_SEED)
    layers = (layer for _ in range(32) for layer in (nn.Linear(1024, 1024), nn.ReLU()))
    return nn.Sequential(*layers), (torch.randn(8192, 1024),)
