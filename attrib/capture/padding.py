"""How much of the inputs is padding, read from the mask that the model gets."""

from collections.abc import Mapping
from typing import Any

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
