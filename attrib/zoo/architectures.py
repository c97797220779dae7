"""Published architecture configurations of well-known models, as arguments of their configuration class.

The values are those of each model's published `config.json`. With them the same architecture can be built, with
random weights, on a machine that can reach neither a cache nor a hub: speed does not depend on what the weights are.
"""

import msgspec

ConfigValue = int | float | str | bool | list[int]


class PublishedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One published model.

    Attributes:
        name: What `--model` calls it.
        repository: Where its weights are published.
        model_type: The configuration class, as `AutoConfig` names it.
        values: Keyword arguments of that class.
        task: The task that it is built for where none is asked for.
    """

    name: str
    repository: str
    model_type: str
    values: dict[str, ConfigValue] = msgspec.field(default_factory=dict)
    task: str = ""


_BERT: dict[str, ConfigValue] = {
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}

_ROWS = (
    PublishedModel(
        name="bert-base-uncased",
        repository="google-bert/bert-base-uncased",
        model_type="bert",
        values=_BERT
        | {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    ),
    PublishedModel(
        name="bert-large-uncased",
        repository="google-bert/bert-large-uncased",
        model_type="bert",
        values=_BERT
        | {
            "hidden_size": 1024,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "intermediate_size": 4096,
        },
    ),
    PublishedModel(
        name="distilbert-base-uncased",
        repository="distilbert/distilbert-base-uncased",
        model_type="distilbert",
        values={
            "vocab_size": 30522,
            "max_position_embeddings": 512,
            "dim": 768,
            "hidden_dim": 3072,
            "n_layers": 6,
            "n_heads": 12,
            "activation": "gelu",
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "sinusoidal_pos_embds": False,
            "pad_token_id": 0,
        },
    ),
    PublishedModel(
        name="roberta-base",
        repository="FacebookAI/roberta-base",
        model_type="roberta",
        values=_BERT
        | {
            "vocab_size": 50265,
            "max_position_embeddings": 514,
            "type_vocab_size": 1,
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "hidden_size": 768,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "intermediate_size": 3072,
        },
    ),
    PublishedModel(
        name="all-MiniLM-L6-v2",
        repository="sentence-transformers/all-MiniLM-L6-v2",
        model_type="bert",
        values=_BERT
        | {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    ),
    PublishedModel(
        name="gpt2",
        repository="openai-community/gpt2",
        model_type="gpt2",
        values={
            "vocab_size": 50257,
            "n_positions": 1024,
            "n_embd": 768,
            "n_layer": 12,
            "n_head": 12,
            "activation_function": "gelu_new",
            "resid_pdrop": 0.1,
            "embd_pdrop": 0.1,
            "attn_pdrop": 0.1,
            "layer_norm_epsilon": 1e-5,
            "bos_token_id": 50256,
            "eos_token_id": 50256,
        },
    ),
    PublishedModel(
        name="SmolLM2-135M",
        repository="HuggingFaceTB/SmolLM2-135M",
        model_type="llama",
        values={
            "vocab_size": 49152,
            "hidden_size": 576,
            "intermediate_size": 1536,
            "num_hidden_layers": 30,
            "num_attention_heads": 9,
            "num_key_value_heads": 3,
            "hidden_act": "silu",
            "max_position_embeddings": 8192,
            "rms_norm_eps": 1e-5,
            "rope_theta": 100000.0,
            "tie_word_embeddings": True,
            "bos_token_id": 0,
            "eos_token_id": 0,
        },
    ),
    PublishedModel(
        name="bart-base",
        repository="facebook/bart-base",
        model_type="bart",
        values={
            "vocab_size": 50265,
            "d_model": 768,
            "encoder_layers": 6,
            "decoder_layers": 6,
            "encoder_attention_heads": 12,
            "decoder_attention_heads": 12,
            "encoder_ffn_dim": 3072,
            "decoder_ffn_dim": 3072,
            "activation_function": "gelu",
            "max_position_embeddings": 1024,
            "scale_embedding": False,
            "pad_token_id": 1,
            "bos_token_id": 0,
            "eos_token_id": 2,
        },
    ),
    PublishedModel(
        name="t5-small",
        repository="google-t5/t5-small",
        model_type="t5",
        values={
            "vocab_size": 32128,
            "d_model": 512,
            "d_kv": 64,
            "d_ff": 2048,
            "num_layers": 6,
            "num_heads": 8,
            "relative_attention_num_buckets": 32,
            "dropout_rate": 0.1,
            "layer_norm_epsilon": 1e-6,
            "feed_forward_proj": "relu",
            "pad_token_id": 0,
            "eos_token_id": 1,
        },
        task="text-encoding",
    ),
    PublishedModel(
        name="resnet-18",
        repository="microsoft/resnet-18",
        model_type="resnet",
        values={
            "num_channels": 3,
            "embedding_size": 64,
            "hidden_sizes": [64, 128, 256, 512],
            "depths": [2, 2, 2, 2],
            "layer_type": "basic",
            "hidden_act": "relu",
            "downsample_in_first_stage": False,
        },
    ),
)

ARCHITECTURES: dict[str, PublishedModel] = {row.name: row for row in _ROWS}
"""Every built-in model by name."""


def find_architecture(name: str) -> PublishedModel | None:
    """The built-in model of that name or published repository; None where there is none."""
    by_repository = {row.repository: row for row in _ROWS}
    return ARCHITECTURES.get(name) or by_repository.get(name)
