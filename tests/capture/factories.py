"""Small models, as the user would write them into a file."""

from pathlib import Path

FACTORIES = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 32)
        self.second = nn.Linear(32, 16)

    def forward(self, x, scale):
        hidden = self.second(torch.nn.functional.gelu(self.first(x))) * scale
        return {"hidden": hidden, "nothing": None, "pair": (hidden.sum(dim=-1), hidden.abs())}


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        y = self.linear(x)
        return y * 2 if y.sum() > 0 else y - 1


def named():
    return Net(), {"x": torch.randn(2, 4, 16), "scale": torch.tensor(2.0)}


def positional():
    return Net(), (torch.randn(2, 4, 16), torch.tensor(2.0))


def branching():
    return Branching(), (torch.randn(4, 16),)


def raising():
    values = []
    return values[3]


def only_module():
    return Net()


def not_a_tensor():
    return Net(), {"x": object()}


def bert():
    from transformers import BertConfig, BertModel

    config = BertConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128, vocab_size=500
    )
    ids = torch.randint(5, 500, (1, 32))
    return BertModel(config), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def dying():
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)
"""


def write_factories(folder: Path) -> Path:
    """Write the factories; the file's name is as unusual as a user's."""
    file = folder / "my_models.py"
    file.write_text(FACTORIES)
    return file
