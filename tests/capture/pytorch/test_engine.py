"""What the PyTorch worker says of a model whose steps are not all the same."""

import pytest

torch = pytest.importorskip("torch")

from attrib.capture import CaptureOptions  # noqa: E402
from attrib.capture.pytorch import engine  # noqa: E402
from attrib.capture.pytorch.engine import PyTorchEngine, steadiness  # noqa: E402
from attrib.capture.session.commands import load_command  # noqa: E402
from attrib.capture.workload.sources import resolve_source  # noqa: E402
from attrib.model.manifest import CHANGED_OUTPUTS, CHANGED_STATE  # noqa: E402

MODELS = """
import torch
from torch import nn


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += 1
        return x + self.seen


class Random(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


def counter():
    return Counter(), (torch.ones(3),)


def random():
    return Random(), (torch.ones(3),)


def steady():
    return nn.Linear(3, 3), (torch.ones(3),)


def scripted():
    return torch.jit.script(nn.Sequential(nn.Linear(3, 3))), (torch.ones(3),)
"""


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """A worker sets threads and heap of its own process; this one is the tests'."""
    monkeypatch.setattr(torch, "set_num_interop_threads", lambda _: None)
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(engine, "freeze_heap", lambda: None)


def settings_of(tmp_path, name):
    (tmp_path / "models.py").write_text(MODELS)
    options = CaptureOptions(model=f"{tmp_path / 'models.py'}:{name}", threads=1)
    command = load_command(options, resolve_source(options), 1, str(tmp_path))
    return PyTorchEngine().load(command).settings


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("counter", {CHANGED_STATE: "seen"}),
        ("random", {CHANGED_OUTPUTS: "output"}),
        ("steady", {}),
        ("scripted", {}),
    ],
)
def test_a_model_whose_steps_differ_says_what_changes(tmp_path, name, said):
    found = settings_of(tmp_path, name)
    assert {key: found[key] for key in (CHANGED_STATE, CHANGED_OUTPUTS) if key in found} == said


def test_another_order_of_sums_is_no_change():
    first = {"y": torch.tensor([1.0, 1000.0, float("nan")]), "n": torch.tensor([1, 2])}
    near = {"y": torch.tensor([1.5, 1000.0, float("nan")]), "n": torch.tensor([1, 2])}
    far = {"y": torch.tensor([9.0, 1000.0, 0.0]), "n": torch.tensor([1, 3])}
    assert steadiness({}, {}, first, near) == {}
    assert steadiness({}, {}, first, far) == {CHANGED_OUTPUTS: "y, n"}
    assert steadiness({}, {}, first, {}) == {}
