"""Experiments in Markdown: what each finding's fix gave, and one folded table of what was tried."""

from collections.abc import Iterable

from attrib.report.markdown.text import code, escaped, fenced, summary
from attrib.report.view.experiment_row import Tried
from attrib.report.view.experiments import PROVE_HINT, Best, Experiments, Group
from attrib.report.view.text import plural
from attrib.report.view.view import FindingView, View
from attrib.units import format_interval

_ROWS = 40
_A_FINDING = 5
_HEAD = ("| Change | Flags | Predicted | Measured | Prediction | Outputs |", "|:--|:--|--:|--:|:--|:--|")


def finding_results(item: FindingView) -> str:
    """What the experiments of a finding gave; empty where none was made."""
    if item.tried:
        lines = [f"- {_line(tried)}" for tried in item.tried[:_A_FINDING]]
        return "\n".join(["**When tried:**", "", *lines])
    if item.finding.verified is None:
        return ""
    checked = item.finding.verified
    gave = format_interval(checked.measured_ns, checked.low_ns, checked.high_ns, sign=False)
    return (
        f"**Verified:** applying it saved {gave}; outputs {'equal' if checked.outputs_equal else 'changed'}"
    )


def _line(tried: Tried) -> str:
    outputs = f"; outputs {escaped(tried.outputs, 120)}" if tried.outputs else ""
    flags = f" {code(tried.result.flags)}" if tried.result.flags else ""
    return f"{escaped(tried.result.title, 100)}: {escaped(tried.sentence)}{outputs}{flags}"


def experiments(view: View) -> str:
    """The best configuration, and what was tried; where nothing was and something could be, how to prove it."""
    tried = view.experiments
    if tried is None:
        return PROVE_HINT if view.provable else ""
    parts = [
        _best(tried.best) if tried.best else "",
        f"<details><summary>Experiments ({tried.count}). {summary(tried.score)}</summary>",
        _table(tried.groups),
        escaped(tried.torch, 600),
        "\n".join(_unmeasured(tried)),
        "</details>",
    ]
    return "\n\n".join(part for part in parts if part)


def _best(best: Best) -> str:
    command = f"\n\n{fenced(best.command)}" if best.command else ""
    said = " ".join(filter(None, (best.sentence, best.note)))
    return f"**Best configuration found:** {escaped(said, 800)}{command}"


def _table(groups: Iterable[Group]) -> str:
    rows = [line for group in groups for line in _group(group)]
    return "\n".join([*_HEAD, *rows]) if rows else ""


def _group(group: Group) -> Iterable[str]:
    yield f"| **{escaped(group.title)}** | | | | | |"
    yield from map(_row, group.tried[:_ROWS])
    if hidden := group.tried[_ROWS:]:
        yield f"| other ({plural(len(hidden), 'experiment')}) | | | | | |"


def _row(tried: Tried) -> str:
    result = tried.result
    missed = f"**missed**{': ' if result.note else ''}{escaped(result.note, 200)}"
    noise = "" if result.significant else " (noise)"
    cells = (
        escaped(result.title, 100),
        code(result.flags),
        escaped(tried.predicted),
        escaped(tried.measured) + noise,
        missed if tried.verdict == "missed" else tried.verdict,
        escaped(tried.outputs, 120),
    )
    return f"| {' | '.join(cells)} |"


def _unmeasured(tried: Experiments) -> Iterable[str]:
    for item in tried.unmeasured[:_ROWS]:
        yield f"- {escaped(item.result.title, 100)}: {escaped(item.state, 200)}"
    if tried.idle:
        yield f"- {len(tried.idle)} more would change nothing here"
