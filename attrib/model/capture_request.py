"""What a capture was asked for and how often it was begun: what `attrib profile --resume` needs to know."""

from collections.abc import Iterator
from typing import Any, Literal, get_origin

import msgspec

from attrib.model.capture_options import OPTIONS, Recorded


class Launch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """One start of the engines' processes. Processes differ, so that a reader may want to tell their rounds apart.

    Attributes:
        started: When, UTC.
        first_round: Number of the first round that it measured, plain steps included.
        rounds: How many it completed.
        profiled: The profiles and the profiled steps of this capture are this launch's, every round of them.
    """

    started: str
    first_round: int = 0
    rounds: int = 0
    profiled: bool = False


_REDUCED: dict[Recorded, tuple[Any, Any]] = {
    "presence": (bool, False),
    "count": (int, 0),
    "names": (tuple[str, ...], ()),
    "entries": (dict[str, str], {}),
    "variables": (dict[str, str], {}),
    "provider entries": (dict[str, dict[str, str]], {}),
}
"""Type and default of what is kept of an option that is not kept as it is."""

_FIRST = ("onnx", "text", "ort_python")
"""Format 1 of the manifest writes these before the others, which follow in the order of the options."""


def _fields() -> Iterator[tuple[str, Any, Any]]:
    """Name, type and default of each field of the request."""
    recorded = {declared.name: declared for declared in OPTIONS if declared.option.recorded != "nothing"}
    for name in dict.fromkeys((*_FIRST, *recorded)):
        declared = recorded[name]
        # Any text for a choice: the report of a later attrib's capture needs none of its choices.
        kind = str if get_origin(declared.type) is Literal else declared.type
        as_it_is = (kind | None if declared.default is None else kind, declared.default)
        yield (name, *_REDUCED.get(declared.option.recorded, as_it_is))


_Fields: Any = msgspec.defstruct("_Fields", _fields(), frozen=True, kw_only=True, omit_defaults=False)


class CaptureRequest(_Fields):  # type: ignore[misc]  # made of the options
    """What the capture was asked for, as far as it is a plain choice: a directory names no file, code or sentence.

    The fields are those of `CaptureOptions`; what each holds is `Option.recorded` of that option.
    """
