"""`attrib profile`: run both engines, write the trace directory, and explain the difference."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
import msgspec

from attrib.cli.command import Command
from attrib.cli.page import open_option
from attrib.errors import AttribError, InconclusiveError, UsageError
from attrib.model.capture_options import OPTIONS, Declared, Group

if TYPE_CHECKING:
    from attrib.model.document import Document


def parameters_from_options(options: Iterable[Declared]) -> list[click.Parameter]:
    """The command's options for those that are declared."""
    return [_parameter(declared) for declared in options if declared.option.on_command_line]


def groups_of(options: Iterable[Declared]) -> dict[str, list[str]]:
    """Heading of the help -> the options that are declared for it, in the order of their fields."""
    groups: dict[str, list[str]] = {heading: [] for heading in get_args(Group)}
    for declared in options:
        if declared.option.group:
            groups[declared.option.group].append(declared.name)
    groups["Output"] += ["resume", "no_report", "open_page", "strict", "quiet", "verbose"]
    return groups


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


_RESUME = click.Option(
    ["--resume"],
    type=click.Path(path_type=Path),
    metavar="TRACE_DIR",
    help="Continue an interrupted capture with its own options: only what is missing is measured. Name a model that"
    " is not built in again with --model.",
)
EXAMPLES = (
    ("attrib profile --model bert-base-uncased", "A built-in model: both engines, report.html and report.json."),
    ("attrib profile --model file.py:make -o traces", "Your own module: make() returns it with its inputs."),
    ("attrib profile --model org/name --onnx model.onnx", "Your own ONNX file instead of an export."),
    ("attrib profile --model bert-base-uncased --optimize ort-transformers --optimize float16",
     "With offline rewrites of the graph, in order."),
    ("attrib profile --resume traces", "Go on where a capture was interrupted."),
)  # fmt: skip


_OF_A_NEW_CAPTURE = frozenset(one.name for one in OPTIONS if not one.option.named_again)


class _Profile(Command):
    def heeded(self, ctx: click.Context) -> Sequence[str]:
        """With `--resume` the capture's own options hold, and what may be named again."""
        every = super().heeded(ctx)
        return (
            [name for name in every if name not in _OF_A_NEW_CAPTURE] if ctx.params.get("resume") else every
        )


@click.command(
    "profile",
    cls=_Profile,
    params=[*parameters_from_options(OPTIONS), _RESUME],
    context_settings={"allow_extra_args": True},
    groups=groups_of(OPTIONS),
    examples=EXAMPLES,
    quiet="Print the verdict and where the report is: no progress, no causes.",
    verbose=True,
)
@click.option("--no-report", is_flag=True, help="Write the trace directory only.")
@open_option
@click.option("--strict", is_flag=True, help="Exit with 4 where the measurement cannot answer the question.")
@click.pass_context
def command(
    context: click.Context,
    /,
    no_report: bool,
    open_page: bool,
    strict: bool,
    resume: Path | None,
    **options: Any,
) -> None:
    """Run a model in PyTorch and in ONNX Runtime and report what makes the difference."""
    from attrib.cli.capturing import check_resume, run_capture
    from attrib.cli.progress import show_progress

    _check_usage(context, options)
    check_resume(context, resume, options)
    from attrib.capture.storage.interrupts import Interrupts

    document = None
    with show_progress() as progress:
        directory, failed = run_capture(context, resume, options, progress)
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
            report_by_default(document, directory, static=False, open_page=open_page)
    if failed is not None:
        raise failed
    if strict and not no_report:
        _check_conclusive(document)


def _check_usage(context: click.Context, options: Mapping[str, Any]) -> None:
    """Refuse words that belong to no option, and options that contradict each other.

    Raises:
        UsageError: There are some.
    """
    if context.args:
        hint = "leave it out, or quote the value that it is a part of"
        if options["model"] is None and options["sentence_transformer"] is None:
            hint = f"did you mean `attrib profile --model {shlex.quote(context.args[0])}`?"
        raise UsageError(f"{context.args[0]!r} belongs to no option", hint=hint)
    if context.params["open_page"] and context.params["no_report"]:
        raise UsageError("--open has no page to open with --no-report", hint="leave out one of them")


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
