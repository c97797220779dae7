"""The transformer of a sentence-transformers directory, and what `encode` gives to it; imports torch."""

import inspect
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from attrib.capture.workers.messages import Recipe
from attrib.capture.workload.inputs import Arrays
from attrib.capture.workload.pretrained import from_directory
from attrib.capture.workload.sentence_directory import SentenceModel, read_sentence_model
from attrib.errors import AttribError, first_line

_DEFAULT_SEQ_LEN = 128

_SENTENCES = (
    "The weather is fine today, and people sit in front of the cafe.",
    "A new bridge across the river will be opened in the spring.",
    "How long does it take to get from the airport to the old town?",
    "She has played the violin since she was six years old.",
    "Prices rose more slowly last month than in the month before.",
    "Please restart the server, and look for errors in its log.",
)
"""What is encoded where the user brings no sentences; repeated until a row is as long as it was asked to be."""

_PRECISIONS = {"float16": "fp16", "bfloat16": "bf16"}

SEGMENTS = "token_type_ids"


class TokenEmbeddings(torch.nn.Module):  # type: ignore[misc]  # torch is not type-checked here
    """A transformer of which `encode` reads the embeddings of the tokens and nothing else, as its onnx backend returns."""

    def __init__(self, auto_model: Any) -> None:
        super().__init__()
        self.auto_model = auto_model
        self.config = auto_model.config

    def forward(
        self, input_ids: Any, attention_mask: Any = None, token_type_ids: Any = None
    ) -> dict[str, Any]:
        """Int64 `[rows, tokens]` each; float `[rows, tokens, features]`. A pooler that the model has runs all the same."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, SEGMENTS: token_type_ids}
        result = self.auto_model(**{name: value for name, value in given.items() if value is not None})
        return {"last_hidden_state": result.last_hidden_state}


def from_sentence_transformer(recipe: Recipe) -> tuple[Any, dict[str, Any], str]:
    """Load the transformer of a directory; the module, its inputs by name, and what its weights are.

    Raises:
        AttribError: transformers cannot load it, or its tokenizer cannot make such inputs.
    """
    found = read_sentence_model(Path(recipe.location))
    loaded, weights = from_directory(
        msgspec.structs.replace(recipe, location=str(found.folder), task=found.task)
    )
    if loaded.dtype != torch.float32 and recipe.precision == "fp32":
        stored = str(loaded.dtype).removeprefix("torch.")
        raise AttribError(
            f"the weights are stored in {stored}, in which `encode` computes, and --precision asks for fp32",
            hint=f"--precision {_PRECISIONS.get(stored, stored)}",
        )
    arrays = sentence_tokens(found, recipe, loaded)
    return TokenEmbeddings(loaded), {name: torch.from_numpy(array) for name, array in arrays.items()}, weights


def sentence_tokens(model: SentenceModel, recipe: Recipe, module: Any) -> Arrays:
    """What `encode` gives to the transformer for one batch of texts: int64 `[rows, tokens]` arrays by name.

    Without sentences of the user's, every row is as long as `recipe.seq_len` says.

    Raises:
        AttribError: There is no tokenizer, or it does not keep so many tokens.
    """
    tokenizer = _tokenizer_of(model, module.config)
    limit = tokenizer.model_max_length
    if recipe.seq_len is not None and recipe.seq_len > limit:
        raise AttribError(
            f"the model keeps {limit} tokens of a text (max_seq_length), --seq-len asks for {recipe.seq_len}",
            hint=f"--seq-len {limit}",
        )
    tokenizer.model_max_length = recipe.seq_len or (limit if recipe.text else min(limit, _DEFAULT_SEQ_LEN))
    rows = max(recipe.batch_size, len(recipe.text))
    if recipe.text:
        texts = list(islice(cycle(recipe.text), rows))
    else:
        # A sentence has at least one token, so as many sentences fill a row.
        texts = [
            " ".join(islice(cycle(_SENTENCES), row, row + tokenizer.model_max_length)) for row in range(rows)
        ]
    # In the order in which `encode` sorts them, by the same call: ties fall the same way.
    texts = [model.prompt + texts[i] for i in np.argsort([-len(text) for text in texts])]
    try:
        tokens = tokenizer(texts, padding=True, truncation="longest_first", return_tensors="np")
    except ValueError as error:
        raise AttribError(f"the tokenizer refuses the text: {first_line(error)}") from error
    arrays = {name: np.asarray(values, dtype=np.int64) for name, values in tokens.items()}
    if SEGMENTS not in arrays and SEGMENTS in _inputs_of(recipe.graph):
        # The onnx backend feeds zeros where a graph takes segments that the tokenizer does not give, and a model of PyTorch
        # makes the same zeros itself.
        arrays[SEGMENTS] = np.zeros_like(arrays["input_ids"])
    accepted = inspect.signature(module.forward).parameters
    return {name: array for name, array in arrays.items() if name in accepted}


def _tokenizer_of(model: SentenceModel, config: Any) -> Any:
    """The tokenizer, with the settings of the directory."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            model.folder, local_files_only=True, trust_remote_code=False
        )
    except Exception as error:
        raise AttribError(f"transformers cannot load the tokenizer: {first_line(error)}") from error
    positions = getattr(config, "max_position_embeddings", None) or -1
    if model.limit is not None:
        tokenizer.model_max_length = model.limit
    elif positions != -1:
        tokenizer.model_max_length = min(tokenizer.model_max_length, positions)
    if model.lower_case:
        from tokenizers import normalizers

        if not tokenizer.is_fast:
            raise AttribError("do_lower_case is set, which needs a tokenizer of the library tokenizers")
        own = tokenizer.backend_tokenizer.normalizer
        tokenizer.backend_tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Lowercase(), *([own] if own is not None else [])]
        )
    return tokenizer


def _inputs_of(graph: str) -> set[str]:
    """Names of the inputs of an ONNX file; none where there is no file."""
    if not graph:
        return set()
    import onnx

    return {value.name for value in onnx.load(graph, load_external_data=False).graph.input}
