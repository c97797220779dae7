"""`attrib profile`: run both engines, write the trace directory, and explain the difference."""

import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from attrib.errors import AttribError, InconclusiveError, UsageError
from attrib.model.capture_options import OPTIONS, Declared

if TYPE_CHECKING:
    from attrib.model.document import Document


def parameters_from_options(options: Iterable[Declared]) -> list[click.Parameter]:
    """The command's options for those that are declared, in the order in which the help lists them."""
    listed: list[Declared] = []
    for declared in options:
        if declared.option.on_command_line:
            names = [one.name for one in listed]
            after = declared.option.listed_after
            listed.insert(names.index(after) + 1 if after else len(names), declared)
    return [_parameter(declared) for declared in listed]


def _parameter(declared: Declared) -> click.Option:
    option, kind = declared.option, declared.type
    given: dict[str, Any] = {}
    if declared.choices:
        given["type"] = click.Choice(declared.choices)
    elif declared.is_repeatable:
        given["multiple"] = True
    elif kind is bool:
        given["is_flag"] = True
    else:
        given["type"] = click.Path(path_type=Path) if kind is Path else kind
    # None and an empty text are what click gives for an option that is left out anyway.
    if declared.default not in (None, "", (), msgspec.NODEFAULT):
        given["default"] = declared.default
    return click.Option(
        [*([option.short] if option.short else []), declared.flag, declared.name],
        help=option.help or None,
        metavar=option.metavar or None,
        show_default=option.show_default,
        hidden=option.hidden,
        **given,
    )


_PARAMETERS = parameters_from_options(OPTIONS)
_RESUME = click.Option(
    ["--resume"],
    type=click.Path(path_type=Path),
    metavar="TRACE_DIR",
    help="Continue an interrupted capture with its own options: only what is missing is measured. Name a model that"
    " is not built in again with --model.",
)
# The help lists which directory to go on with after the one to write.
_PARAMETERS.insert(1 + [parameter.name for parameter in _PARAMETERS].index("output"), _RESUME)


@click.command("profile", params=_PARAMETERS, context_settings={"allow_extra_args": True})
@click.option("--no-report", is_flag=True, help="Write the trace directory only.")
@click.option("--strict", is_flag=True, help="Exit with 4 where the measurement cannot answer the question.")
@click.pass_context
def command(
    context: click.Context, /, no_report: bool, strict: bool, resume: Path | None, **options: Any
) -> None:
    """Run a model in PyTorch and in ONNX Runtime and report what makes the difference."""
    from attrib.cli.capturing import check_resume, run_capture
    from attrib.cli.progress import show_progress

    if context.args:
        hint = "leave it out, or quote the value that it is a part of"
        if options["model"] is None and options["sentence_transformer"] is None:
            hint = f"did you mean `attrib profile --model {shlex.quote(context.args[0])}`?"
        raise UsageError(f"{context.args[0]!r} belongs to no option", hint=hint)
    check_resume(context, resume, options)
    from attrib.capture.storage.interrupts import Interrupts

    document = None
    with show_progress() as progress:
        directory, failed = run_capture(resume, options, progress)
        if not no_report:
            progress.phase("report")
            from attrib.api import load

            # SIGTERM ends a report like Ctrl-C does: no half-written file stays.
            with Interrupts():
                try:
                    document = load(directory).document
                except AttribError:
                    if failed is None:  # else what is missing must not hide why
                        raise
    if no_report:
        click.echo(os.fspath(directory))
    elif document is not None:
        from attrib.cli.show import report_by_default

        with Interrupts():
            report_by_default(document, directory, static=False)
    if failed is not None:
        raise failed
    if strict and not no_report:
        _check_conclusive(document)


def _check_conclusive(document: "Document | None") -> None:
    """Raise where the figures cannot say which engine is faster, or should not be compared."""
    if document is None or document.latency.delta_ns is None:
        raise InconclusiveError("only one engine was measured")
    failed = [check.title or check.check for check in document.comparability if check.state == "failed"]
    if failed:
        raise InconclusiveError(
            f"the comparison is not fair: {', '.join(failed)}", hint="see the report's checks"
        )
    if not document.latency.significant:
        raise InconclusiveError(
            "the difference is within the noise of the measurement",
            hint="close other programs, or raise --iterations",
        )
