"""Models that are no transformers of the zoo, captured whole: one computation is never booked as work of one side only."""

import json

import pytest

MODELS = """
import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, need_weights=False)[0]


class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        return F.pixel_shuffle(self.conv(x), 2)


class Scatter(nn.Module):
    def forward(self, x, index, more):
        return x.index_add(0, index, more)


def attention():
    return Attention(), (torch.randn(2, 16, 64),)


def shuffle():
    return Shuffle(), (torch.randn(1, 8, 24, 24),)


def scatter():
    return Scatter(), (torch.zeros(30, 16), torch.randint(0, 30, (90,)), torch.randn(90, 16))


class Nudged(nn.Module):
    # Blocks that change what they are given by a millionth: no tolerance tells their results apart.

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 4, 4)
        self.blocks = nn.ModuleList(nn.Conv2d(24, 24, 7, padding=3, groups=24) for _ in range(3))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + 1e-6 * block(x)
        return x


class Odd(nn.Module):
    # Channels that fill no block of ONNX Runtime's.

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 40, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(40, 20, 1), nn.SiLU(),
        )

    def forward(self, x):
        return self.layers(x)


class Twice(nn.Module):
    # One encoder on two equal inputs: every result is there twice.

    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 64), nn.Sigmoid())

    def forward(self, x):
        return torch.cat([self.encode(x), self.encode(x * 1.0)], -1)


class Gate(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x * torch.sigmoid(1.702 * x)

    @staticmethod
    def backward(context, gradient):
        return gradient


class Gated(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x):
        return Gate.apply(self.linear(x)).mean(1) + Gate.apply(x).mean(1)


@torch.jit.script
def turns(x: torch.Tensor, count: int) -> torch.Tensor:
    for _ in range(count):
        x = torch.tanh(x @ x * 0.01 + x)
    return x


class Looped(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x):
        return turns(self.linear(x), 4)


def nudged():
    return Nudged(), (torch.randn(1, 3, 64, 64),)


def odd():
    return Odd(), (torch.randn(1, 3, 32, 32),)


def twice():
    return Twice(), (torch.randn(4, 64),)


def gated():
    return Gated(), (torch.randn(4, 16, 64),)


def looped():
    return Looped(), (torch.randn(64, 64),)


def normed():
    # Norms that nobody trained change their input by a millionth, and the export folds them.
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.ConvTranspose2d(16, 8, 4, stride=2), nn.BatchNorm2d(8),
        nn.ReLU(),
    ), (torch.randn(1, 3, 32, 32),)


def recurrent():
    return nn.GRU(32, 64, bidirectional=True, batch_first=True), (torch.randn(2, 16, 32),)


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(16, 16), nn.GELU())), (torch.randn(4, 16),)
"""


@pytest.mark.engines
@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("attention", ()),
        ("shuffle", ()),
        pytest.param("scatter", (), marks=pytest.mark.slow),
        pytest.param("scripted", ("--exporter", "torchscript"), marks=pytest.mark.slow),
        ("nudged", ()),
        ("normed", ()),
        pytest.param("odd", (), marks=pytest.mark.slow),
        pytest.param("twice", ("--exporter", "torchscript"), marks=pytest.mark.slow),
        ("gated", ("--exporter", "torchscript")),
        pytest.param("looped", ("--exporter", "torchscript"), marks=pytest.mark.slow),
        pytest.param("recurrent", (), marks=pytest.mark.slow),
        pytest.param("attention", ("--autocast", "--precision", "bf16"), marks=pytest.mark.slow),
    ],
)
def test_work_of_both_engines_is_work_of_both(cli, tmp_path, name, more):
    (tmp_path / "models.py").write_text(MODELS)
    given = (
        "--threads",
        "1",
        "--iterations",
        "5",
        "--rounds",
        "2",
        "--warmup",
        "3",
        "-o",
        tmp_path / "traces",
    )
    done = cli("profile", "--model", f"{tmp_path / 'models.py'}:{name}", *given, *more)
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "traces/report.json").read_bytes())
    assert report["coverage"]["ort_node_time_mapped"] > 0.97
    assert report["coverage"]["ort_node_time_verified"] > 0.9
    assert report["coverage"]["torch_call_time_verified"] > 0.9
    causes = {cause["cause"] for cause in report["causes"]}
    # PyTorch makes the first state of a recurrent layer anew in each step, from nothing: that is true.
    allowed = {"missing_work", "folded-work"} if name == "recurrent" else set()
    assert causes & ({"missing_work", "extra_work"} - allowed) == set()
    # PyTorch makes the first state of a recurrent layer anew in each step, from nothing: that is true.
    wrong = {"extra-nodes", "folded-work"} - ({"folded-work"} if name == "recurrent" else set())
    assert wrong.isdisjoint(f["id"] for f in report["findings"] if f["state"] == "failed")
