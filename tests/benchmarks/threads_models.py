"""Factories of the threads' benchmark: each is a small model of one public thread, and beside it the model after its remedy.

The published models are too large or not published; each of these has the part that its thread is about, at a size whose
step takes 1 to 30 ms on two cores. All weights are random and seeded; each factory returns (module, example inputs).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (what everybody calls it)
from mapping_models import Computed, Made
from torch import nn


def seeded() -> None:
    """Every factory begins with it."""
    torch.manual_seed(0)


def images(*shape: int) -> tuple[torch.Tensor]:
    """A random input of this shape."""
    return (torch.randn(*shape),)


def trained(module: nn.Module) -> nn.Module:
    """Statistics as of a trained network: those of a new batch norm would be folded into nothing."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
    return module.eval()


# Numbers


def denormal_weights() -> Made:
    """Linear layers of whose weights half are denormal."""
    seeded()
    model = nn.Sequential(*(part for _ in range(4) for part in (nn.Linear(512, 512), nn.Sigmoid())))
    for part in model:
        if isinstance(part, nn.Linear):
            small = torch.rand_like(part.weight) < 0.5
            part.weight.data[small] *= 1e-38
    return model, (torch.randn(128, 512),)


def half_precision() -> Made:
    """Layers without a float16 kernel on a CPU; `--precision fp16` converts them."""
    seeded()
    layers = (part for _ in range(4) for part in (nn.Linear(512, 512), nn.GELU(), nn.LayerNorm(512)))
    return nn.Sequential(*layers), (torch.randn(96, 512),)


def half_precision_converted() -> Made:
    """The same in float16."""
    model, (x,) = half_precision()
    return model.half(), (x.half(),)


def bfloat16() -> Made:
    """Large products, which PyTorch computes in bfloat16 under autocast."""
    seeded()
    layers = (part for _ in range(3) for part in (nn.Linear(1024, 1024), nn.ReLU()))
    return nn.Sequential(*layers), (torch.randn(64, 1024),)


def _boxes(dtype: torch.dtype) -> Made:
    seeded()

    def forward(own: Any, x: torch.Tensor) -> torch.Tensor:
        offsets = own.head(x).flatten(2).transpose(1, 2).to(dtype)
        return (torch.sigmoid(offsets) * own.scale + own.points).float()

    model = Computed(forward, head=nn.Conv2d(32, 64, 1))
    model.register_buffer("points", torch.rand(64 * 64, 64, dtype=dtype))
    model.register_buffer("scale", torch.rand(64 * 64, 64, dtype=dtype))
    return model, images(2, 32, 64, 64)


def double_anchors() -> Made:
    """Anchor points of numpy's default type: boxes are computed in double and cast back."""
    return _boxes(torch.float64)


def float_anchors() -> Made:
    """The same in float."""
    return _boxes(torch.float32)


def noise() -> Made:
    """Noise that is drawn in forward."""
    seeded()

    def forward(own: Any, x: torch.Tensor) -> torch.Tensor:
        return own.body(x + torch.normal(0.0, 1.0, size=(128, 512)))

    return Computed(forward, body=nn.Sequential(nn.Linear(512, 512), nn.Tanh(), nn.Linear(512, 512))), (
        torch.randn(128, 512),
    )


def nested_padding() -> Made:
    """PyTorch's encoder with a padding mask: in inference it skips the padding and zeroes it."""
    seeded()
    layer = nn.TransformerEncoderLayer(128, 4, 512, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 2)
    padding = torch.zeros(8, 64, dtype=torch.bool)
    padding[:, 16:] = True
    model = Computed(lambda own, x, mask: own.encoder(x, src_key_padding_mask=mask), encoder=encoder)
    return model, (torch.randn(8, 64, 128), padding)


# Graphs


def _scores(product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> Made:
    seeded()
    model = Computed(lambda _own, query, key: product(query, key).softmax(-1))
    return model, (torch.randn(2, 256, 12, 64), torch.randn(2, 256, 12, 64))


def einsum_scores() -> Made:
    """Scores of attention as the product that the thread measures."""
    return _scores(lambda query, key: torch.einsum("bsnh,btnh->bnts", query, key))


def matmul_scores() -> Made:
    """The same as transposes and a product."""
    return _scores(lambda query, key: key.permute(0, 2, 1, 3) @ query.permute(0, 2, 3, 1))


@torch.jit.script
def _align(durations: torch.Tensor, frames: int) -> torch.Tensor:
    rows = []
    for row in range(durations.size(0)):
        ends = torch.cumsum(durations[row], 0).unsqueeze(0)
        places = torch.arange(frames).unsqueeze(1)
        rows.append(((places < ends) & (places >= ends - durations[row].unsqueeze(0))).float())
    return torch.stack(rows)


def _align_at_once(durations: torch.Tensor, frames: int) -> torch.Tensor:
    ends = torch.cumsum(durations, 1).unsqueeze(1)
    places = torch.arange(frames).reshape(1, -1, 1)
    return ((places < ends) & (places >= ends - durations.unsqueeze(1))).float()


def _speech(align: Callable[[torch.Tensor, int], torch.Tensor]) -> Made:
    seeded()

    def forward(own: Any, x: torch.Tensor, durations: torch.Tensor) -> torch.Tensor:
        return own.head(align(durations, 256) @ own.body(x))

    model = Computed(forward, body=nn.Linear(64, 64), head=nn.Linear(64, 64))
    return model, (torch.randn(64, 64, 64), torch.randint(1, 5, (64, 64)))


def scripted_alignment() -> Made:
    """A loop over the rows of a batch in a scripted function."""
    return _speech(_align)


def batched_alignment() -> Made:
    """The same for all rows at once."""
    return _speech(_align_at_once)


def _in_slices(join: Callable[[Any, torch.Tensor], torch.Tensor]) -> Made:
    seeded()
    return Computed(join, part=nn.Linear(64, 64)), (torch.randn(128, 128, 64),)


def slices_assigned() -> Made:
    """Sixteen slices of a result, each assigned in place."""

    def join(own: Any, x: torch.Tensor) -> torch.Tensor:
        result = torch.zeros_like(x)
        for start in range(0, 128, 8):
            result[:, start : start + 8] = own.part(x[:, start : start + 8])
        return result

    return _in_slices(join)


def slices_joined() -> Made:
    """The same slices, joined once."""
    return _in_slices(
        lambda own, x: torch.cat([own.part(x[:, s : s + 8]) for s in range(0, 128, 8)], 1),
    )


def packed_image() -> Made:
    """An image whose colors lie beside each other, as cameras and decoders give it."""
    seeded()
    model = Computed(
        lambda own, x: own.stem(x.permute(0, 3, 1, 2).float()), stem=nn.Conv2d(3, 8, 7, stride=8)
    )
    return model, (torch.randint(0, 255, (1, 1080, 1920, 3), dtype=torch.uint8),)


def planar_image() -> Made:
    """The same image in planes."""
    model, (x,) = packed_image()
    stem = model.stem
    return Computed(lambda own, x: own.stem(x.float()), stem=stem), (x.permute(0, 3, 1, 2).contiguous(),)


def convolutions() -> Made:
    """Convolutions, each with a batch norm and ReLU."""
    seeded()
    layers: list[nn.Module] = []
    for channels in (16, 64, 64, 64):
        layers += [nn.Conv2d(channels, 64, 3, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return trained(nn.Sequential(*layers)), images(1, 16, 48, 48)


class Block(nn.Module):
    """A layer of a transformer as models of 2020 wrote it, attention op by op."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Float `[batch, tokens, width]` to the same."""
        y = self.before(x)
        query, key, value = (
            part(y).reshape(*y.shape[:2], self.heads, -1).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = query @ key.transpose(2, 3) / query.shape[-1] ** 0.5
        x = x + self.out((scores.softmax(-1) @ value).transpose(1, 2).reshape(y.shape))
        return x + self.narrow(F.gelu(self.wide(self.between(x))))


def encoder() -> Made:
    """Two layers of a transformer."""
    seeded()
    return nn.Sequential(Block(256, 4), Block(256, 4)), (torch.randn(1, 128, 256),)


def wide_gelu() -> Made:
    """Short products with wide results, so that bias and GELU weigh as much as they do."""
    seeded()
    layers = (part for _ in range(3) for part in (nn.Linear(32, 2048), nn.GELU(), nn.Linear(2048, 32)))
    return nn.Sequential(*layers), (torch.randn(256, 32),)


def attention() -> Made:
    """PyTorch's fused attention alone; a thread's 4,096 tokens would take seconds on two cores."""
    seeded()

    def forward(_own: Any, *parts: torch.Tensor) -> torch.Tensor:
        query, key, value = (part.reshape(1, 512, 12, 64).transpose(1, 2) for part in parts)
        return F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(1, 512, 768)

    return Computed(forward), tuple(torch.randn(1, 512, 768) for _ in range(3))


def decoder() -> Made:
    """One layer of a decoder: what it returns, and keys and values of the encoder's states that never change."""
    seeded()

    def forward(own: Any, x: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        key, value = own.key(states), own.value(states)
        return own.head(F.scaled_dot_product_attention(own.query(x), key, value))

    parts = {name: nn.Linear(512, 512) for name in ("query", "key", "value", "head")}
    return Computed(forward, **parts), (torch.randn(1, 16, 512), torch.randn(1, 256, 512))


def decoder_with_cache() -> Made:
    """The same, which also returns further keys and values of the encoder's states that its caller drops."""
    model, inputs = decoder()
    plain = model._forward

    def forward(own: Any, x: torch.Tensor, states: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return plain(own, x, states), torch.tanh(own.more_keys(states)), torch.tanh(own.more_values(states))

    parts = dict(model.named_children())
    return Computed(forward, **parts, more_keys=nn.Linear(512, 512), more_values=nn.Linear(512, 512)), inputs


def sigmoid_layers() -> Made:
    """Layers that no optimizer of ONNX Runtime fuses: there is nothing to gain."""
    seeded()
    return nn.Sequential(*(part for _ in range(4) for part in (nn.Linear(512, 512), nn.Sigmoid()))), (
        torch.randn(128, 512),
    )


def four_layers() -> Made:
    """The small network in which a thread compared the exporters."""
    seeded()
    sizes = ((512, 256), (256, 128), (128, 64))
    layers = (part for first, second in sizes for part in (nn.Linear(first, second), nn.ReLU()))
    return nn.Sequential(*layers, nn.Linear(64, 10)), (torch.randn(2048, 512),)


def _bert() -> Any:
    from transformers import BertConfig, BertModel

    seeded()
    return BertModel(BertConfig(num_hidden_layers=2))


def _tokens(length: int, padded: int) -> dict[str, torch.Tensor]:
    mask = torch.ones(1, length, dtype=torch.long)
    mask[:, length - padded :] = 0
    return {"input_ids": torch.randint(1, 30000, (1, length)), "attention_mask": mask}


def bert_padded() -> Made:
    """Two layers of BERT over 128 tokens, of which 96 are padding."""
    return _bert(), _tokens(128, 96)


def bert_not_padded() -> Made:
    """The same without the padding."""
    return _bert(), _tokens(32, 0)
