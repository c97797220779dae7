"""Small models of transformers with random weights, biases included."""

import torch
from transformers import AutoConfig, AutoModel

from attrib.compress.subject import Subject

SIZES = {
    "bert": {"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 48},
    "distilbert": {"dim": 32, "n_heads": 4, "n_layers": 2, "hidden_dim": 48},
    "gpt2": {"n_embd": 32, "n_head": 4, "n_layer": 2},
    "vit": {
        "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 2, "intermediate_size": 48,
        "image_size": 32, "patch_size": 16,
    },
    "mistral": {
        "hidden_size": 32, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1,
        "intermediate_size": 48,
    },
}  # fmt: skip


def model_of(family, **changes):
    """A model, and a function that runs it and returns its tensors by name."""
    torch.manual_seed(0)
    vocabulary = {} if family == "vit" else {"vocab_size": 60}
    config = AutoConfig.for_model(family, **SIZES[family] | vocabulary | changes)
    config.use_cache = False
    module = AutoModel.from_config(config).eval().requires_grad_(requires_grad=False)
    for parameter in module.parameters():
        parameter.add_(torch.randn(parameter.shape) * 0.1)
    pixels, ids = {"pixel_values": torch.randn(2, 3, 32, 32)}, {"input_ids": torch.randint(1, 60, (2, 7))}
    given = pixels if family == "vit" else ids

    def step():
        with torch.inference_mode():
            result = module(**given)
        return {name: value.clone() for name, value in result.items() if isinstance(value, torch.Tensor)}

    return module, step


def subject_of(module, step):
    return Subject(module=module, precision="fp32", step=step)
