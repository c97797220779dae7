"""The recipe "add a column of the operator table", proven by adding one and taking it away.

Files to touch:

1. attrib/report/view/operators.py: one `TableColumn` in `COLUMNS`: its heading, what it shows of a row and of a sum,
   how it is aligned and sorted, its width, and how many characters it gets in Markdown.
2. tests/report/view/test_view.py: what the column says.

Nothing else changes by hand: the head, the cells of lines and of rows, the sums, the alignment and the sorting of the
page, and the table in Markdown, follow from the declaration. The terminal shows no
operator table. The golden reports are made again by `python reports/regenerate.py`.
"""

import re

import pytest

from attrib.report.html.page import to_html
from attrib.report.markdown.summary import to_markdown
from attrib.report.view import operators
from attrib.report.view.operators import Cell, TableColumn
from attrib.report.view.view import view_of
from tests.report.factory import document
from tests.report.html.test_page import packed_rows

RATIO = TableColumn(
    key="ratio",
    title="{onnxruntime} per {torch}",
    cell=lambda item, _: Cell(
        text=f"{item.row.onnxruntime_ns / item.row.torch_ns:.2f}×" if item.row.torch_ns else "<none>",
        remark="odd" if not item.row.torch_ns else "",
    ),
    figure=True,
    width=7,
    total=lambda sums, _: f"{sums.onnxruntime_ns / sums.torch_ns:.2f}×",
    markdown=20,
)


@pytest.fixture
def with_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "COLUMNS", (*operators.COLUMNS, RATIO))


def page() -> str:
    whole = to_html(document(), interactive=False).decode()
    return whole[whole.index("<style>") : whole.index('<section id="unmatched"')]


def table(text: str) -> str:
    return text[text.index('id="rows"') :]


@pytest.mark.usefixtures("with_ratio")
def test_a_declared_column_has_its_head_its_cells_and_its_sum_in_the_page():
    made, rows = table(page()), view_of(document()).operators
    assert '<th scope="col" class="n">ONNX Runtime per PyTorch</th></tr></thead>' in made
    body = made[made.index("<tbody>") : made.index("</tbody>")]
    cells = [line.rpartition("<td>")[2].removesuffix("</td></tr>") for line in body.splitlines()[1:]]
    assert len(cells) == len(rows.lines)
    first = rows.lines[0].row
    assert cells[0] == f"{first.onnxruntime_ns / first.torch_ns:.2f}×"
    assert '&lt;none&gt; <span class="noise">odd</span>' in cells
    single = rows.rows[0].row
    last = packed_rows(to_html(document(), interactive=False))[0][3][-1]
    assert last == f"{single.onnxruntime_ns / single.torch_ns:.2f}×", (
        "the rows that the script opens have it too"
    )
    whole = view_of(document()).operators.total
    assert f"<td>{whole.onnxruntime_ns / whole.torch_ns:.2f}×</td></tr>\n</tfoot>" in made


@pytest.mark.usefixtures("with_ratio")
def test_a_declared_column_is_aligned_by_the_style_of_the_page_and_allowed_by_its_policy():
    number = len(operators.COLUMNS)
    assert f"#rows td:nth-child({number}) {{ text-align: right; white-space: nowrap; }}" in page()
    assert f"#rows thead th:nth-child({number}) {{ width: 7%; }}" in page()


@pytest.mark.usefixtures("with_ratio")
def test_a_declared_column_is_in_the_markdown():
    lines = to_markdown(document()).splitlines()
    head = next(line for line in lines if line.startswith("| Where | Cause"))
    assert head.endswith("| ONNX Runtime per PyTorch |")
    body = lines[lines.index(head) + 2 :]
    assert re.search(r"\| \d+\.\d\d× \|$", body[0])
    total = next(line for line in body if line.startswith("| **Sum**"))
    assert re.search(r"\| \*\*\d+\.\d\d×\*\* \|$", total)


def test_without_its_declaration_nothing_of_it_is_left():
    assert "per PyTorch" not in page()
    assert "per PyTorch" not in to_markdown(document())
    last = operators.COLUMNS[-1].heading(view_of(document()).names)
    assert f"{last}</th></tr></thead>" in table(page())
