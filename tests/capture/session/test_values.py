"""What a capture compares of both engines' values, on real engines."""

import msgspec
import pytest

from attrib.api import Analysis, load
from attrib.model.manifest import EXPORTED, OPTIMIZED
from attrib.model.values import Values

pytestmark = pytest.mark.engines

MODELS = """
import torch
from torch import nn


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)
        self.up = nn.ConvTranspose1d(4, 4, 3)

    def forward(self, x, scale, words, pair):
        made = self.linear(x) * scale
        made = torch.fft.rfft(made).abs() if words == "spectrum" else made
        return {"up": self.up(made), "sum": made + pair["a"][0] + pair["b"]}


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("steps", torch.zeros(1))

    def forward(self, x):
        self.steps += 1
        return x + self.steps


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(32, 32))

    def forward(self):
        return torch.relu(self.weight @ self.weight)


def odd():
    return Odd(), {"x": torch.randn(1, 4, 8), "scale": 2.5, "words": "spectrum",
                   "pair": {"a": (torch.randn(1, 4, 5), None), "b": torch.randn(1, 4, 5)}}


def counter():
    return Counter(), (torch.randn(64, 64),)


def constant():
    return Constant(), ()
"""


@pytest.fixture
def captured(cli, tmp_path):
    """Captures one of the models above."""
    (tmp_path / "models.py").write_text(MODELS)

    def run(name: str, *more: str) -> Analysis:
        given = (
            "--threads",
            "1",
            "--iterations",
            "2",
            "--rounds",
            "2",
            "--warmup",
            "1",
            "-o",
            tmp_path / name,
            "--no-report",
        )
        done = cli("profile", "--model", f"{tmp_path / 'models.py'}:{name}", *given, *more)
        assert done.returncode == 0, done.stderr
        return load(tmp_path / name)

    return run


def test_ops_without_a_table_of_names_are_matched_and_verified(captured, tmp_path):
    found = captured("odd")
    values = found.directory.values("onnxruntime")
    assert set(values.graphs) == {EXPORTED, OPTIMIZED}
    assert values.unread == {}
    coverage = found.document.coverage
    assert coverage.ort_node_time_verified > 0.97
    assert coverage.torch_call_time_verified > 0.97
    assert {row.cause for row in found.document.causes}.isdisjoint({"missing_work", "extra_work"})
    raw = msgspec.json.decode((tmp_path / "odd/ort/values.json").read_bytes())
    assert set(raw) <= set(Values.__struct_fields__)
    assert {type(n) for row in raw["calls"] for n in (*row["inputs"], *row["outputs"])} == {
        int
    }  # classes, no numbers
    manifest = found.directory.manifest
    assert [given.name for given in manifest.workload.inputs] == ["x", "pair.a.0", "pair.b"]


def test_what_changes_in_each_step_is_not_compared(captured):
    found = captured("counter")
    assert found.directory.values("onnxruntime") is None
    assert any("each step computes something else" in line for line in found.document.warnings)
    assert found.document.coverage.ort_node_time_verified is None


@pytest.mark.slow
def test_it_can_be_switched_off(captured):
    found = captured("odd", "--no-values")
    assert found.directory.values("onnxruntime") is None
    assert not any("values" in line for line in found.document.warnings)


@pytest.mark.slow
def test_a_model_without_any_input_runs(captured):
    found = captured("constant")
    assert found.document.latency.delta_ns is not None
    assert found.directory.manifest.workload.inputs == ()
