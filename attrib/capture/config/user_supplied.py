"""What only the user can name: a trace directory may come from a stranger, and makes attrib run and open nothing."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from attrib.errors import UsageError
from attrib.model.capture_options import OPTIONS
from attrib.model.manifest import Workload
from attrib.zoo.names import BUILT_IN

_Fields: Any = msgspec.defstruct(
    "_Fields",
    [
        (one.name, one.type, ()) if one.is_repeatable else (one.name, one.type | None, None)
        for one in OPTIONS
        if one.option.named_again
    ],
    frozen=True,
    kw_only=True,
)


class UserSupplied(_Fields):  # type: ignore[misc]  # made of the options
    """What the user names (again) to resume a capture or to verify it.

    The fields are the options that are declared as `named_again`, each left out where the capture had none, or where what
    it recorded holds: `model` is needed for one that is not built in, `sentence_transformer` where it had that, `onnx`
    where it ran a file of the user's, `text` where it ran on sentences, `ort_python` where another interpreter ran ONNX
    Runtime, `provider_options` for those that may name a file, `env` for variables that may, `provider_libraries` where it
    had some; `save_models` and `timeout` never.
    """

    def fields(self) -> dict[str, Any]:
        """The fields that the user named, by name."""
        return {
            name: value for name, value in msgspec.structs.asdict(self).items() if value not in (None, ())
        }


def take_model(workload: Workload, named: str | None, command: str) -> str:
    """Take the model of a capture from the user, or from attrib's own.

    Args:
        workload: What was captured.
        named: `--model`, where it was given.
        command: The command line that needs it, for the hint.

    Raises:
        UsageError: The user has to name it.
    """
    if named is not None:
        return named
    # The source is a word in a file: what counts is that attrib itself has a model of that name.
    if workload.source != "built-in" or workload.model not in BUILT_IN:
        raise UsageError(
            f"the captured model {workload.model!r} is not built in, and attrib runs no model because a trace directory"
            " names it",
            hint=f"name it yourself: {command} --model DIR, or --model file.py:factory",
        )
    if Path(workload.model).exists():
        raise UsageError(
            f"here is a file or directory {workload.model!r}, like the built-in model of the capture",
            hint=f"--model {workload.model} for what lies here, or run the command elsewhere",
        )
    return workload.model


def take_sentence_transformer(captured: bool, named: str | None, command: str) -> None:
    """Check that the user names a model of sentence-transformers where the capture ran one, and only there.

    Raises:
        UsageError: It has to be named, or there was none.
    """
    if named is not None and not captured:
        raise UsageError("--sentence-transformer: the capture ran no model of sentence-transformers")
    if captured and named is None:
        raise UsageError(
            "the captured model is one of sentence-transformers, and attrib runs none because a trace directory names it",
            hint=f"name it yourself: {command} --sentence-transformer DIR",
        )


def take_onnx_file(brought: bool, named: Path | None, command: str) -> Path | None:
    """Take the ONNX file of a capture from the user.

    Args:
        brought: The capture ran one.
        named: `--onnx`, where it was given.
        command: The command line that needs it, for the hint.

    Raises:
        UsageError: It has to be named, or there was none.
    """
    if brought and named is None:
        raise UsageError(
            "the capture ran an ONNX file of the user's, which its directory does not hold",
            hint=f"name it yourself: {command} --onnx FILE",
        )
    if named is not None and not brought:
        raise UsageError("--onnx: the capture exported its graph, and brought no file")
    return named


def check_text(captured: bool, named: Sequence[str]) -> None:
    """Check that the user names sentences where the capture ran on some, and only there.

    Raises:
        UsageError: They have to be named, or there were none.
    """
    if named and not captured:
        raise UsageError("--text: the capture ran without sentences of its own")
    if captured and not named:
        hint = "--text 'SENTENCE' for each, in the same order"
        raise UsageError("the capture ran on sentences, which its directory does not hold", hint=hint)
