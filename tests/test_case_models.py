"""Models on which attrib once said something wrong, captured whole: the right answer, and every printed fix starts."""

import re

import pytest

from attrib.api import load
from tests.findings.fix_proof import Proof, printed

MODELS = """
import torch
from torch import nn


class Padded(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 2)

    def forward(self, x, hidden):
        return self.encoder(x, src_key_padding_mask=hidden)


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(128, 128)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += 1
        return self.linear(x) + self.seen


class Scaled(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Appended(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 64)

    def forward(self, x, past):
        return self.linear(torch.cat([past, x], 1))


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.cell = kind(64, 64, batch_first=True)

    def forward(self, x, *state):
        return self.cell(x, *state)


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(64, 4, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, need_weights=False)[0]


@torch.jit.script
def spread(counts: torch.Tensor, places: int):
    rows, columns = counts.shape
    out = torch.zeros(rows, places, columns)
    for row in range(int(rows)):
        at = 0
        for column in range(int(columns)):
            for turn in range(int(counts[row, column])):
                out[row, at + turn, column] = 1.0
            at += int(counts[row, column])
    return out


class Aligned(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(32, 32)

    def forward(self, x, counts):
        return torch.matmul(spread(counts, 12), self.linear(x))


def padded():
    hidden = torch.zeros(4, 32, dtype=torch.bool)
    hidden[:, 8:] = True
    return Padded().eval(), (torch.randn(4, 32, 64), hidden)


def counting():
    return Counting().eval(), (torch.randn(16, 128),)


def scaled():
    return Scaled(), (torch.randn(64, 256),)


def appended():
    return Appended().eval(), (torch.randn(4, 64, 64), torch.zeros(4, 0, 64))


def gru():
    return Recurrent(nn.GRU).eval(), (torch.randn(2, 16, 64),)


def lstm():
    state = torch.zeros(1, 2, 64), torch.zeros(1, 2, 64)
    return Recurrent(nn.LSTM).eval(), (torch.randn(2, 16, 64), state)


def attending():
    return Attending().eval(), (torch.randn(2, 32, 64),)


def aligned():
    return Aligned().eval(), (torch.randn(2, 6, 32), torch.full((2, 6), 2, dtype=torch.int64))


def compiled():
    return torch.compile(nn.Sequential(nn.Linear(64, 64), nn.ReLU()).eval()), (torch.randn(16, 64),)


def traced():
    x = torch.randn(16, 64)
    return torch.jit.trace(nn.Sequential(nn.Linear(64, 64), nn.ReLU()).eval(), x), (x,)


SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 99}


def llama():
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(LlamaConfig(**SIZES)).eval(), {"input_ids": torch.randint(0, 99, (1, 8))}


def t5():
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=99, d_model=32, d_kv=16, d_ff=64, num_layers=1, num_heads=2, decoder_start_token_id=0)
    ids = torch.randint(0, 99, (1, 8))
    return T5ForConditionalGeneration(config).eval(), {"input_ids": ids, "decoder_input_ids": ids[:, :1]}


def whisper():
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        vocab_size=99, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
        encoder_ffn_dim=64, decoder_ffn_dim=64, num_mel_bins=8, max_source_positions=16, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1, suppress_tokens=None, begin_suppress_tokens=None,
    )
    features = torch.randn(1, 8, 32)
    given = {"input_features": features, "decoder_input_ids": torch.ones(1, 1, dtype=torch.int64)}
    return WhisperForConditionalGeneration(config).eval(), given
"""

pytestmark = [pytest.mark.engines, pytest.mark.slow]

ATTENTION = ("attention", "--opset", "--attention")


@pytest.fixture
def captured(cli, tmp_path, monkeypatch, sample, sample_analysis):
    """Capture a model by a factory, prove every fix that its report prints, and give the document."""
    (tmp_path / "models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    node = next(row.onnx_nodes[0] for row in sample_analysis.document.ledger if row.onnx_nodes)
    proof = Proof(monkeypatch, sample, node)

    def capture(name, *more):
        given = ("--threads", "1", "--iterations", "5", "--rounds", "2", "--warmup", "3", "--no-report")
        done = cli("profile", "--model", f"models.py:{name}", *given, *more, "-o", name, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        document = load(tmp_path / name).document
        for fix in printed(document).values():
            proof.holds(fix)
        return document

    return capture


def failed(document):
    return {found.id: found for found in document.findings if found.state == "failed"}


def advice(document):
    return " ".join(printed(document).values())


def assert_figures_held(document):
    """No finding says more than the step, and nothing is more than whole."""
    latency = document.latency
    steps = [side.median for side in (latency.torch_ns, latency.onnxruntime_ns)]
    for found in document.findings:
        assert max(abs(found.low_ns), abs(found.high_ns)) <= max(steps)
    (unmatched,) = [found for found in document.findings if found.id == "unmatched-time"]
    shares = re.findall(r"([\d.,]+) %", f"{unmatched.title} {unmatched.summary}")
    assert max((float(share.replace(",", "")) for share in shares), default=0) <= 100


def test_fused_attention_and_its_nodes_are_one_region(captured):
    document = captured("attending")
    assert_figures_held(document)
    (region,) = {row.region for row in document.ledger if "Softmax" in row.onnx_ops}
    rows = [row for row in document.ledger if row.region == region]
    assert any("multi_head" in op for row in rows for op in row.torch_ops)
    assert {row.cause for row in rows} <= {"decomposed", "layout"}
    assert {"missing_work", "extra_work"}.isdisjoint(cause.cause for cause in document.causes)


@pytest.mark.parametrize("name", ["appended", "attending"])
def test_what_depends_on_an_input_is_not_called_a_constant(captured, name):
    assert "register_buffer" not in advice(captured(name))


def test_padding_that_pytorch_skips_is_other_work(captured):
    document = captured("padded")
    found = failed(document)["output-mismatch"]
    assert "leaves padded tokens out by nested tensors" in found.summary
    assert "set_fastpath_enabled(False)" in found.fix
    assert "TF32" not in advice(document)
    assert "--exporter dynamo" not in advice(document)
    assert_figures_held(document)


def test_a_state_that_changes_is_named(captured):
    document = captured("counting")
    assert "changes the model itself (seen)" in failed(document)["output-mismatch"].summary
    assert "seed" not in advice(document)
    assert "register_buffer" not in advice(document)


def test_a_number_of_python_is_no_double(captured):
    assert "double-in-pytorch" not in failed(captured("scaled"))


def test_a_recurrent_layer_gets_no_advice_on_attention(captured):
    document = captured("gru")
    assert not [word for word in ATTENTION if word in advice(document)]
    assert "--exporter dynamo" not in advice(document)
    assert_figures_held(document)


def test_a_state_in_a_tuple_is_an_input(captured):
    document = captured("lstm")
    assert all(output.equal for output in document.outputs)
    assert len(document.workload.inputs) == 3


def test_a_compiled_model_is_recognized(captured):
    document = captured("compiled")
    assert document.sides["torch"].settings["compiled_by_model"] == "torch.compile"
    assert "--torch-mode compile" not in advice(document)


def test_a_loop_costs_no_more_than_the_step(captured):
    document = captured("aligned", "--exporter", "torchscript")
    assert any(op == "Loop" for row in document.ledger for op in row.onnx_ops)
    assert_figures_held(document)
    assert "--exporter torchscript --exporter" not in advice(document)


def test_a_traced_module_runs_or_says_the_line_that_works(cli, captured, tmp_path):
    refused = cli(
        "profile", "--model", "models.py:traced", "--iterations", "5", "--no-report", "-o", "no", cwd=tmp_path
    )
    assert refused.returncode == 3
    assert "try: --exporter torchscript" in refused.stderr
    assert captured("traced", "--exporter", "torchscript").latency.delta_ns is not None


@pytest.mark.parametrize("name", ["llama", "t5", "whisper"])
def test_a_model_of_transformers_by_a_factory_runs(captured, name):
    document = captured(name)
    assert document.latency.delta_ns is not None
    assert {side.state for side in document.sides.values()} == {"complete"}
