"""What every command has: help in groups with examples, options from a file and the environment, and how much is said."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from attrib.cli.configuration import (
    Configuration,
    find_configuration,
    key_of,
    may_stand_in_a_file,
    nearest,
    options_from,
    options_of,
)
from attrib.cli.main import write_examples
from attrib.errors import UsageError

_NOT_ABOUT_RESULTS = ("quiet", "verbose", "open_page")


class _Lines(click.types.StringParamType):
    """Text; several of them in an environment variable stand on a line each, because a sentence has spaces."""

    def split_envvar_value(self, rv: str) -> list[str]:
        return [line.strip() for line in rv.splitlines() if line.strip()]


def _keep(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    context.meta[f"attrib.{parameter.name}"] = value


class Command(click.Command):
    """A command of attrib.

    Args:
        groups: Heading -> names of the parameters that the help lists under it, in that order; the others come last.
        examples: Whole commands for the end of the help.
        quiet: What `-q` leaves of the output, in the words of the help; without it there is no `-q`.
        verbose: It starts engines: `-v` shows what they print.
    """

    def __init__(
        self,
        *args: Any,
        groups: Mapping[str, Sequence[str]] | None = None,
        examples: Sequence[tuple[str, str]] = (),
        quiet: str = "",
        verbose: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.groups = groups or {}
        self.examples = examples
        kept: dict[str, Any] = {"is_flag": True, "expose_value": False, "callback": _keep}
        if quiet:
            self.params.append(click.Option(["-q", "--quiet"], help=quiet, **kept))
        if verbose:
            help_ = "Show what the engines, the exporter and the model print."
            self.params.append(click.Option(["-v", "--verbose"], help=help_, **kept))
        for option in options_of(self):
            option.envvar = f"{self._prefix}{key_of(option).upper().replace('-', '_')}"
            if option.multiple and option.type is click.STRING:
                option.type = _Lines()

    @property
    def _prefix(self) -> str:
        return f"ATTRIB_{(self.name or '').upper()}_"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what the command line leaves open from the environment, then from a file.

        Raises:
            UsageError: Either names what there is not, or the command line contradicts itself.
        """
        problem, found = None, None
        try:
            found = None if ctx.resilient_parsing else find_configuration()
            ctx.default_map = options_from(found, ctx) if found else {}
        except UsageError as error:
            problem = error
        try:
            rest = super().parse_args(ctx, args)  # `--help` ends here, whatever a file says
        except click.BadParameter as error:
            option = error.param
            if (
                option is None
                or ctx.get_parameter_source(option.name or "") is not ParameterSource.ENVIRONMENT
            ):
                raise
            raise UsageError(f"{option.envvar} in the environment: {error.message}") from error
        if ctx.resilient_parsing:
            return rest
        if problem is not None:
            raise problem
        self._refuse_unknown_variables()
        _settle_loudness(ctx)
        ctx.meta["attrib.configuration"] = found
        return rest

    def _refuse_unknown_variables(self) -> None:
        known = [str(option.envvar) for option in options_of(self)]
        for name in os.environ:
            if name.startswith(self._prefix) and name not in known:
                raise UsageError(
                    f"{name} in the environment names no option of attrib {self.name}",
                    hint=nearest(name, known, f"attrib {self.name} --help lists them"),
                )

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the options under their headings."""
        by_name = {one.name: one for one in self.get_params(ctx) if isinstance(one, click.Option)}
        grouped = {heading: [by_name.pop(name) for name in names] for heading, names in self.groups.items()}
        for heading, parameters in [
            *grouped.items(),
            ("Other options" if grouped else "Options", by_name.values()),
        ]:
            records = [record for one in parameters if (record := one.get_help_record(ctx))]
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Say where options may stand as well, and give the examples."""
        options = options_of(self)
        if options:
            shown = next((one for one in options if may_stand_in_a_file(one)), options[0])
            table = f"[tool.attrib.{self.name}] of pyproject.toml or [{self.name}] of attrib.toml"
            text = f"Options may stand in the environment as well, e.g. {shown.envvar}"
            if may_stand_in_a_file(shown):
                text += f", and, unless they bear on what is run or written, in {table}"
            formatter.write_paragraph()
            formatter.write_text(f"{text}.")
        if self.examples:
            with formatter.section("Examples"):
                write_examples(formatter, self.examples)

    def invoke(self, ctx: click.Context) -> Any:
        """Say which options a file gave, and run the command."""
        found: Configuration | None = ctx.meta.get("attrib.configuration")
        words = words_of(ctx, (ParameterSource.DEFAULT_MAP,), self.heeded(ctx))
        # A file cannot hide that it is there.
        hidden = is_quiet() and ctx.get_parameter_source("quiet") is not ParameterSource.DEFAULT_MAP
        if found is not None and words and not hidden:
            import shlex

            click.echo(f"attrib: from {found.file}: {_one_line(shlex.join(words))}", err=True)
        return super().invoke(ctx)

    def heeded(self, ctx: click.Context) -> Sequence[str]:  # noqa: ARG002
        """Names of the options that bear on this call."""
        return [str(option.name) for option in options_of(self)]


def words_of(
    context: click.Context, sources: Iterable[ParameterSource | None], names: Iterable[str] | None = None
) -> list[str]:
    """The options that came from these sources, as a command line would have them."""
    words: list[str] = []
    for option in options_of(context.command):
        name = str(option.name)
        if context.get_parameter_source(name) not in sources or (names is not None and name not in names):
            continue
        value: Any = context.params.get(name, context.meta.get(f"attrib.{name}"))
        flag = max(option.opts, key=len)
        if option.is_flag:
            words += [flag] if value else []
        else:
            for one in value if option.multiple else (value,):
                words += [flag, str(one)]
    return words


def words_from_elsewhere(context: click.Context) -> list[str]:
    """The options that the environment or a file gave, for a command line that says it all."""
    names = [str(one.name) for one in options_of(context.command) if one.name not in _NOT_ABOUT_RESULTS]
    return words_of(context, (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP), names)


def is_quiet() -> bool:
    """Whether `-q` was given to the command that runs."""
    return _said("quiet")


def is_verbose() -> bool:
    """Whether `-v` was given to the command that runs."""
    return _said("verbose")


def _said(name: str) -> bool:
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(f"attrib.{name}"))


def _settle_loudness(context: click.Context) -> None:
    """Let the command line decide between quiet and verbose where elsewhere says the other."""
    if not (context.meta.get("attrib.quiet") and context.meta.get("attrib.verbose")):
        return
    typed = [
        name
        for name in ("quiet", "verbose")
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if len(typed) != 1:
        raise UsageError("-q and -v contradict each other", hint="leave out one of them")
    (left_out,) = {"quiet", "verbose"} - {*typed}
    context.meta[f"attrib.{left_out}"] = False


def _one_line(text: str) -> str:
    from attrib.report.view.text import one_line

    return one_line(text)
