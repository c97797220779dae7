"""The notebook of the documents: what its format asks for, nothing of the machine that wrote it, and that its cells run."""

import json
import re
import subprocess
import sys

import pytest

NOTEBOOK = "docs/notebook.ipynb"

RUN = """
import ast, json, sys

names = {}
for cell in json.load(open(sys.argv[1], encoding="utf-8"))["cells"]:
    if cell["cell_type"] != "code":
        continue
    body = ast.parse("".join(cell["source"])).body
    shown = body.pop() if isinstance(body[-1], ast.Expr) else None
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    if shown is not None:
        value = eval(compile(ast.Expression(shown.value), "cell", "eval"), names)
        html = getattr(value, "_repr_html_", None)
        print("RESULT", json.dumps(html()[:60] if html else repr(value)))
"""
"""Runs the cells in one namespace, and shows the last expression of each as a notebook would."""


@pytest.fixture(scope="module")
def notebook(root):
    return json.loads((root / NOTEBOOK).read_text())


def test_it_has_what_version_4_of_the_format_asks_for_and_no_results(notebook):
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert set(notebook) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) for name in ids)
    for cell in notebook["cells"]:
        assert all(isinstance(line, str) for line in cell["source"])
        assert cell["metadata"] == {}
        result = {"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {}
        assert set(cell) == {"cell_type", "id", "metadata", "source", *result}
        assert {name: cell[name] for name in result} == result


def test_the_readmes_lead_to_it(root):
    assert f"]({NOTEBOOK})" in (root / "README.md").read_text()
    assert "](notebook.ipynb)" in (root / "docs/README.md").read_text()


@pytest.mark.engines
@pytest.mark.slow
def test_its_cells_run_one_after_the_other(root, tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", RUN, root / NOTEBOOK],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    shown = [
        json.loads(line.removeprefix("RESULT "))
        for line in result.stdout.splitlines()
        if line.startswith("RESULT ")
    ]
    assert sum("<attrib.Analysis of traces: " in text for text in shown) == 1
    assert sum(text.startswith('<iframe sandbox="" ') for text in shown) == 1
    assert any("'kernel'" in text for text in shown)
    assert shown[-1] == "True"
    assert list(tmp_path.iterdir()) == []
