"""A directory of sentence-transformers, laid out as its own `save_pretrained` does, of a tiny BERT with random weights."""

import json

WORDS = [
    "a", "and", "cat", "day", "dog", "fine", "in", "is", "it", "long", "mat", "on", "rain", "sat", "sun", "the", "was",
    "weather", "where",
]  # fmt: skip
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ",", "?", ":"]
POOLING = {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
MODULES = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def write_json(file, value):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(value))


def write_settings(folder, *, settings=None, model=None, modules=MODULES):
    """The files that say what it is, without tokenizer and weights."""
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 32} | (settings or {}))
    write_json(
        folder / "config_sentence_transformers.json", {"prompts": {"query": "the cat: "}} | (model or {})
    )
    write_json(folder / "1_Pooling" / "config.json", POOLING)


def write_model(folder, *, cased=False, positions=64, **settings):
    """The whole directory; imports torch and transformers."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    write_settings(folder, **settings)
    torch.manual_seed(0)
    vocabulary = [*SPECIAL, *WORDS, *(f"##{letter}" for letter in "bcdefghijklmnopqrstuvwxyz")]
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=64, max_position_embeddings=positions,
    )  # fmt: skip
    BertModel(config).eval().save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary))
    BertTokenizerFast(str(folder / "vocab.txt"), do_lower_case=not cased).save_pretrained(folder)
    return folder
