"""The modules of the small examples, and their inputs. Imports torch: only a capture's worker may import this."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

WIDTH, NARROW = 256, 128
DECAY = 16.0
"""Distance over which `MatrixInForward` forgets, in features."""


class MatrixInForward(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Smooths features by their distance. The matrix depends on no input: an exporter may fold it into a constant."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[rows, features]` to the same."""
        position = torch.arange(x.shape[1], dtype=x.dtype, device=x.device)
        matrix = torch.exp((position[:, None] - position[None, :]).abs() / -DECAY)
        return x @ matrix


class TwoLinears(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Two linear layers in a row."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(100, 200)
        self.second = nn.Linear(200, 100)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[rows, 100]` to the same."""
        return self.second(self.first(x))


class TwoBranches(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """Two linear branches of which an attribute chooses one: what a trace sees of it is the branch of that moment."""

    def __init__(self) -> None:
        super().__init__()
        self.chosen = True
        self.if_true = nn.Linear(WIDTH, NARROW)
        self.if_false = nn.Linear(WIDTH, NARROW)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[rows, 256]` to `[rows, 128]`."""
        return self.if_true(x) if self.chosen else self.if_false(x)


class TwoBranchesIf(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """The same two branches, chosen by a tensor, in the form that each exporter can write as an `If`."""

    def __init__(self) -> None:
        super().__init__()
        self.if_true = nn.Linear(WIDTH, NARROW)
        self.if_false = nn.Linear(WIDTH, NARROW)

    def forward(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Float `[rows, 256]` and a bool scalar to `[rows, 128]`."""
        if torch.compiler.is_compiling():
            return torch.cond(chosen, self.if_true, self.if_false, (x,))
        if torch.jit.is_tracing():
            first, second = self.if_true, self.if_false
            return _scripted_linear_of(chosen, x, first.weight, first.bias, second.weight, second.bias)
        return self.if_true(x) if chosen else self.if_false(x)


def _linear_of(
    chosen: torch.Tensor,
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor,
    other_weight: torch.Tensor,
    other_bias: torch.Tensor,
) -> torch.Tensor:
    # TorchScript has no conditional expression that becomes an `If`.
    if bool(chosen):  # noqa: SIM108
        y = nn.functional.linear(x, weight, bias)
    else:
        y = nn.functional.linear(x, other_weight, other_bias)
    return y


_scripted_linear_of = torch.jit.script_if_tracing(_linear_of)


class TwoBranchesWhere(nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """The same two branches, both computed; a tensor says which result is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.if_true = nn.Linear(WIDTH, NARROW)
        self.if_false = nn.Linear(WIDTH, NARROW)

    def forward(self, x: torch.Tensor, chosen: torch.Tensor) -> torch.Tensor:
        """Float `[rows, 256]` and a bool scalar to `[rows, 128]`."""
        return torch.where(chosen, self.if_true(x), self.if_false(x))


def _rows(count: int, features: int) -> dict[str, torch.Tensor]:
    return {"x": torch.randn(count, features)}


def _rows_and_choice(count: int) -> dict[str, torch.Tensor]:
    return _rows(count, WIDTH) | {"chosen": torch.tensor(True)}


BUILDERS: dict[str, Callable[[int], tuple[Any, dict[str, torch.Tensor]]]] = {
    "matrix-in-forward": lambda count: (MatrixInForward(), _rows(count, WIDTH)),
    "two-linears": lambda count: (TwoLinears(), _rows(count, 100)),
    "two-branches": lambda count: (TwoBranches(), _rows(count, WIDTH)),
    "two-branches-if": lambda count: (TwoBranchesIf(), _rows_and_choice(count)),
    "two-branches-where": lambda count: (TwoBranchesWhere(), _rows_and_choice(count)),
}
"""Example -> its module and inputs for a number of rows, from the generator that the caller has seeded."""
