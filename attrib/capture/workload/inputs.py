"""The inputs that both engines get: made, written, hashed, and how much of them is padding."""

import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from attrib.errors import AttribError

Arrays = dict[str, npt.NDArray[Any]]

_FIRST_ORDINARY_ID = 1000
"""Vocabularies keep their special and unused tokens below this id (BERT's words begin at 1996)."""


def random_tokens(
    *, vocabulary: int, batch_size: int, seq_len: int, seed: int, padding: float, pad_id: int, segments: bool
) -> Arrays:
    """Random ordinary tokens as a tokenizer would give them.

    Args:
        vocabulary: Size of the vocabulary.
        batch_size: Rows.
        seq_len: Tokens in a row.
        seed: Seed of the generator.
        padding: Share of each row that is padding; at least one token stays.
        pad_id: The padding token.
        segments: Whether the model takes `token_type_ids`.

    Returns:
        int64 `[batch_size, seq_len]` arrays by input name.
    """
    first = min(_FIRST_ORDINARY_ID, vocabulary // 2)
    generator = np.random.default_rng(seed)
    ids = generator.integers(first, vocabulary, size=(batch_size, seq_len), dtype=np.int64)
    kept = max(1, seq_len - round(seq_len * padding))
    mask = np.ones_like(ids)
    mask[:, kept:] = 0
    ids[:, kept:] = pad_id
    arrays = {"input_ids": ids, "attention_mask": mask}
    return arrays | ({"token_type_ids": np.zeros_like(ids)} if segments else {})


def random_pixels(*, shape: tuple[int, int, int, int], seed: int) -> Arrays:
    """Random images, normalized as an image processor leaves them: float32 `[batch, channels, height, width]`."""
    generator = np.random.default_rng(seed)
    return {"pixel_values": generator.standard_normal(shape, dtype=np.float32)}


def tokenize_text(directory: str, text: tuple[str, ...], *, batch_size: int, seq_len: int) -> Arrays:
    """Real sentences through the tokenizer that lies beside the model; they are repeated to fill the batch.

    Raises:
        AttribError: There is no tokenizer, or it has no padding token for sentences of unequal length.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, local_files_only=True)
    except Exception as error:
        hint = "leave out --text, or save the tokenizer into the model's directory with save_pretrained"
        raise AttribError(
            "--text needs a tokenizer, and there is none beside the model", hint=hint
        ) from error
    rows = [text[i % len(text)] for i in range(batch_size)]
    try:
        tokens = tokenizer(
            rows, padding="max_length", truncation=True, max_length=seq_len, return_tensors="np"
        )
    except ValueError as error:
        raise AttribError(f"the tokenizer refuses the text: {str(error).splitlines()[0]}") from error
    return {name: np.asarray(values, dtype=np.int64) for name, values in tokens.items()}


def save_inputs(file: Path, arrays: Arrays) -> None:
    """Write an `.npz`, uncompressed and without dates, so that equal inputs are equal files.

    `numpy.savez` takes the names as keyword arguments, and a model may call an input `file` or `allow_pickle`.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def load_inputs(file: Path) -> Arrays:
    """Read inputs that this capture wrote; nothing in them is ever unpickled."""
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def inputs_hash(arrays: Arrays) -> str:
    """A hash of the inputs' names, types, shapes and values, whatever file holds them."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


MASK = "attention_mask"
"""What models of transformers call it: 1 for a token, 0 for padding."""


def padding_settings(inputs: Mapping[str, Any]) -> dict[str, str]:
    """Settings for the manifest; empty without a mask of rows and tokens.

    Returns:
        `masked_tokens`: share of all tokens that the mask hides. `masked_in_all`: share of the length that it hides in every
        row, which shorter inputs would save at once; the rest takes batches of rows of like length.
    """
    mask = inputs.get(MASK)
    if mask is None or mask.ndim != 2 or not mask.numel():  # noqa: PLR2004 - rows and tokens
        return {}
    hidden = mask == 0
    return {
        "masked_tokens": f"{float(hidden.double().mean()):.4f}",
        "masked_in_all": f"{float(hidden.all(dim=0).double().mean()):.4f}",
    }
