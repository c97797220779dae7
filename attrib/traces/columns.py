"""Columns that grow block by block: interned strings, 64-bit integers, interned raw JSON."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from attrib.model.events import ABSENT

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]

_INT64 = 1 << 63


class Strings(dict[str, int]):
    """Distinct strings, numbered in order of first use; the empty string is `ABSENT`."""

    def __init__(self) -> None:
        super().__init__({"": ABSENT})

    def __missing__(self, text: str | None) -> int:
        if not text:
            return ABSENT
        self[text] = code = len(self) - 1
        return code

    def codes(self, texts: Iterable[str | None], count: int) -> Int32s:
        """The number of each of `count` strings; None counts as the empty one."""
        return np.fromiter(map(self.__getitem__, texts), np.int32, count)  # type: ignore[arg-type]

    def table(self) -> tuple[str, ...]:
        """The strings by number."""
        return tuple(self)[1:]


class Tracks(dict[tuple[object, object], int]):
    """Numbers of the strings `"pid/tid"`."""

    def __init__(self, strings: Strings) -> None:
        super().__init__()
        self._strings = strings

    def __missing__(self, key: tuple[object, object]) -> int:
        pid, tid = ("" if part is None else part for part in key)
        self[key] = code = self._strings[f"{pid}/{tid}"]
        return code

    @property
    def ambiguous(self) -> bool:
        """Whether a number has a point: 1.0 is the same key as 1, and is spelled as the first of them was."""
        return any(isinstance(part, float) for key in self for part in key)

    def codes(self, keys: Iterable[tuple[object, object]], count: int) -> Int32s:
        """The number of each of `count` tracks."""
        return np.fromiter(map(self.__getitem__, keys), np.int32, count)


class RawValues(dict[tuple[bytes, ...], int]):
    """Distinct raw JSON arguments (tuples of `width`), numbered by first use; all empty is `ABSENT`."""

    def __init__(self, width: int) -> None:
        super().__init__({(b"",) * width: ABSENT})

    def __missing__(self, key: tuple[bytes, ...]) -> int:
        self[key] = code = len(self) - 1
        return code

    def codes(self, keys: Iterable[tuple[bytes, ...]], count: int) -> Int32s:
        """The number of each of `count` arguments."""
        return np.fromiter(map(self.__getitem__, keys), np.int32, count)

    def table(self) -> tuple[tuple[bytes, ...], ...]:
        """The arguments by number."""
        return tuple(self)[1:]


def integers(values: Sequence[object]) -> Int64s:
    """Integers as files spell them: numbers, strings (`"616"`, `"0x0"`), null; `ABSENT` for anything else."""
    try:
        return np.fromiter(values, np.int64, len(values))
    except (TypeError, ValueError, OverflowError):
        return np.fromiter(map(integer, values), np.int64, len(values))


def integer(value: object) -> int:
    """One such integer."""
    if isinstance(value, str):
        try:
            value = int(value, 16 if value[:2].lower() == "0x" else 10)
        except ValueError:
            return ABSENT
    return value if isinstance(value, int) and -_INT64 <= value < _INT64 else ABSENT
