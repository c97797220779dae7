"""Rooms that a stranger finds his way in: small folders that say what they hold, no circles, one name for one thing."""

import ast
from collections import Counter, defaultdict

import pytest

from tests.project.structure import circles, imports_of, module_name, parsed

MOST_FILES = 25
DOCSTRING_LINES = 5
OF_THEIR_OWN = {"benchmarks", "faults", "fuzz", "gpu", "hostile", "project"}
"""Folders of tests that mirror no package: what they test is all of attrib."""

OPEN = {"attrib", "attrib.cli", "attrib.capture", "attrib.verify"}
"""Packages whose door gives functions and classes to users, or whose modules are found by name."""

LISTED = "attrib.findings.rules."
"""Packages whose modules `attrib.findings.registry` lists: their doors do not list them again."""


@pytest.fixture(scope="module")
def trees(root):
    """The syntax tree of each of attrib's files, by its path."""
    return parsed(root)


def test_no_folder_holds_more_files_than_one_can_look_over(trees):
    files = Counter(path.parent for path in trees)
    assert {str(folder): count for folder, count in files.items() if count > MOST_FILES} == {}


def test_no_modules_import_each_other(root, trees):
    assert circles(root, trees) == []


def test_every_package_says_in_a_few_lines_what_it_holds(trees):
    missing = {path.parent / "__init__.py" for path in trees} - trees.keys()
    assert missing == set()
    lines = {
        str(path): len((ast.get_docstring(tree) or "").splitlines())
        for path, tree in trees.items()
        if path.name == "__init__.py"
    }
    assert {path: count for path, count in lines.items() if not 0 < count <= DOCSTRING_LINES} == {}


def test_no_two_public_classes_share_a_name(trees):
    found = defaultdict(list)
    for path, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(path))
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_tests_of_a_package_are_found_by_its_path(root):
    folders = {path.parent.relative_to(root / "tests") for path in (root / "tests").rglob("test_*.py")}
    mirrors = {folder for folder in folders if folder.parts and folder.parts[0] not in OF_THEIR_OWN}
    assert {
        str(folder) for folder in mirrors if not (root / "attrib" / folder / "__init__.py").exists()
    } == set()


def test_files_that_hold_no_tests_are_not_named_like_tests(root):
    named = [path for name in ("test_*.py", "tests_*.py") for path in (root / "tests").rglob(name)]
    assert named
    assert [str(path) for path in named if "def test_" not in path.read_text()] == []


def test_what_others_import_from_a_package_is_what_its_door_names(root, trees):
    names = {module_name(root, path): tree for path, tree in trees.items()}
    packages = {module_name(root, path) for path in trees if path.name == "__init__.py"}
    wanted = defaultdict(set)
    for importer, tree in names.items():
        texts = {
            n.value.partition(":")[0]
            for n in ast.walk(tree)
            if isinstance(n, ast.Constant) and isinstance(n.value, str)
        }
        for module in {*imports_of(tree, set(names)), *texts} & set(names) - packages:
            package, _, name = module.rpartition(".")
            if (
                package not in ("attrib", "")
                and importer != package
                and not importer.startswith(f"{package}.")
            ):
                wanted[package].add(name)
    doors = {package: set(exported_by(names[package])) for package in packages}
    inner = {
        package: {name for name in doors[package] if f"{package}.{name}" in names} for package in packages
    }
    wrong = {
        package: (sorted(wanted[package] - doors[package]), sorted(inner[package] - wanted[package]))
        for package in packages
    }
    closed = {package for package in packages - OPEN if not package.startswith(LISTED)}
    assert {package: wrong[package] for package in closed if any(wrong[package])} == {}


def exported_by(tree):
    """The names in a module's `__all__`."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []
