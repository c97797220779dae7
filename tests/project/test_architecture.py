"""The map of the code is true: what docs/architecture.md names exists, and its recipes are as short as they say."""

import ast
import re

import pytest

MOST_FILES = 3
RECIPES = 6


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs/architecture.md").read_text()


@pytest.fixture(scope="module")
def recipes(page):
    """The cells of each recipe's row."""
    return re.findall(r"^\| (\*\*an? .*?\*\*) \| (.*) \| (.*) \|$", page, re.MULTILINE)


def names_in(path):
    """What a module defines at its top level, and the methods of its classes as `Class.method`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)
            )
        if isinstance(node, ast.Assign):
            yield from (target.id for target in node.targets if isinstance(target, ast.Name))
        if isinstance(node, ast.AnnAssign):
            yield node.target.id


def test_every_name_on_the_page_exists(root, page):
    found = re.findall(r"`(attrib/[\w/]+\.py):([\w.]+)`", page)
    assert len(found) > 15
    missing = [f"{path}:{name}" for path, name in found if name not in set(names_in(root / path))]
    assert missing == []


def test_every_file_on_the_page_exists(root, page):
    paths = set(re.findall(r"`((?:attrib|tests)/[\w/.]+\.py)", page))
    assert len(paths) > 20
    assert [path for path in sorted(paths) if not (root / path).is_file()] == []


def test_every_folder_has_its_question(root, page):
    folders = {path.name for path in (root / "attrib").iterdir() if (path / "__init__.py").is_file()}
    asked = set(re.findall(r"^\| `(\w+)/` \|", page, re.MULTILINE))
    assert asked == folders


def test_what_a_recipe_tells_to_write_is_a_name_in_its_files(root, recipes):
    for what, touched, _ in recipes:
        paths = re.findall(r"`(attrib/[^`]*\.py)`", touched)
        files = [file for path in paths for file in root.glob(re.sub(r"<\w+>", "*", path))]
        texts = "\n".join(file.read_text() for file in files)
        names = re.findall(r"`(\w+)`", touched)
        assert [name for name in names if not re.search(rf"\b{name}\b", texts)] == [], what


def test_a_recipe_touches_at_most_three_files_and_has_its_test(root, recipes):
    assert len(recipes) == RECIPES
    for what, touched, proof in recipes:
        assert 1 <= len(re.findall(r"`attrib/[^`]*\.py`", touched)) <= MOST_FILES, what
        (test,) = re.findall(r"`(tests/[\w/]+\.py)`", proof)
        assert "def test_" in (root / test).read_text(), what
