"""The report as Markdown for a pull request: verdict first, one table, details folded, bounded in bytes."""

from collections.abc import Sequence

from attrib.model.document import CAUSES, CauseRow, Document, Gap
from attrib.report.markdown.experiments import experiments, finding_results
from attrib.report.markdown.text import code, escaped, fenced, summary
from attrib.report.view.text import EXPLAIN_HINT, counted, plural
from attrib.report.view.verdict import AlertLine
from attrib.report.view.view import FindingView, View, view_of

BYTE_LIMIT = 60_000
"""GitHub refuses comments above 65,536 characters; the rest is room for what a bot puts around."""

_UNMATCHED_ROWS = 20


def to_markdown(document: Document, *, limit_bytes: int = BYTE_LIMIT) -> str:
    """The report as GitHub-flavoured Markdown.

    Args:
        document: What to show.
        limit_bytes: UTF-8 bytes of the result; operator rows go first, then findings, then small causes. The verdict
            and the row of sums always stay.
    """
    view = view_of(document)
    head = _head(view)
    blocks = [_finding(item) for item in view.findings]
    rows = [_operator(view, number) for number in range(len(view.operators.rows))]
    notes, left = _notes(view), _unmatched(view)
    tried = experiments(view)
    causes = len(view.causes)
    while True:
        text = _joined(
            head,
            _causes(view, causes),
            [*blocks, tried if notes else ""],
            _operators(view, rows),
            left if notes else "",
            notes,
        )
        excess = len(text.encode()) - limit_bytes
        if excess <= 0 or not (rows or blocks or notes or causes):
            return text
        rows, blocks, notes, causes = _less(rows, blocks, notes, causes)


def _less(
    rows: list[str], blocks: list[str], notes: str, causes: int
) -> tuple[list[str], list[str], str, int]:
    """Give up the next least important part: half of the rows at a time, then findings from the last."""
    if rows:
        return rows[: len(rows) // 2], blocks, notes, causes
    if notes:
        return rows, blocks, "", causes
    if blocks:
        return rows, blocks[:-1], notes, causes
    return rows, blocks, notes, causes - 1


def _joined(head: str, causes: str, blocks: Sequence[str], operators: str, left: str, notes: str) -> str:
    return "\n\n".join(part for part in (head, causes, *blocks, operators, left, notes) if part) + "\n"


def _head(view: View) -> str:
    lines = [
        f"**{escaped(view.verdict.lead)}**"
        + (f": {escaped(view.verdict.figures)}" if view.verdict.figures else "")
    ]
    if view.verdict.note:
        lines.append(escaped(view.verdict.note))
    for alert in view.alerts:
        mark = {"error": "❌", "warning": "⚠️", "note": "ℹ️"}[alert.level]
        lines.append(f"{mark} **{escaped(alert.title)}**\n\n" + "\n".join(map(_case, alert.lines[:10])))
    if view.gaps:
        lines.append("ℹ️ **Evidence that was not recorded**\n\n" + "\n".join(map(_gap, view.gaps[:10])))
    lines.append(f"{code(view.title)} · " + " · ".join(escaped(part, 80) for part in view.subtitle[:12]))
    return "\n\n".join(lines)


def _case(line: AlertLine) -> str:
    fix = f"to fix it: {line.fix}" if line.fix else ""
    return "- " + ". ".join(escaped(part) for part in (line.text, line.effect, fix) if part)


def _gap(gap: Gap) -> str:
    return f"- {escaped(gap.what)}: {escaped(gap.cost)}. To record it: {escaped(gap.how)}"


def _causes(view: View, shown: int) -> str:
    if not view.causes:
        return ""
    lines = [
        f"| Cause | {view.names['torch']} | {view.names['onnxruntime']} | Δ {view.unit.symbol} | 95 % interval |",
        "|:--|--:|--:|--:|--:|",
    ]
    lines += [_cause(view, cause) for cause in view.causes[:shown]]
    hidden = view.causes[shown:]
    if hidden:
        lines.append(_sum_row(view, f"other ({plural(len(hidden), 'cause')})", hidden, ""))
    lines.append(_sum_row(view, "**Sum**", view.causes, "**"))
    reached = f"\n\n{escaped(view.roofline.line)}." if view.roofline and view.roofline.line else ""
    return "\n".join(lines) + reached


def _cause(view: View, cause: CauseRow) -> str:
    number = view.unit.number
    sign = "▲" if cause.delta_ns > 0 else "▼"
    interval = f"{number(cause.low_ns, sign=True)} to {number(cause.high_ns, sign=True)}"
    noise = " (noise)" if cause.low_ns <= 0 <= cause.high_ns else ""
    return (
        f"| {sign} {CAUSES[cause.cause].title} | {number(cause.torch_ns)} | {number(cause.onnxruntime_ns)} "
        f"| {number(cause.delta_ns, sign=True)} | {interval}{noise} |"
    )


def _sum_row(view: View, label: str, causes: Sequence[CauseRow], bold: str) -> str:
    torch, ort, delta = (
        sum(getattr(c, name) for c in causes) for name in ("torch_ns", "onnxruntime_ns", "delta_ns")
    )
    number = view.unit.number
    return f"| {label} | {number(torch)} | {number(ort)} | {bold}{number(delta, sign=True)}{bold} | |"


def _finding(item: FindingView) -> str:
    finding = item.finding
    sign = {"slower": "▲", "faster": "▼", "same": "●"}[item.tone]
    gain = f" ({item.gain.text})" if item.gain else ""
    parts = [
        f"<details><summary>{sign} <b>{summary(finding.title)}</b>{gain}</summary>",
        escaped(finding.summary, 1000),
    ]
    parts.append("\n".join(f"- {escaped(piece.text)}" for piece in finding.evidence[:10]))
    if finding.fix:
        parts.append(f"**What to do:** {escaped(finding.fix, 2000)}")
    parts.append(finding_results(item))
    return "\n\n".join(part for part in (*parts, "</details>") if part)


def _operators(view: View, rows: list[str]) -> str:
    if not rows:
        return ""
    hidden = view.operators.count - len(rows)
    lines = [
        f"<details><summary>Matched operators ({view.operators.count})</summary>",
        "",
        f"| Where | Cause | {view.names['torch']} | {view.names['onnxruntime']} | Δ {view.unit.symbol} | Match |",
        "|:--|:--|:--|:--|--:|:--|",
        *rows,
    ]
    if hidden:
        rest = view.operators.delta_ns - sum(item.row.delta_ns for item in view.operators.rows[: len(rows)])
        lines.append(f"| other ({plural(hidden, 'row')}) | | | | {view.unit.number(rest, sign=True)} | |")
    total = view.unit.number(view.operators.delta_ns, sign=True)
    return "\n".join([*lines, f"| **Sum** | | | | **{total}** | |", "", "</details>"])


def _operator(view: View, number: int) -> str:
    row = view.operators.rows[number].row
    match = (
        row.match.method if row.match.method == "none" else f"{row.match.method} {row.match.confidence:.0%}"
    )
    calls, nodes = (", ".join(counted(ops)) for ops in (row.torch_ops, row.onnx_ops))
    delta = view.unit.number(row.delta_ns, sign=True)
    cells = (code(row.region, 70), CAUSES[row.cause].title, code(calls, 60), code(nodes, 60), delta, match)
    return f"| {' | '.join(cells)} |"


def _unmatched(view: View) -> str:
    """What has no counterpart, largest first, and how to see what is behind a name."""
    found = view.unmatched
    if found is None:
        return ""
    number = view.unit.number
    lines = [f"<details><summary>Not matched: {found.sentence(view.names, view.unit)}</summary>", ""]
    if found.entries:
        lines += [f"| Where | Only in | What | {view.unit.symbol} | Why |", "|:--|:--|:--|--:|:--|"]
    for entry in found.entries[:_UNMATCHED_ROWS]:
        cells = (
            code(entry.where, 70),
            view.names[entry.role],
            code(", ".join(entry.ops), 60),
            number(entry.ns),
        )
        lines.append(f"| {' | '.join(cells)} | {escaped(entry.reason, 120)} |")
    if hidden := found.entries[_UNMATCHED_ROWS:]:
        lines.append(f"| other ({len(hidden)}) | | | {number(sum(e.ns for e in hidden))} | |")
    return "\n".join([*lines, "", EXPLAIN_HINT, "", "</details>"])


def _notes(view: View) -> str:
    """What was ruled out, and how it was measured."""
    lines = [f"- ✓ {escaped(f.title)}" for f in view.passed[:30]]
    lines += [f"- – {escaped(f.title)}: {escaped(f.reason)}" for f in view.not_applicable[:30]]
    lines += [f"- ✕ {escaped(f.title)}: error: {escaped(f.reason)}" for f in view.errors[:30]]
    lines += [f"- {escaped(label)}: {escaped(value)}" for label, value in (*view.machine, *view.method)[:30]]
    for name, facts in view.sides:
        lines += [f"- {name}: " + ", ".join(f"{escaped(k, 60)} {escaped(v, 100)}" for k, v in facts[:20])]
    command = f"\n\n{fenced(view.command)}" if view.command else ""
    return (
        "<details><summary>Checks, environment, method</summary>\n\n"
        + "\n".join(lines)
        + command
        + "\n\n</details>"
    )
