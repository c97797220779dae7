"""Stacking changes that save time: each is added only if it saves time on top of those before it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from attrib.capture.config.options import check_options
from attrib.errors import UsageError
from attrib.model.capture_options import CaptureOptions
from attrib.model.estimate import Delta
from attrib.verify.flags import FLAGS


class Conflict(Exception):  # noqa: N818  (an answer, not a failure)
    """Two changes cannot both be made; the message says why."""


def changed_fields(before: CaptureOptions, after: CaptureOptions) -> tuple[str, ...]:
    """The names of the options that a change sets."""
    return tuple(name for name in FLAGS if getattr(before, name) != getattr(after, name))


def merge_options(base: CaptureOptions, stack: CaptureOptions, other: CaptureOptions) -> CaptureOptions:
    """Make the changes from `base` to `other` to `stack` as well.

    Lists (`optimize`, `session_options`, `disabled_optimizers`, `env`) are appended to. Of any other field the stack keeps
    its own value: it came first, because it saves more.

    Raises:
        Conflict: Both set one field to different values, or the result makes no sense.
    """
    found = {
        name: _merge_field(name, *(getattr(options, name) for options in (base, stack, other)))
        for name in changed_fields(base, other)
    }
    both = msgspec.structs.replace(stack, **found)
    try:
        check_options(both)
    except UsageError as error:
        raise Conflict(str(error)) from error
    return both


def _merge_field(name: str, base: Any, stack: Any, other: Any) -> Any:
    """The value of one option with both changes."""
    if stack in (base, other):
        return other
    if not isinstance(base, tuple) or any(value[: len(base)] != base for value in (stack, other)):
        raise Conflict(f"{FLAGS[name]} is set by a change that saves more")
    new = tuple(item for item in other[len(base) :] if item not in stack)
    if name in ("session_options", "env"):
        own = {item.partition("=")[0] for item in stack}
        taken = [key for item in new if (key := item.partition("=")[0]) in own]
        if taken:
            raise Conflict(f"{FLAGS[name]} {taken[0]} is set by a change that saves more")
    return (*stack, *new)


@dataclass(frozen=True, slots=True, kw_only=True)
class Win:
    """A change that was measured alone, saves time for certain and keeps the outputs; `saved` is a share of the step."""

    id: str
    title: str
    options: CaptureOptions
    saved: float
    changes_numbers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a change saves on top of a stack."""

    saving: Delta
    outputs_equal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The changes that were kept.

    Attributes:
        options: The original's options with every part.
        parts: The changes in the order in which they were added, the largest saving first.
        left_out: Id of a change that is no part -> why.
    """

    options: CaptureOptions
    parts: tuple[Win, ...]
    left_out: dict[str, str]


Try = Callable[[CaptureOptions, CaptureOptions, Win], Trial | str]
"""Measures the second options against the first; a text says why that was not possible."""


def is_gain(trial: Trial) -> bool:
    """Whether time is saved for certain and the outputs are the same."""
    return trial.outputs_equal and trial.saving.low > 0


def by_saving(wins: Iterable[Win]) -> list[Win]:
    """Sort changes, the largest saving first: as shares, because each was measured in a run of its own."""
    return sorted(wins, key=lambda win: (-win.saved, win.id))


def stack_wins(base: CaptureOptions, wins: Iterable[Win], attempt: Try) -> Stack:
    """Start with the change that saves most, and add every other one that saves time on top of it.

    Args:
        base: The original.
        wins: Changes that were measured alone.
        attempt: Measures a larger stack against the one so far.
    """
    ordered = by_saving(wins)
    if not ordered:
        return Stack(options=base, parts=(), left_out={})
    options, parts = ordered[0].options, [ordered[0]]
    left_out: dict[str, str] = {}
    for win in ordered[1:]:
        try:
            larger = merge_options(base, options, win.options)
        except Conflict as conflict:
            left_out[win.id] = str(conflict)
            continue
        trial = (
            "the parts before it make the same change" if larger == options else attempt(options, larger, win)
        )
        if isinstance(trial, str):
            left_out[win.id] = trial
        elif not trial.outputs_equal:
            left_out[win.id] = "the outputs differ with the parts before it"
        elif not is_gain(trial):
            left_out[win.id] = "it saves nothing more on top of the parts before it"
        else:
            options = larger
            parts.append(win)
    return Stack(options=options, parts=tuple(parts), left_out=left_out)
