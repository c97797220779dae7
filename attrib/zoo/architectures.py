"""Published architecture configurations of well-known encoders, as arguments of their configuration class.

The values are those of each model's published `config.json`. With them the same architecture can be built, with
random weights, on a machine that can reach neither a cache nor a hub: speed does not depend on what the weights are.
"""

from dataclasses import dataclass, field
from difflib import get_close_matches

ConfigValue = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One published model.

    Attributes:
        name: What `--model` calls it.
        repository: Where its weights are published.
        model_type: The configuration class, as `AutoConfig` names it.
        values: Keyword arguments of that class.
    """

    name: str
    repository: str
    model_type: str
    values: dict[str, ConfigValue] = field(default_factory=dict)


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
    Architecture(
        name="bert-base-uncased",
        repository="google-bert/bert-base-uncased",
        model_type="bert",
        values=_BERT
        | {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
    ),
    Architecture(
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
    Architecture(
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
    Architecture(
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
    Architecture(
        name="all-MiniLM-L6-v2",
        repository="sentence-transformers/all-MiniLM-L6-v2",
        model_type="bert",
        values=_BERT
        | {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    ),
)

ARCHITECTURES: dict[str, Architecture] = {row.name: row for row in _ROWS}
"""Every built-in model by name."""


def find_architecture(name: str) -> Architecture | None:
    """The built-in model of that name or published repository; None where there is none."""
    by_repository = {row.repository: row for row in _ROWS}
    return ARCHITECTURES.get(name) or by_repository.get(name)


def similar_names(name: str) -> list[str]:
    """Built-in names that a typing error could have meant, nearest first."""
    lowered = {known.lower(): known for known in ARCHITECTURES}
    return [lowered[match] for match in get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
