"""A diff as one HTML page that opens from disk, offline, and has no script."""

from attrib.model.diff import Diff
from attrib.report.html.embed import policy
from attrib.report.html.filters import environment
from attrib.report.html.page import static_text
from attrib.report.view.diff import diff_view


def diff_to_html(diff: Diff) -> bytes:
    """The diff as one self-contained page, the same bytes for the same diff."""
    style = static_text("report.css") + static_text("diff.css")
    template = environment().get_template("diff.html.j2")
    return template.render(view=diff_view(diff), style=style, csp=policy(scripts=(), styles=[style])).encode()
