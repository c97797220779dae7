"""How `attrib profile` runs a capture: a new one, or the rest of one that was interrupted."""

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from attrib.cli.command import is_verbose, words_from_elsewhere
from attrib.errors import AttribError, UsageError
from attrib.model.capture_options import OPTIONS

if TYPE_CHECKING:
    from attrib.capture import Progress


class InterruptedCommand(AttribError):  # noqa: N818  (an interruption is no error, but ends the command like one)
    """Ctrl-C or SIGTERM: 128 + SIGINT, as shells have it."""

    exit_code = 130


_NAMED_AGAIN = tuple(declared.name for declared in OPTIONS if declared.option.named_again)
"""What may be given with `--resume`: what a directory does not hold, or must not decide."""


def check_resume(context: click.Context, resume: Path | None, options: dict[str, Any]) -> None:
    """Refuse a new capture without a model, and other options than the capture's own for one that is resumed."""
    parameters = {parameter.name: parameter for parameter in context.command.params}
    if resume is None:
        if options["model"] is None and options["sentence_transformer"] is None:
            raise click.MissingParameter(ctx=context, param=parameters["model"])
        return
    for name in options:
        if name in _NAMED_AGAIN or context.get_parameter_source(name) is not ParameterSource.COMMANDLINE:
            continue
        raise UsageError(
            f"{parameters[name].opts[-1]} does not go with --resume: what the capture was asked for holds",
            hint="leave it out, or capture anew without --resume",
        )


def run_capture(
    context: click.Context, resumed: Path | None, options: dict[str, Any], progress: "Progress"
) -> tuple[Path, AttribError | None]:
    """Run a new capture or the rest of one; the directory, and the failure of one engine where the other was measured."""
    from attrib.capture import (
        CaptureInterrupted,
        CaptureOptions,
        SideError,
        UserSupplied,
        capture,
        resume,
    )

    try:
        if resumed is None:
            given = {name: value for name, value in options.items() if value is not None}
            # What the environment and a file gave belongs to the command that gives this capture again.
            words = shlex.join(["attrib", *sys.argv[1:], *words_from_elsewhere(context)])
            return capture(CaptureOptions(**given, command=words), progress=progress), None
        supplied = UserSupplied(**{name: options[name] for name in _NAMED_AGAIN})
        if not resume(resumed, supplied, progress=progress):
            click.echo(f"attrib: {resumed} is complete: there is nothing to resume", err=True)
    except SideError as error:
        _show_details(error)
        return error.directory, error
    except AttribError as error:
        _show_details(error)
        raise
    except CaptureInterrupted as stop:
        raise InterruptedCommand(stop.message, hint=stop.hint) from stop
    return resumed, None


def _show_details(error: AttribError) -> None:
    """Print the worker's traceback of an error, where `ATTRIB_DEBUG` is set, or `-v` given."""
    details = getattr(error, "details", "")
    if details and (os.environ.get("ATTRIB_DEBUG") or is_verbose()):
        click.echo(details, err=True)
