"""The names that `--model` knows without being told where a model is."""

from difflib import get_close_matches

from attrib.zoo.architectures import ARCHITECTURES
from attrib.zoo.examples import EXAMPLES

BUILT_IN: tuple[str, ...] = (*ARCHITECTURES, *EXAMPLES)
"""Every built-in name: published architectures, then small examples."""


def similar_names(name: str) -> list[str]:
    """Built-in names that a typing error could have meant, nearest first."""
    lowered = {known.lower(): known for known in BUILT_IN}
    return [lowered[match] for match in get_close_matches(name.lower(), lowered, n=3, cutoff=0.6)]
