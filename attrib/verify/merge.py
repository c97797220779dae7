"""Putting two changes of the same options together."""

from typing import Any

import msgspec

from attrib.capture.options import CaptureOptions, check_options
from attrib.errors import UsageError
from attrib.verify.flags import FLAGS


class Conflict(Exception):  # noqa: N818  (an answer, not a failure)
    """Two changes cannot both be made; the text says why."""


def changed_fields(before: CaptureOptions, after: CaptureOptions) -> tuple[str, ...]:
    """The fields that a change sets."""
    return tuple(name for name in FLAGS if getattr(before, name) != getattr(after, name))


def merged(base: CaptureOptions, stack: CaptureOptions, other: CaptureOptions) -> CaptureOptions:
    """What `other` changes of `base`, made to `stack` as well.

    Lists (`optimize`, `session_options`, `disabled_optimizers`) are appended to. Of any other field the stack keeps its own
    value: it came first, because it saves more.

    Raises:
        Conflict: Both set one field to different values, or the result makes no sense.
    """
    found = {
        name: _merged_field(name, *(getattr(options, name) for options in (base, stack, other)))
        for name in changed_fields(base, other)
    }
    both = msgspec.structs.replace(stack, **found)
    try:
        check_options(both)
    except UsageError as error:
        raise Conflict(str(error)) from error
    return both


def _merged_field(name: str, base: Any, stack: Any, other: Any) -> Any:
    if stack in (base, other):
        return other
    if isinstance(base, tuple) and all(value[: len(base)] == base for value in (stack, other)):
        new = tuple(item for item in other[len(base) :] if item not in stack)
        return (*stack, *_checked(name, stack, new))
    raise Conflict(f"{FLAGS[name]} is set by a change that saves more")


def _checked(name: str, stack: tuple[str, ...], new: tuple[str, ...]) -> tuple[str, ...]:
    if name == "session_options":
        own = {item.partition("=")[0] for item in stack}
        taken = [key for item in new if (key := item.partition("=")[0]) in own]
        if taken:
            raise Conflict(f"{FLAGS[name]} {taken[0]} is set by a change that saves more")
    return new
