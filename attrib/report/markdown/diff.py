"""A diff as Markdown for a pull request: the sentence first, what is not the same, tables, bounded in bytes."""

from attrib.model.diff import Diff
from attrib.report.markdown.changes import changes_table
from attrib.report.markdown.summary import BYTE_LIMIT
from attrib.report.markdown.text import code, escape, fold, table_row
from attrib.report.view.diff import MOST_ROWS, DiffView, diff_view


def diff_to_markdown(diff: Diff, *, limit_bytes: int = BYTE_LIMIT) -> str:
    """The diff as GitHub-flavored Markdown.

    Args:
        diff: What to show.
        limit_bytes: UTF-8 bytes of the result; rows of work go first, into the row that sums the others.
    """
    most = MOST_ROWS
    while True:
        view = diff_view(diff, most_rows=most)
        text = "\n\n".join(part for part in _parts(view) if part) + "\n"
        if len(text.encode()) <= limit_bytes or not most:
            return text
        most //= 2


def _parts(view: DiffView) -> list[str]:
    first, second = view.names
    return [
        f"**{escape(view.sentence, 800)}**",
        escape(view.figures, 800),
        "\n".join(f"- {escape(text)}" for text in view.remarks),
        f"{code(view.title)} · before: {code(first)} · after: {code(second)}",
        _conditions(view),
        changes_table("Cause", view.unit, view.causes),
        fold("By work", changes_table("Work", view.unit, view.work, details=True)) if view.work else "",
        _findings(view),
    ]


def _conditions(view: DiffView) -> str:
    rows = [
        table_row(title, escape(one.what), code(one.before) or "none", code(one.after) or "none")
        for title, conditions in view.conditions
        for one in conditions
    ]
    if not rows:
        return ""
    more = f"\n\nand {view.more_conditions} more" if view.more_conditions else ""
    return (
        "\n".join((table_row("", "What is not the same", "Before", "After"), "|:--|:--|:--|:--|", *rows))
        + more
    )


def _findings(view: DiffView) -> str:
    return "\n".join(
        f"- {line.kind}: {escape(line.title)}" + (f" ({escape(line.figures)})" if line.figures else "")
        for line in view.findings
    )
