"""Phrases for a reader: a count with its noun, and lists that end before they tire."""

from collections.abc import Sequence

MOST_NAMES = 4
"""Names in one sentence."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """A number with its noun: `1 node`, `3 nodes`, `1,200 nodes`.

    Args:
        count: How many.
        noun: One of them.
        plural: Several of them, where that is not the noun with an s.
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def listed(names: Sequence[str], most: int = MOST_NAMES) -> str:
    """Names in one phrase: `a, b, c, d and 3 more` where there are more than `most`."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
