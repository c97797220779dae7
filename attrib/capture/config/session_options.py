"""Options of ONNX Runtime's session as the user writes them: `KEY=VALUE`. Importing this imports no engine.

A key with a dot is a configuration entry, which ONNX Runtime takes whatever it says; any other is an attribute of its
`SessionOptions`, of which the ones below bear on speed.
"""

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import Any

from attrib.errors import UsageError

EXECUTION_MODES = ("sequential", "parallel")
_LONGEST_KEY, _LONGEST_VALUE = 1024, 4096
"""What ONNX Runtime takes (`config_options.h`)."""


def _count(text: str) -> int:
    if not text.isdecimal():
        raise ValueError("a whole number, 0 or more")
    return int(text)


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("0 or 1")
    return text == "1"


def _mode(text: str) -> str:
    if text not in EXECUTION_MODES:
        raise ValueError(" or ".join(EXECUTION_MODES))
    return text


ATTRIBUTES: dict[str, Callable[[str], object]] = {
    "intra_op_num_threads": _count,
    "inter_op_num_threads": _count,
    "execution_mode": _mode,
    "enable_mem_pattern": _switch,
    "enable_mem_reuse": _switch,
    "enable_cpu_mem_arena": _switch,
}
"""Attribute of `SessionOptions` -> how its value is read."""

_OTHERWISE = {
    "graph_optimization_level": "--opt-level sets it",
    "enable_profiling": "attrib profiles a session of its own",
    "optimized_model_filepath": "the trace directory holds the optimized graph; --save-models keeps it with its weights",
}
"""Attributes that attrib sets itself."""


def session_options(pairs: Iterable[str]) -> dict[str, str]:
    """Parse and check `KEY=VALUE` strings; where a key is given twice the last one holds.

    Raises:
        UsageError: One of them is no `KEY=VALUE`, names no attribute that can be set, or has no value that it takes.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key:
            raise UsageError(
                f"--session-option {pair!r} is no KEY=VALUE",
                hint="for example --session-option session.intra_op.allow_spinning=0",
            )
        found[key] = value
    for key, value in found.items():
        if "." not in key:
            _parse(key, value)
        elif len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            raise UsageError(
                f"--session-option {key[:40]}...: ONNX Runtime takes keys of up to {_LONGEST_KEY} characters and values"
                f" of up to {_LONGEST_VALUE}"
            )
    return found


def set_options(options: Any, given: dict[str, str], modes: dict[str, Any]) -> None:
    """Set them on an `onnxruntime.SessionOptions`; `modes` are its execution modes by name."""
    for key, value in given.items():
        if "." in key:
            options.add_session_config_entry(key, value)
        elif key == "execution_mode":
            options.execution_mode = modes[value]
        else:
            setattr(options, key, _parse(key, value))


def _parse(key: str, value: str) -> object:
    """The value of an attribute, as `SessionOptions` takes it."""
    if key in _OTHERWISE:
        raise UsageError(f"--session-option cannot set {key}: {_OTHERWISE[key]}")
    if key not in ATTRIBUTES:
        near = get_close_matches(key, ATTRIBUTES, n=1)
        known = f"attributes: {', '.join(ATTRIBUTES)}; configuration entries have a dot in their name"
        raise UsageError(
            f"unknown session option {key!r}", hint=f"did you mean {near[0]}?" if near else known
        )
    try:
        return ATTRIBUTES[key](value)
    except ValueError as error:
        raise UsageError(f"--session-option {key} takes {error}, not {value!r}") from error
