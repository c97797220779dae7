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


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(16, 16), nn.GELU())), (torch.randn(4, 16),)
"""


@pytest.mark.engines
@pytest.mark.parametrize(
    ("name", "more"),
    [("attention", ()), ("shuffle", ()), ("scatter", ()), ("scripted", ("--exporter", "torchscript"))],
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
    assert {"missing_work", "extra_work"}.isdisjoint(cause["cause"] for cause in report["causes"])
    assert {"extra-nodes", "folded-work"}.isdisjoint(
        f["id"] for f in report["findings"] if f["state"] == "failed"
    )
