"""The parts of the Markdown report, from the headline to the method. All text of strangers is escaped here."""

from collections.abc import Sequence

from attrib.model.document import CAUSES, CauseRow
from attrib.report.markdown.experiments import finding_results
from attrib.report.markdown.text import code, escape, fence_code, fold, summary, table_row
from attrib.report.view.breakdown import Breakdown
from attrib.report.view.operators import OperatorLine, TableColumn
from attrib.report.view.text import EXPLAIN_HINT
from attrib.report.view.view import FindingView, View
from attrib.units import format_ends
from attrib.wording import counted

_ALERT_MARKS = {"error": "❌", "warning": "⚠️", "note": "ℹ️"}
_TONE_MARKS = {"slower": "▲", "faster": "▼", "same": "●"}
_MOST_ALERT_LINES = 10
_MOST_UNMATCHED = 20
_MOST_NOTES = 30


def headline(view: View) -> str:
    """The verdict in the first line, then what bears on it, then the workload."""
    verdict = view.verdict
    below = "\n".join(escape(text, 800) for text in (verdict.why, verdict.remark) if text)
    parts = [f"**{escape(verdict.sentence, 500)}**", escape(verdict.figures), below]
    for alert in view.alerts:
        lines = [f"{_ALERT_MARKS[alert.level]} **{escape(alert.title)}**", ""]
        for line in alert.lines[:_MOST_ALERT_LINES]:
            fix = f"to fix it: {line.fix}" if line.fix else ""
            lines.append(
                "- " + ". ".join(escape(text, 800) for text in (line.text, line.effect, fix) if text)
            )
        parts.append("\n".join(lines))
    if view.gaps:
        lines = ["ℹ️ **Evidence that was not recorded**", ""]
        lines += [
            f"- {escape(gap.what)}: {escape(gap.cost)}. To record it: {escape(gap.how)}"
            for gap in view.gaps[:_MOST_ALERT_LINES]
        ]
        parts.append("\n".join(lines))
    parts.append(" · ".join((code(view.title), *(escape(part, 80) for part in view.subtitle[:12]))))
    return "\n\n".join(part for part in parts if part)


def cause_table(view: View, shown: int) -> str:
    """The first `shown` causes, the others in one row, what is not explained, and the sum; empty with one side alone."""
    rows = (*view.causes, *view.remainders)
    if not any(row.torch_ns for row in rows) or not any(row.onnxruntime_ns for row in rows):
        return ""
    heads = (
        "Cause",
        view.names["torch"],
        view.names["onnxruntime"],
        f"Δ {view.unit.symbol}",
        "95 % interval",
    )
    lines = [table_row(*heads), "|:--|--:|--:|--:|--:|"]
    for cause in view.causes[:shown]:
        mark = ("▲" if cause.delta_ns > 0 else "▼") if view.verdict.split_reliable else "?"
        lines.append(_cause_row(view, f"{mark} {CAUSES[cause.cause].title}", cause))
    if hidden := view.causes[shown:]:
        lines.append(_cause_sum(view, f"other ({counted(len(hidden), 'cause')})", hidden, ""))
    lines += [
        _cause_row(view, f"Not explained: {CAUSES[cause.cause].title.lower()}", cause)
        for cause in view.remainders
    ]
    lines.append(_cause_sum(view, "**Sum**", (*view.causes, *view.remainders), "**"))
    reached = f"\n\n{escape(view.roofline.line)}." if view.roofline and view.roofline.line else ""
    return "\n".join(lines) + reached


def breakdowns(view: View) -> str:
    """Where the profiled step of each side goes, by op type; empty where a difference tells more."""
    if view.has_delta:
        return ""
    return "\n\n".join(_breakdown(view, side) for side in view.breakdowns)


def _breakdown(view: View, side: Breakdown) -> str:
    number = view.unit.number
    title = f"{escape(side.name)}, {counted(side.steps, 'profiled step')}"
    lines = [table_row(title, "per step", view.unit.symbol, "share"), "|:--|--:|--:|--:|"]
    other = [(escape(side.other.op), side.other)] if side.other else []
    for name, op in [*((code(op.op, 60), op) for op in side.ops), *other]:
        lines.append(table_row(name, str(op.count or ""), number(op.ns), _share(op.share)))
    outside = _share(side.rest_ns / side.step_ns) if side.step_ns else ""
    lines.append(table_row("outside every operator", "", number(side.rest_ns), outside))
    lines.append(table_row("**Step**", "", f"**{number(side.step_ns)}**", ""))
    return "\n".join(lines)


def _share(share: float) -> str:
    return f"{100 * share:.1f} %"


def _cause_row(view: View, label: str, cause: CauseRow) -> str:
    number = view.unit.number
    noise = " (noise)" if cause.low_ns <= 0 <= cause.high_ns else ""
    ends = format_ends(cause.low_ns, cause.high_ns, view.unit)
    delta = number(cause.delta_ns, sign=True)
    return table_row(label, number(cause.torch_ns), number(cause.onnxruntime_ns), delta, f"{ends}{noise}")


def _cause_sum(view: View, label: str, causes: Sequence[CauseRow], bold: str) -> str:
    number = view.unit.number
    delta = number(sum(cause.delta_ns for cause in causes), sign=True)
    torch = number(sum(cause.torch_ns for cause in causes))
    return table_row(
        label, torch, number(sum(cause.onnxruntime_ns for cause in causes)), f"{bold}{delta}{bold}", ""
    )


def finding(item: FindingView) -> str:
    """One finding, folded: what it rests on, what to do, and what doing it gave."""
    said = item.finding
    gain = f" ({item.gain.text})" if item.gain else ""
    title = f"{_TONE_MARKS[item.tone]} <b>{summary(said.title)}</b>{gain}"
    evidence = "\n".join(f"- {escape(piece.text)}" for piece in said.evidence[:10])
    fix = f"**What to do:** {escape(said.fix, 2000)}" if said.fix else ""
    return fold(title, escape(said.summary, 1000), evidence, fix, finding_results(item))


def operator_row(view: View, line: OperatorLine) -> str:
    """One line of the operator table, with the columns that Markdown has room for; the first says how many rows it sums."""
    cells: list[str] = []
    for column in _columns(view):
        shown = column.cell(line, view.unit)
        text = shown.text if column.figure else escape(shown.text, column.markdown)
        cells.append(code(", ".join(shown.names), column.markdown) if shown.names else text)
    if spread := line.spread(view.unit):
        cells[0] += f" ×{len(line.members)}<br>{spread}"
    return table_row(*cells)


def operator_table(view: View, rows: Sequence[str]) -> str:
    """The first lines of the operator table, folded away, the other rows in one, and the sum."""
    if not rows:
        return ""
    table, columns = view.operators, _columns(view)
    heads = [column.markdown_heading(view.names, view.unit) for column in columns]
    lines = [
        table_row(*map(escape, heads)),
        f"|{'|'.join('--:' if column.figure else ':--' for column in columns)}|",
        *rows,
    ]
    if rest := table.rest(len(rows)):
        sums = [column.sums(rest, view.unit) for column in columns[1:]]
        lines.append(table_row(f"other ({counted(rest.count, 'row')})", *sums))
    sums = [column.sums(table.total, view.unit) for column in columns[1:]]
    lines.append(table_row("**Sum**", *(f"**{text}**" if text else "" for text in sums)))
    matched = any(line.row.torch_ops and line.row.onnx_ops for line in table.rows)
    return fold(f"{'Matched operators' if matched else 'Operators'} ({table.total.count})", "\n".join(lines))


def _columns(view: View) -> list[TableColumn]:
    return [column for column in view.operators.columns if column.markdown]


def unmatched(view: View) -> str:
    """What has no counterpart, largest first, and how to see what is behind a name; empty where nobody looked."""
    found = view.unmatched
    if found is None:
        return ""
    number = view.unit.number
    lines = []
    if found.entries:
        lines = [table_row("Where", "Only in", "What", view.unit.symbol, "Why"), "|:--|:--|:--|--:|:--|"]
    for entry in found.entries[:_MOST_UNMATCHED]:
        what = code(", ".join(entry.ops), 60)
        where, reason = code(entry.where, 70), escape(entry.reason, 120)
        lines.append(table_row(where, view.names[entry.role], what, number(entry.ns), reason))
    if hidden := found.entries[_MOST_UNMATCHED:]:
        lines.append(table_row(f"other ({len(hidden)})", "", "", number(sum(e.ns for e in hidden)), ""))
    return fold(f"Not matched: {found.sentence(view.names, view.unit)}", "\n".join(lines), EXPLAIN_HINT)


def notes(view: View) -> str:
    """What was ruled out, and how it was measured, folded."""
    lines = [f"- ✓ {escape(f.title)}" for f in view.passed[:_MOST_NOTES]]
    lines += [f"- – {escape(f.title)}: {escape(f.reason)}" for f in view.not_applicable[:_MOST_NOTES]]
    lines += [f"- ✕ {escape(f.title)}: error: {escape(f.reason)}" for f in view.errors[:_MOST_NOTES]]
    facts = (*view.machine, *view.method)[:_MOST_NOTES]
    lines += [f"- {escape(label)}: {escape(value)}" for label, value in facts]
    for name, pairs in view.sides:
        lines += [f"- {name}: " + ", ".join(f"{escape(k, 60)} {escape(v, 100)}" for k, v in pairs[:20])]
    return fold(
        "Checks, environment, method", "\n".join(lines), fence_code(view.command) if view.command else ""
    )
