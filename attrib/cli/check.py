"""`attrib check`: a gate for continuous integration."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from attrib.errors import AttribError, GateError, InconclusiveError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attrib.comparison import Gate, Limits

CONFIGURATIONS = (("attrib.toml", ("check",)), ("pyproject.toml", ("tool", "attrib", "check")))
"""Files of the current directory that may hold limits, the first that does counts, and the table in each."""

_MARKS = {"passed": "✅", "failed": "❌", "inconclusive": "❔", "warned": "⚠️"}


@click.command("check")
@click.argument("trace_dir", type=click.Path(path_type=Path))
@click.option("--baseline", type=click.Path(path_type=Path), help="Capture, or report.json, to compare with.")
@click.option(
    "--max-delta",
    metavar="LIMIT",
    help="How much slower ONNX Runtime's step may be than in the baseline (without one: than PyTorch's), e.g. 5% or 2ms.",
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
def command(
    trace_dir: Path,
    baseline: Path | None,
    max_delta: str | None,
    max_ratio: float | None,
    rules: tuple[str, ...],
    format_: str,
) -> None:
    """Hold TRACE_DIR, or its report.json, against limits.

    Exits with 0 where all hold, 1 where one is broken, 4 where the measurement cannot tell, and 3 where the capture or the
    baseline is missing. A limit is broken only where the figure is beyond it and its interval shows that there is a change.
    Limits may stand in `[tool.attrib.check]` of pyproject.toml, or `[check]` of attrib.toml: options come first.
    """
    from attrib.api import diff, document_at
    from attrib.comparison import gates

    given = {"max-delta": max_delta, "max-ratio": max_ratio, "rules": dict(map(_level, rules))}
    kept = _configuration(Path())
    limits = _limits({**kept, **{k: v for k, v in given.items() if v}}, kept)
    where = baseline or (Path(str(kept["baseline"])) if "baseline" in kept else None)
    document = document_at(trace_dir)
    change = None
    if where is not None:
        if not where.exists():
            raise AttribError(
                f"{where}: there is no baseline", hint="record one with attrib profile, or name another"
            )
        change = diff(where, document)
    found = gates(document, limits, change)
    click.echo(_rendered(found, format_))
    _raise(found)


def _level(text: str) -> tuple[str, str]:
    name, equals, level = text.partition("=")
    if not equals:
        raise UsageError(f"--rule {text}: no level", hint="--rule layout-churn=fail")
    return name, level


def _configuration(folder: Path) -> dict[str, Any]:
    """The table of limits of the first file that has one; empty without any.

    Raises:
        UsageError: A file is no TOML, or what it has is no table.
    """
    for name, keys in CONFIGURATIONS:
        file = folder / name
        if not file.is_file():
            continue
        try:
            found: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{name}: is no TOML: {error}") from error
        for key in keys:
            found = found.get(key, {}) if isinstance(found, dict) else found
        if not isinstance(found, dict):
            raise UsageError(f"{name}: {'.'.join(keys)} is no table")
        if found:
            return found
    return {}


def _limits(given: Mapping[str, Any], kept: Mapping[str, Any]) -> "Limits":
    """The limits of the options, and of the file where no option names them.

    Raises:
        UsageError: There is none, or one of them means nothing.
    """
    from attrib.comparison import RULE_LEVELS, Limits, parse_limit
    from attrib.findings.registry import RULES

    unknown = sorted(set(given) - {"max-delta", "max-ratio", "rules", "baseline"})
    if unknown:
        raise UsageError(
            f"the table of limits has an unknown key {unknown[0]!r}",
            hint="max-delta, max-ratio, rules, baseline",
        )
    if not all(isinstance(its.get("rules", {}), dict) for its in (kept, given)):
        raise UsageError("rules is no table", hint='layout-churn = "fail"')
    levels = {**kept.get("rules", {}), **given.get("rules", {})}
    known = {rule.id for rule in RULES}
    for name, level in levels.items():
        if name not in known:
            raise UsageError(f"there is no rule {name!r}", hint="attrib rules lists them")
        if level not in RULE_LEVELS:
            raise UsageError(f"{name}: {level!r} is no level", hint=", ".join(RULE_LEVELS))
    most, ratio = given.get("max-delta"), given.get("max-ratio")
    if most is None and ratio is None and not levels:
        raise UsageError("no limit to check", hint="--max-delta 5%, --max-ratio 0.8 or --rule ID=fail")
    if ratio is not None and not (isinstance(ratio, int | float) and ratio > 0):
        raise UsageError(f"max-ratio: {ratio!r} is no positive number")
    return Limits(
        max_delta=parse_limit(str(most)) if most is not None else None,
        max_ratio=float(ratio) if ratio is not None else None,
        rules=levels,
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
