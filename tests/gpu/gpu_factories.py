"""Models with something planted, as `attrib profile --model tests/gpu/gpu_factories.py:NAME` takes them."""

import os

import torch
from torch import nn

FALLBACK_OPS = {"Atan": torch.atan, "Acosh": lambda x: torch.acosh(1 + x * x), "Sinh": torch.sinh}
"""Ops for which ONNX Runtime has a kernel on the CPU; which of them CUDA lacks is asked of the session (1.31: all)."""

LARGE = 4096
"""Sides of the single ops: their kernels last so long that a launch is nothing beside them."""


class WithFallback(nn.Module):
    """An encoder with one op in its middle that the CUDA provider lacks."""

    def __init__(self, encoder: nn.Module, op: str) -> None:
        super().__init__()
        self.encoder = encoder
        self.op = FALLBACK_OPS[op]
        layers = encoder.encoder.layer
        layers[len(layers) // 2].register_forward_hook(self._through)

    def _through(self, _module, _inputs, output):
        first = self.op(output[0] if isinstance(output, tuple) else output)
        return (first, *output[1:]) if isinstance(output, tuple) else first

    def forward(self, input_ids, attention_mask):
        return self.encoder(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state


def _bert(layers: int):
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    model = BertModel(
        BertConfig(num_hidden_layers=layers, attn_implementation="sdpa"), add_pooling_layer=False
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 1e-3)
    return model


def _tokens():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(1000, 30000, (1, 128), generator=generator)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def fallback():
    """BERT-base with a planted fallback; ATTRIB_GPU_LAYERS makes it smaller, ATTRIB_GPU_OP chooses the op."""
    layers = int(os.environ.get("ATTRIB_GPU_LAYERS", "12"))
    return WithFallback(_bert(layers), os.environ.get("ATTRIB_GPU_OP", "Atan")), _tokens()


class Product(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(side, side, generator=torch.Generator().manual_seed(1)) / side)

    def forward(self, x):
        return x @ self.weight


def _rows(side: int):
    return {"x": torch.randn(side, side, generator=torch.Generator().manual_seed(2))}


def matmul(side: int = LARGE):
    """One product, large enough to fill a device."""
    return Product(side), _rows(side)


def layer_norm(side: int = 2 * LARGE):
    """One LayerNormalization."""
    return nn.LayerNorm(side), _rows(side)


def softmax(side: int = 2 * LARGE):
    """One Softmax."""
    return nn.Softmax(dim=-1), _rows(side)
