"""Factories of the mapping matrix for what is no transformer of the zoo: one op that PyTorch fuses and ONNX writes out, or
the other way round, recurrent layers, scatters, transforms, loops, and models of several parts.

Transformers have their published width and few layers; all weights are random.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (what everybody calls it)
from torch import nn

Made = tuple[nn.Module, Any]


class Computed(nn.Module):
    """A model whose forward is a function of its parts."""

    def __init__(self, forward: Callable[..., Any], **parts: nn.Module) -> None:
        super().__init__()
        self._forward = forward
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, *inputs: Any) -> Any:
        return self._forward(self, *inputs)


def attention() -> Made:
    """PyTorch's own attention, which it computes in one call."""
    part = nn.MultiheadAttention(256, 8, batch_first=True)
    model = Computed(lambda own, x: own.attend(x, x, x, need_weights=False)[0], attend=part)
    return model, (torch.randn(2, 64, 256),)


def _encoder() -> Made:
    layer = nn.TransformerEncoderLayer(256, 8, 512, batch_first=True)
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), (torch.randn(2, 64, 256),)


def encoder_fast() -> Made:
    """PyTorch's encoder with the attention of its fast path."""
    return _encoder()


def encoder_slow() -> Made:
    """PyTorch's encoder, op by op."""
    torch.backends.mha.set_fastpath_enabled(False)
    return _encoder()


def lstm() -> Made:
    """Two recurrent layers and a head."""
    part = nn.LSTM(128, 256, 2, batch_first=True)
    model = Computed(lambda own, x: own.head(own.recurrent(x)[0]), recurrent=part, head=nn.Linear(256, 32))
    return model, (torch.randn(2, 32, 128),)


def gru() -> Made:
    """A recurrent layer in both directions."""
    part = nn.GRU(128, 256, bidirectional=True, batch_first=True)
    return Computed(lambda own, x: own.recurrent(x)[0], recurrent=part), (torch.randn(2, 32, 128),)


def conv_transpose() -> Made:
    """A decoder of images."""
    return nn.Sequential(
        nn.Conv2d(16, 64, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1), nn.BatchNorm2d(32),
        nn.ReLU(), nn.Conv2d(32, 3, 1),
    ), (torch.randn(1, 16, 48, 48),)  # fmt: skip


def pixel_shuffle() -> Made:
    """Channels that become pixels."""
    model = Computed(lambda own, x: F.pixel_shuffle(own.conv(x), 4), conv=nn.Conv2d(16, 48, 3, padding=1))
    return model, (torch.randn(1, 16, 64, 64),)


def fourier() -> Made:
    """Forth and back between time and frequency."""

    def forward(own: Any, x: torch.Tensor) -> torch.Tensor:
        return torch.fft.irfft(torch.fft.rfft(own.dense(x)) * 2.0, n=256) + x

    return Computed(forward, dense=nn.Linear(256, 256)), (torch.randn(64, 256),)


def scatters() -> Made:
    """Rows that are added, written and gathered by index."""

    def forward(_own: Any, x: torch.Tensor, rows: torch.Tensor, more: torch.Tensor) -> torch.Tensor:
        summed = x.index_add(0, rows, more)
        written = summed.index_copy(0, rows[:4], more[:4])
        return written.scatter(1, rows[:256].reshape(64, 4), 0.5).index_select(0, rows) * 2

    return Computed(forward), (torch.randn(64, 64), torch.randperm(256) % 64, torch.randn(256, 64))


def embedding_bag() -> Made:
    """Means of embeddings, which the exporter writes as a loop."""
    part = nn.EmbeddingBag(1000, 64, mode="mean")
    model = Computed(lambda own, x, starts: own.head(own.bag(x, starts)), bag=part, head=nn.Linear(64, 10))
    return model, (torch.randint(0, 1000, (64,)), torch.arange(0, 64, 8))


@torch.jit.script
def _turns(x: torch.Tensor, count: int) -> torch.Tensor:
    for _ in range(count):
        x = torch.tanh(x @ x * 0.01 + x)
    return x


def scripted_loop() -> Made:
    """A loop of TorchScript, which becomes ONNX's Loop."""
    return Computed(lambda own, x: _turns(own.dense(x), 4), dense=nn.Linear(128, 128)), (
        torch.randn(128, 128),
    )


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(_context: Any, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)

    @staticmethod
    def backward(_context: Any, gradient: torch.Tensor) -> torch.Tensor:
        return gradient


def autograd_function() -> Made:
    """A function with a backward of its own."""
    return Computed(lambda own, x: _Gate.apply(own.dense(x)).mean(1), dense=nn.Linear(256, 256)), (
        torch.randn(4, 64, 256),
    )


def detection() -> Made:
    """A backbone with heads for classes and boxes, and the best of them."""

    def forward(own: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        features = own.body(x)
        classes = own.classes(features).flatten(2).sigmoid().transpose(1, 2)
        boxes = own.boxes(features).flatten(2).exp().transpose(1, 2)
        scores, labels = classes.max(-1)
        best, places = scores.topk(50, -1)
        return (
            torch.gather(boxes, 1, places.unsqueeze(-1).expand(-1, -1, 4)),
            best,
            torch.gather(labels, 1, places),
        )

    body = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.SiLU(), nn.Conv2d(32, 64, 3, 2, 1), nn.SiLU())
    model = Computed(forward, body=body, classes=nn.Conv2d(64, 20, 1), boxes=nn.Conv2d(64, 4, 1))
    return model, (torch.randn(1, 3, 128, 128),)


def _activations(x: torch.Tensor) -> torch.Tensor:
    for step in (
        F.gelu,
        F.silu,
        F.hardswish,
        F.mish,
        F.softplus,
        F.elu,
        F.selu,
        F.softsign,
        torch.tanh,
        torch.erf,
    ):
        x = step(x) + 0.1 * x
    return x


def _shapes(x: torch.Tensor, order: torch.Tensor) -> torch.Tensor:
    x = x.flip(-1).roll(3, -1)[:, order]
    x = F.pad(x, (2, 2), mode="reflect")
    x = F.max_pool1d(F.avg_pool1d(x, 3, 1), 2, 1, 1)[..., :32]
    x = torch.stack([x, x.tril(), x.triu()], 1).sum(1)
    return F.interpolate(x, scale_factor=2.0, mode="linear").unfold(-1, 4, 4).mean(-1).repeat(1, 1, 2)


def _reductions(x: torch.Tensor) -> torch.Tensor:
    x = F.normalize(x, dim=-1)
    x = x.var(-1, keepdim=True) + x.std(1, keepdim=True) * x
    x = x.amax(-1, keepdim=True) - x.amin(-1, keepdim=True) * x
    x = torch.logsumexp(x, -1, keepdim=True) + x.cumsum(-1)
    return x.softmax(-1).log().clamp(-5, 1).sort(-1)[0]


def medley() -> Made:
    """Some fifty ordinary ops."""

    def forward(own: Any, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = own.prelu(own.conv(own.instance(own.group(_activations(own.dense(x))))))
        x = _shapes(_reductions(x), own.order)
        x = torch.where(x > 0, x, -0.5 * x).masked_fill(x > 0.4, 0.1)
        x = F.layer_norm(x, (x.shape[-1],)) + torch.atan2(x, x + 2).sin() * x.cos()
        y = F.glu(x, -1)
        return torch.einsum("bcd,bed->bce", y, y), torch.outer(x[0, 0], x[0, 1])

    model = Computed(
        forward, dense=nn.Linear(32, 32), group=nn.GroupNorm(4, 16), instance=nn.InstanceNorm1d(16, affine=True),
        conv=nn.Conv1d(16, 16, 3, padding=1, groups=4), prelu=nn.PReLU(16),
    )  # fmt: skip
    model.register_buffer("order", torch.randperm(16))
    return model, (torch.randn(8, 16, 32),)


def llama() -> Made:
    """Two layers of TinyLlama: grouped heads, RMSNorm, rotary positions."""
    from transformers import LlamaConfig, LlamaModel

    config = LlamaConfig(
        vocab_size=32000, hidden_size=2048, intermediate_size=5632, num_hidden_layers=2, num_attention_heads=32,
        num_key_value_heads=4,
    )  # fmt: skip
    return LlamaModel(config), {"input_ids": torch.randint(0, 32000, (1, 64))}


def t5() -> Made:
    """Two layers of either half of T5-small, one step."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokens = {
        "input_ids": torch.randint(1, 32000, (1, 64)),
        "decoder_input_ids": torch.randint(1, 32000, (1, 16)),
    }
    return T5ForConditionalGeneration(T5Config(num_layers=2, decoder_start_token_id=0)), tokens


def whisper() -> Made:
    """Two layers of either half of Whisper-tiny, one step."""
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    config = WhisperConfig(
        d_model=384, encoder_layers=2, decoder_layers=2, encoder_attention_heads=6, decoder_attention_heads=6,
        encoder_ffn_dim=1536, decoder_ffn_dim=1536,
    )  # fmt: skip
    inputs = {
        "input_features": torch.randn(1, 80, 3000),
        "decoder_input_ids": torch.randint(1, 50000, (1, 16)),
    }
    return WhisperForConditionalGeneration(config), inputs


def clip() -> Made:
    """Two layers of either tower of CLIP ViT-B/32."""
    from transformers import CLIPConfig, CLIPModel

    config = CLIPConfig(text_config={"num_hidden_layers": 2}, vision_config={"num_hidden_layers": 2})
    text = torch.randint(1, 49000, (2, 77))
    text[:, -1] = config.text_config.eos_token_id
    inputs = {
        "input_ids": text,
        "pixel_values": torch.randn(2, 3, 224, 224),
        "attention_mask": torch.ones_like(text),
    }
    return CLIPModel(config), inputs


EXPORTED_BY_TRACING = frozenset({"scripted_loop", "autograd_function"})
"""What only the tracing exporter writes."""

NAMES = tuple(
    name
    for name, made in list(globals().items())
    if callable(made)
    and not name.startswith("_")
    and getattr(made, "__annotations__", {}).get("return") == Made
)
"""The factories, in order."""
