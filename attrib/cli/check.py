"""`attrib check`: a gate for continuous integration."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
from click.core import ParameterSource

from attrib.cli.command import Command, is_quiet
from attrib.cli.configuration import nearest
from attrib.errors import AttribError, GateError, InconclusiveError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attrib.comparison import Gate, Limits
    from attrib.model.document import Document
    from attrib.model.experiment import ExperimentResult

_MARKS = {"passed": "✅", "failed": "❌", "inconclusive": "❔", "warned": "⚠️"}


@click.command(
    "check",
    cls=Command,
    groups={
        "Limits": ("baseline", "experiment", "max_delta", "max_ratio", "rules"),
        "What is shown": ("format_", "quiet"),
    },
    examples=(
        ("attrib check now --baseline before --max-delta 15%", "Not much slower than another capture was."),
        (
            "attrib check now --max-ratio 0.8",
            "ONNX Runtime in at most 0.8 times PyTorch's time, on this machine.",
        ),
        (
            "attrib check now --experiment against-onnxruntime-1.22.1 --max-delta 5%",
            "What `attrib verify now --against-ort PYTHON` measured in turns.",
        ),
        ("attrib check now --rule provider-not-used=fail", "No finding of this rule."),
    ),
    quiet="Print only the limits that do not hold.",
)
@click.argument("trace_dir", type=click.Path(path_type=Path))
@click.option("--baseline", type=click.Path(path_type=Path), help="Capture, or report.json, to compare with.")
@click.option(
    "--experiment",
    metavar="ID",
    help="Hold what `attrib verify` measured in turns with the capture's configuration against --max-delta: no drift"
    " between two captures widens its interval.",
)
@click.option(
    "--max-delta",
    metavar="LIMIT",
    help="How much slower ONNX Runtime's step may be than in the baseline (without one: than PyTorch's), or than the step"
    " beside which the experiment was measured, e.g. 5% or 2ms.",
)
@click.option(
    "--max-ratio", type=float, help="The most that ONNX Runtime's step over PyTorch's may be, e.g. 0.8."
)
@click.option(
    "--rule",
    "rules",
    multiple=True,
    metavar="ID=LEVEL",
    help="What a finding means: fail, warn or ignore; repeatable.",
)
@click.option(
    "--format",
    "format_",
    type=click.Choice(("terminal", "markdown", "json")),
    default="terminal",
    show_default=True,
)
@click.pass_context
def command(
    context: click.Context,
    /,
    trace_dir: Path,
    baseline: Path | None,
    experiment: str | None,
    max_delta: str | None,
    max_ratio: float | None,
    rules: tuple[str, ...],
    format_: str,
) -> None:
    """Hold TRACE_DIR, or its report.json, against limits.

    Exits with 0 where all hold, 1 where one is broken, 4 where the measurement cannot tell, and 3 where the capture or the
    baseline is missing. A limit is broken only where the figure is beyond it and its interval shows that there is a change.
    """
    from attrib.api import diff, document_at
    from attrib.comparison import gates

    # The levels of a file hold for the rules that nothing else names.
    levels = dict(map(_level, (*(context.lookup_default("rules") or ()), *rules)))
    limits = _limits(max_delta, max_ratio, levels)
    if experiment is not None:
        named = context.get_parameter_source("baseline") is ParameterSource.COMMANDLINE
        if named or limits.max_delta is None:
            raise UsageError(
                "--experiment takes the place of --baseline, and --max-delta is its limit",
                hint="attrib check DIR --experiment ID --max-delta 5%",
            )
        baseline = None  # that of a file is for the captures of a pull request
    document = document_at(trace_dir)
    measured = _experiment(document, experiment) if experiment is not None else None
    change = None
    if baseline is not None:
        if not baseline.exists():
            raise AttribError(
                f"{baseline}: there is no baseline", hint="record one with attrib profile, or name another"
            )
        change = diff(baseline, document)
    found = gates(document, limits, change, measured)
    told = [gate for gate in found if gate.state != "passed"] if is_quiet() and format_ != "json" else found
    if told:
        click.echo(_rendered(told, format_))
    _raise(found)


def _experiment(document: "Document", name: str) -> "ExperimentResult":
    known = {result.id: result for result in document.experiments}
    if name not in known:
        hint = nearest(name, known, f"measured are {', '.join(known)}" if known else "attrib verify measures")
        raise UsageError(f"no experiment {name!r} was measured in this capture", hint=hint)
    return known[name]


def _level(text: str) -> tuple[str, str]:
    name, equals, level = text.partition("=")
    if not equals:
        raise UsageError(f"--rule {text}: no level", hint="--rule layout-churn=fail")
    return name, level


def _limits(max_delta: str | None, max_ratio: float | None, levels: Mapping[str, Any]) -> "Limits":
    """The limits, read.

    Raises:
        UsageError: There is none, or one of them means nothing.
    """
    from attrib.comparison import RULE_LEVELS, Limits, parse_limit
    from attrib.findings.registry import RULES

    known = {rule.id for rule in RULES}
    for name, level in levels.items():
        if name not in known:
            raise UsageError(
                f"there is no rule {name!r}", hint=nearest(name, known, "attrib rules lists them")
            )
        if level not in RULE_LEVELS:
            raise UsageError(f"{name}: {level!r} is no level", hint=", ".join(RULE_LEVELS))
    if max_delta is None and max_ratio is None and not levels:
        raise UsageError("no limit to check", hint="--max-delta 5%, --max-ratio 0.8 or --rule ID=fail")
    if max_ratio is not None and not 0 < max_ratio < math.inf:
        raise UsageError(f"--max-ratio: {max_ratio:g} is no positive number")
    return Limits(
        max_delta=parse_limit(max_delta) if max_delta is not None else None, max_ratio=max_ratio, rules=levels
    )


def _rendered(found: "Sequence[Gate]", format_: str) -> str:
    if format_ == "json":
        return msgspec.json.format(msgspec.json.encode(list(found)), indent=1).decode()
    from attrib.report.markdown.text import escape
    from attrib.report.view.text import one_line

    lines = []
    for gate in found:
        how = f"; to decide it, {gate.how}" if gate.how else ""
        if format_ == "markdown":
            lines.append(
                f"- {_MARKS[gate.state]} **{gate.name}** {gate.state}: {escape(gate.text, 600)}{escape(how, 4000)}"
            )
        else:
            lines.append(one_line(f"{gate.state}: {gate.name}: {gate.text}{how}"))
    return "\n".join(lines)


def _raise(found: "Sequence[Gate]") -> None:
    """Turn what came of the gates into an exit code."""
    broken = [gate.name for gate in found if gate.state == "failed"]
    open_ = [gate.name for gate in found if gate.state == "inconclusive"]
    if broken:
        raise GateError(f"broken: {', '.join(broken)}")
    if open_:
        raise InconclusiveError(f"inconclusive: {', '.join(open_)}")
