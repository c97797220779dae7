"""The `attrib` command: finds the subcommand, and turns every error into one line and an exit code."""

import gc
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

import click

from attrib.cli.streams import drop_stdout, is_stdout_full, prepare_streams
from attrib.errors import AttribError, InternalError, UsageError
from attrib.version import __version__

COMMANDS = {
    "profile": "Run a model in PyTorch and in ONNX Runtime and report what makes the difference.",
    "report": "Rebuild the report of a trace directory, without PyTorch or ONNX Runtime.",
    "diff": "Show what changed between two captures.",
    "check": "Hold a capture against limits, alone or beside a baseline.",
    "export": "Write a trace directory for other programs: Perfetto, Parquet, CSV, trackers of benchmarks.",
    "verify": "Apply the suggested fixes and measure what each saves.",
    "explain": "Show what is behind one node, call or module of a trace directory.",
    "inspect": "Show what one trace file holds.",
    "doctor": "Check versions, execution providers and threads on this machine.",
    "schema": "Print the JSON Schema of report.json, or of a diff.",
    "rules": "List the rules, or explain one.",
    "completion": "Print the shell completion script.",
}
"""Every subcommand and its one line of help, so that `attrib --help` imports none of them."""

EXAMPLES = (
    (
        "attrib profile --model bert-base-uncased",
        "Both engines, side by side, and the report of what differs.",
    ),
    ("attrib verify TRACE_DIR", "The fixes that the report suggests, measured."),
    ("attrib check TRACE_DIR --max-ratio 0.8", "A gate for continuous integration."),
)

INTERRUPTED = 130
BROKEN_PIPE = 141


def write_examples(formatter: click.HelpFormatter, examples: Iterable[tuple[str, str]]) -> None:
    """Each command on a line that can be copied, and below it what it is for."""
    for line, purpose in examples:
        formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        with formatter.indentation():
            formatter.write_text(purpose)


class LazyGroup(click.Group):
    """A group that imports `attrib.cli.<name>` when the subcommand is called, and not before."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Names of the subcommands, in the order in which people need them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The subcommand, imported now; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"attrib.cli.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The subcommand that the first word names.

        Raises:
            UsageError: It names none.
        """
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            similar = get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
            hint = f"did you mean `attrib {similar[0]}`?" if similar else f"one of {', '.join(COMMANDS)}"
            raise UsageError(f"there is no command {name!r}", hint=hint)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """List the subcommands from `COMMANDS` alone."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Give the examples."""
        with formatter.section("Examples"):
            write_examples(formatter, EXAMPLES)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="attrib")
def attrib() -> None:
    """Explain why a model is slower, or faster, in ONNX Runtime than in PyTorch.

    Start with `attrib profile --model bert-base-uncased`; the report says which operators make the difference.
    """


def show_error(error: AttribError | InternalError | click.ClickException) -> None:
    """Print one line for the error, and one for its cure, on stderr."""
    from attrib.report.view.text import one_line  # `attrib --help` does without it

    if isinstance(error, click.ClickException):
        error.show()
        return
    label = "attrib: this is a bug in attrib:" if isinstance(error, InternalError) else "attrib: error:"
    click.echo(f"{click.style(label, fg='red', bold=True)} {one_line(str(error))}", err=True)
    if isinstance(error, AttribError) and error.hint:
        click.echo(f"  {click.style('try:', bold=True)} {one_line(error.hint)}", err=True)


def run(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    prepare_streams()
    try:
        code = attrib.main(args=args, prog_name="attrib", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except (BrokenPipeError, SystemExit) as stop:
        # click ends a process whose output nobody reads by itself, but says 1: a check failed.
        if isinstance(stop, SystemExit) and not isinstance(stop.__context__, BrokenPipeError):
            raise
        drop_stdout()
        return BROKEN_PIPE
    except OSError as error:
        if not is_stdout_full(error):
            raise
        drop_stdout()
        show_error(
            AttribError(f"standard output: {error.strerror}", hint="free some space, or write elsewhere")
        )
        return AttribError.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("attrib: interrupted", err=True)
        return INTERRUPTED
    except (AttribError, InternalError, click.ClickException) as error:
        show_error(error)
        return error.exit_code
    return code if isinstance(code, int) else 0


def main() -> None:
    """Entry point of the installed command: any other exception is a bug and exits with 70."""
    try:
        code = run()
    except Exception as error:
        if os.environ.get("ATTRIB_DEBUG"):
            raise
        from attrib.report.view.text import one_line

        name = type(error).__name__
        click.echo(
            f"attrib: this is a bug in attrib, please report it: {name}: {one_line(str(error))}", err=True
        )
        click.echo("  ATTRIB_DEBUG=1 shows where it happened", err=True)
        code = InternalError.exit_code
    # Python ends with a last search for garbage among everything that it made; the system takes it all
    # back anyway.
    gc.freeze()
    sys.exit(code)
