"""Experiments in Markdown: what each finding's fix gave, and one folded table of what was tried."""

from attrib.report.markdown.changes import changes_table
from attrib.report.markdown.text import code, escape, fence_code, fold, summary, table_row
from attrib.report.view.builds import BuildsView
from attrib.report.view.experiment_row import ExperimentRow
from attrib.report.view.experiments import PROVE_HINT
from attrib.report.view.view import FindingView, View
from attrib.units import format_interval
from attrib.wording import counted

_MOST_ROWS = 40
_MOST_NODES = 12
_MOST_OF_A_FINDING = 5


def finding_results(item: FindingView) -> str:
    """What the experiments of a finding gave; empty where none was made."""
    if item.experiments:
        lines = ["**When tried:**", ""]
        for row in item.experiments[:_MOST_OF_A_FINDING]:
            outputs = f"; outputs {escape(row.outputs, 120)}" if row.outputs else ""
            flags = f" {code(row.result.flags)}" if row.result.flags else ""
            lines.append(f"- {escape(row.result.title, 100)}: {escape(row.sentence)}{outputs}{flags}")
        return "\n".join(lines)
    if item.finding.verified is None:
        return ""
    checked = item.finding.verified
    gave = format_interval(checked.measured_ns, checked.low_ns, checked.high_ns, sign=False)
    return (
        f"**Verified:** applying it saved {gave}; outputs {'equal' if checked.outputs_equal else 'changed'}"
    )


def experiments(view: View) -> str:
    """The best configuration, and what was tried; where nothing was and something could be, how to prove it."""
    tried = view.experiments
    if tried is None:
        return PROVE_HINT if view.provable else ""
    best = ""
    if tried.best:
        said = " ".join(filter(None, (tried.best.sentence, tried.best.note)))
        command = f"\n\n{fence_code(tried.best.command)}" if tried.best.command else ""
        best = f"**Best configuration found:** {escape(said, 800)}{command}\n\n"
    lines = []
    if tried.groups:
        heads = ("Change", "Flags", "Predicted", "Measured", "Prediction", "Outputs")
        lines = [table_row(*heads), "|:--|:--|--:|--:|:--|:--|"]
    for group in tried.groups:
        lines.append(table_row(f"**{escape(group.title)}**", "", "", "", "", ""))
        lines += [experiment_row(row) for row in group.rows[:_MOST_ROWS]]
        if hidden := group.rows[_MOST_ROWS:]:
            lines.append(table_row(f"other ({counted(len(hidden), 'experiment')})", "", "", "", "", ""))
    unmeasured = [
        f"- {escape(row.result.title, 100)}: {escape(row.state, 200)}"
        for row in tried.unmeasured[:_MOST_ROWS]
    ]
    if tried.idle:
        unmeasured.append(f"- {len(tried.idle)} more would change nothing here")
    title = f"Experiments ({tried.count}). {summary(tried.score)}"
    rest = ("\n".join(lines), escape(tried.torch, 600), "\n".join(unmeasured))
    changes = best + fold(title, *rest) if any((best, *rest)) else ""
    return "\n\n".join(filter(None, (*map(other_build, tried.builds), changes)))


def other_build(view: BuildsView) -> str:
    """Another build of ONNX Runtime: what became of the step, and folded, of the nodes."""
    told = view.nodes[:_MOST_NODES]
    # The last row is the sum of all; what lies between is left to the page.
    rows = (*told, *view.nodes[max(len(told), len(view.nodes) - 1) :])
    hidden = len(view.nodes) - len(rows)
    more = f"and {hidden} more in report.html" if hidden else ""
    notes = "\n".join(f"- {escape(note, 300)}" for note in (view.profile, *view.remarks[:6]))
    title = f"Nodes: before {summary(view.names[0])}, after {summary(view.names[1])}"
    table = changes_table("Nodes", view.unit, rows, details=True)
    return f"**{escape(view.sentence, 300)}.** {escape(view.figures, 600)}.\n\n" + fold(
        title, notes, table, more
    )


def experiment_row(row: ExperimentRow) -> str:
    """One measured experiment as a row of the table."""
    result = row.result
    missed = f"**missed**{': ' if result.note else ''}{escape(result.note, 200)}"
    return table_row(
        escape(result.title, 100),
        code(result.flags),
        escape(row.predicted),
        escape(row.measured) + (f" ({row.doubt})" if row.doubt else ""),
        missed if row.agreement == "missed" else row.agreement,
        escape(row.outputs, 120),
    )
