"""Factories of the threads' benchmark whose step is spent in one kernel, and each kernel alone. See threads_models.py."""

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (what everybody calls it)
from mapping_models import Computed, Made
from threads_models import images, seeded, trained
from torch import nn


def nearest_3d() -> Made:
    """Volumes of twice the size."""
    seeded()
    model = Computed(lambda own, x: F.interpolate(own.body(x), scale_factor=2.0), body=nn.Conv3d(4, 8, 1))
    return model, images(1, 4, 24, 24, 24)


def nearest_3d_alone() -> Made:
    """Only the larger volume."""
    seeded()
    return Computed(lambda _own, x: F.interpolate(x, scale_factor=2.0)), images(1, 8, 24, 24, 24)


def spectrum() -> Made:
    """Many short transforms."""
    seeded()

    def forward(own: Any, x: torch.Tensor) -> torch.Tensor:
        parts = torch.view_as_real(torch.fft.rfft(x))
        return own.head(parts.flatten(1))

    return Computed(forward, head=nn.Linear(130, 16)), (torch.randn(2048, 128),)


def spectrum_alone() -> Made:
    """Only the transforms."""
    seeded()
    return Computed(lambda _own, x: torch.view_as_real(torch.fft.rfft(x))), (torch.randn(2048, 128),)


def grid_3d() -> Made:
    """A volume that is read where a convolution says."""
    seeded()

    def forward(own: Any, x: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
        return F.grid_sample(own.body(x), grid, align_corners=False)

    inputs = torch.randn(1, 4, 16, 24, 24), torch.rand(1, 16, 24, 24, 3) * 2 - 1
    return Computed(forward, body=nn.Conv3d(4, 8, 1)), inputs


def grid_3d_alone() -> Made:
    """Only the reading."""
    seeded()
    model = Computed(lambda _own, x, grid: F.grid_sample(x, grid, align_corners=False))
    return model, (torch.randn(1, 8, 16, 24, 24), torch.rand(1, 16, 24, 24, 3) * 2 - 1)


def tabular() -> Made:
    """A network over the rows of a table, normalized between its layers."""
    seeded()
    layers = [part for _ in range(4) for part in (nn.Linear(64, 64), nn.ReLU(), nn.BatchNorm1d(64))]
    return trained(nn.Sequential(*layers)), (torch.randn(8000, 64),)


def tabular_folded() -> Made:
    """The same, each batch norm folded into the layer that follows it; the last one stays out."""
    model, inputs = tabular()
    parts = list(model)
    folded: list[nn.Module] = []
    scale, shift = torch.ones(64), torch.zeros(64)
    for linear, _, norm in zip(*[iter(parts)] * 3, strict=True):
        new = nn.Linear(64, 64)
        new.weight.data = linear.weight.data * scale
        new.bias.data = linear.bias.data + linear.weight.data @ shift
        folded += [new, nn.ReLU()]
        scale = norm.weight.data / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias.data - norm.running_mean * scale
    return nn.Sequential(*folded), inputs


def recurrent() -> Made:
    """One recurrent layer."""
    seeded()
    return Computed(lambda own, x: own.body(x)[0], body=nn.LSTM(128, 256, batch_first=True)), (
        torch.randn(4, 64, 128),
    )


def products() -> Made:
    """Large products and nothing else."""
    seeded()
    return nn.Sequential(nn.Linear(1024, 1024), nn.Linear(1024, 1024)), (torch.randn(128, 1024),)


def many_layers() -> Made:
    """A row of a table through many narrow layers: hardly any work, many calls."""
    seeded()
    layers = (part for _ in range(60) for part in (nn.Linear(16, 16), nn.ReLU()))
    return nn.Sequential(*layers), (torch.randn(1, 16),)


def large_images() -> Made:
    """Large results of hardly any work: PyTorch asks the system for new memory in each step."""
    seeded()
    model = Computed(lambda _own, x: F.interpolate(torch.relu(x) + 1, scale_factor=2.0, mode="nearest") * 2)
    return model, images(1, 16, 256, 256)
