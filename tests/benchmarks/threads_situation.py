"""What the threads' benchmark holds of a thread: its model, its conclusion, and the same change made by hand."""

from typing import Any, Literal

import msgspec
from threads_hand import Side

Figure = Literal["named", "headline"]
"""What is held against the change made by hand: the figure of the right finding or cause, or the difference of the steps."""


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as the thread's conclusion.

    Attributes:
        rules: Rules of which any is right as the first finding.
        causes: Causes of which any is right as the first cause.
        direction: How ONNX Runtime compares where a cause or a finding without saving explains it; empty for either.
        names: Words of which the finding's text, or the largest row of the cause, must hold one; empty for any.
        absent: Rules that may not claim a saving: the thread found that there is none. With these, nothing else is asked.
    """

    rules: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    direction: Literal["", "slower", "faster"] = ""
    names: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


class Hand(msgspec.Struct, frozen=True, kw_only=True):
    """The change made by hand, and what it is in words."""

    before: Side
    after: Side
    means: str


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """One thread.

    Attributes:
        name: Unique, with the number of its thread.
        thread: Its address.
        conclusion: What it concluded, in our words.
        model: A factory of threads_models.py or threads_kernels.py, or a model of attrib's zoo.
        options: Fields of `CaptureOptions`.
        file: A builder of threads_files.py whose file is profiled with `--onnx`.
        expected: What counts as the conclusion.
        hand: The change made by hand; None where the conclusion is not about time.
        figure: What is held against it.
        one_sided: Causes `extra_work` and `missing_work` that this model has: what only one engine computes.
    """

    name: str
    thread: str
    conclusion: str
    model: str
    options: dict[str, Any] = {}
    file: str = ""
    expected: Expected
    hand: Hand | None
    figure: Figure = "named"
    one_sided: tuple[str, ...] = ()
