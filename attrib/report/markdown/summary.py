"""The report as Markdown for a pull request: verdict first, one table, details folded, bounded in bytes."""

from attrib.model.document import Document
from attrib.report.markdown import sections
from attrib.report.markdown.experiments import experiments
from attrib.report.view.view import view_of

BYTE_LIMIT = 60_000
"""GitHub refuses comments above 65,536 characters; the rest is room for what a bot puts around."""


def to_markdown(document: Document, *, limit_bytes: int = BYTE_LIMIT) -> str:
    """The report as GitHub-flavored Markdown.

    Args:
        document: What to show.
        limit_bytes: UTF-8 bytes of the result; lines of the operator table go first, then notes, findings and small
            causes. The verdict and the row of sums always stay.
    """
    view = view_of(document)
    head = sections.headline(view)
    findings = [sections.finding(item) for item in view.findings]
    rows = [sections.operator_row(view, item) for item in view.operators.lines]
    tried, unmatched, notes = experiments(view), sections.unmatched(view), sections.notes(view)
    causes, breakdowns = len(view.causes), sections.breakdowns(view)
    while True:
        parts = (
            head,
            sections.cause_table(view, causes),
            breakdowns,
            *findings,
            tried,
            sections.operator_table(view, rows),
            unmatched,
            notes,
        )
        text = "\n\n".join(part for part in parts if part) + "\n"
        if len(text.encode()) <= limit_bytes or not (rows or findings or notes or causes):
            return text
        # The least important goes first: half of the lines at a time, then findings from the last.
        if rows:
            rows = rows[: len(rows) // 2]
        elif notes:
            tried = unmatched = notes = breakdowns = ""
        elif findings:
            findings.pop()
        else:
            causes -= 1
