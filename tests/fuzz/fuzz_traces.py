# ruff: noqa: I001, E501, F401, PLR0911 - imports in the order in which they are instrumented
"""What both trace fuzzers share: small blocks, instrumented readers, a mutator that knows JSON.

A file is read in blocks of 256 kB. Inputs of a fuzzer are a hundredth of that, so that the seams between blocks would never
be seen: the harness makes blocks of 512 bytes before the readers take the constant over.
"""

import json
import random
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import atheris
from fuzz_seeds import TOKENS

SMALL_BLOCK = 512
SUMMARIZED = 8
"""One input in so many is summarized as well: that takes several times as long as reading it."""

with atheris.instrument_imports(include=["attrib"]):
    import attrib.traces.io.window

    attrib.traces.io.window.BLOCK = SMALL_BLOCK
    import attrib.traces.inspection.summary

    from attrib.errors import AttribError
    from trace_oracle import check_bytes

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 0.5, 1e308, -0.0, 2**31, 2**53, 2**63, 2**64, 10**30, "", "X", "B", "E", "0x7", "616", "nan",
    "\ud800", "\x00", "a" * 600, [], {}, [[[]]], {"a": {}}, [1, [2, [3]]], 1751410836000000.123,
]  # fmt: skip


def fuzz(kind: str) -> None:
    """Fuzz until libFuzzer's options say stop; `kind` only names the folder."""
    folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{kind}-", dir=_memory()))

    def one(data: bytes) -> None:
        check_bytes(data, folder, summary=len(data) % SUMMARIZED == 0)

    try:
        atheris.Setup(sys.argv, one, custom_mutator=mutate)
        atheris.Fuzz()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _memory() -> str | None:
    shared = Path("/dev/shm")
    return str(shared) if shared.is_dir() else None


def mutate(data: bytes, max_size: int, seed: int) -> bytes:
    """Half of the time bytes, as libFuzzer does it; else one edit of the JSON tree, while the bytes are JSON."""
    chance = random.Random(seed)
    if chance.random() < 0.5:
        return atheris.Mutate(data, max_size)
    try:
        tree = json.loads(data)
        text = json.dumps(edited(tree, chance)).encode()
    except (ValueError, RecursionError):
        return atheris.Mutate(data, max_size)
    return text[:max_size]


def edited(value: Any, chance: random.Random) -> Any:
    """A JSON value with one place of it changed."""
    if chance.random() < 0.2 or not isinstance(value, dict | list) or not value:
        return _other(value, chance)
    if isinstance(value, list):
        place = chance.randrange(len(value))
        how = chance.randrange(6)
        if how == 0:
            return value[:place] + value[place + 1 :]
        if how == 1:
            return value[: place + 1] + value[place:]
        if how == 2:
            return value[place:] + value[:place]
        return [*value[:place], edited(value[place], chance), *value[place + 1 :]]
    key = chance.choice(list(value))
    how = chance.randrange(6)
    if how == 0:
        return {name: item for name, item in value.items() if name != key}
    if how == 1:
        return {**value, chance.choice(TOKENS): _other(None, chance)}
    return {**value, key: edited(value[key], chance)}


def _other(value: Any, chance: random.Random) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and chance.random() < 0.5:
        return chance.choice([value + 1, -value, value / 8 + 0.001, value * 1000, str(value)])
    if isinstance(value, str) and chance.random() < 0.5:
        return chance.choice(TOKENS)
    return chance.choice(VALUES)
