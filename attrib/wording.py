"""Phrases for a reader: a count with its noun, lists that end before they tire, and names that differ only by a number."""

from collections import Counter
from collections.abc import Iterable, Sequence

DEEPEST = 40
"""Parts of a qualified name that are told apart. Models have about ten, a hostile trace any number."""

_LONGEST_NUMBER = 6

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


def spans(numbers: Iterable[int]) -> str:
    """Rising numbers in one phrase, three and more in a row as a span: `1, 2, 4 to 6`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1].append(number)
        else:
            found.append([number])
    return ", ".join(
        f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run))  # noqa: PLR2004
        for run in found
    )


def counted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in order of the alphabet, with its number where it occurs several times: `Add, MatMul ×2`."""
    return tuple(f"{name} ×{count}" if count > 1 else name for name, count in sorted(Counter(names).items()))


def enumerated(parts: Iterable[str]) -> str:
    """Clauses in one phrase: `a, b and c`; empty ones are left out."""
    texts = list(filter(None, parts))
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def path_parts(path: str) -> list[str]:
    """The parts of a qualified name; what lies deeper than `DEEPEST` stays in one."""
    return path.split(".", DEEPEST) if path else []


def is_number(part: str) -> bool:
    """Whether a part of a qualified name is the number of a layer."""
    return part.isascii() and part.isdigit() and len(part) <= _LONGEST_NUMBER


def fold_numbers(path: str, mark: str = "*") -> str:
    """A qualified name with a mark for its numbers: the same for `encoder.layer.0.output` and `encoder.layer.1.output`."""
    return ".".join(mark if is_number(part) else part for part in path_parts(path))
