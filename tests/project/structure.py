"""The shape of the code in figures, of one checkout or of two side by side.

    python tests/project/structure.py              # this checkout
    python tests/project/structure.py REVISION     # that revision beside this checkout

Figures are read from the source (`ast`), except the last two: `attrib report` is run on the BERT-base sample, and the
files of attrib in which a function runs before the ledger is built are counted.
"""

import argparse
import ast
import os
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEDGER = ("build_ledger", "plain_ledger")

TRACE = """
import inspect, sys
root, sample, page, ledger = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4].split(",")
entered, built = set(), False
def watch(frame, event, _):
    global built
    code = frame.f_code
    if event == "return" and code.co_name in ledger:
        built = True
    elif event == "call" and not built and code.co_flags & inspect.CO_OPTIMIZED and code.co_filename.startswith(root):
        entered.add(code.co_filename)
from attrib.cli.main import run
sys.setprofile(watch)
run(["report", sample, "-o", page])
sys.setprofile(None)
print(len(entered), sum(sum(1 for _ in open(file)) for file in entered))
"""


def figures(root: Path) -> dict[str, str]:
    """The figures of one checkout, by what they say."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((root / "attrib").rglob("*.py"))}
    trees = parsed(root)
    lengths = sorted(
        node.end_lineno - node.lineno + 1
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    once = sum(map(_used_once, sources.values()))
    folders = Counter(str(path.parent.relative_to(root)) for path in sources)
    importers = _importers(root, trees)
    files, lines = _entered(root)
    return {
        "files": f"{len(sources):,}",
        "lines": f"{sum(text.count(chr(10)) for text in sources.values()):,}",
        "functions": f"{len(lengths):,}",
        "lines of a function, median": f"{statistics.median(lengths):.0f}",
        "lines of a function, 95th percentile": f"{lengths[int(0.95 * (len(lengths) - 1))]}",
        "lines of the longest function": f"{lengths[-1]}",
        "private functions used once": f"{once} ({100 * once / len(lengths):.0f} %)",
        "modules with one importer": f"{sum(len(found) == 1 for found in importers.values())}",
        "folders": f"{len(folders)}",
        "files in the fullest folder": "{1} ({0})".format(*folders.most_common(1)[0]),
        "circles of modules": f"{len(circles(root, trees))}",
        "files entered before the ledger is built": files,
        "their lines": lines,
    }


def parsed(root: Path) -> dict[Path, ast.Module]:
    """The syntax tree of each of attrib's files."""
    return {path: ast.parse(path.read_bytes()) for path in sorted((root / "attrib").rglob("*.py"))}


def imports_of(tree: ast.Module, known: set[str]) -> Iterator[str]:
    """Modules of attrib that a module imports, wherever in it; those that only a type checker sees too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def module_name(root: Path, path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(root: Path, trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    names = {module_name(root, path): tree for path, tree in trees.items()}
    return {name: set(imports_of(tree, set(names))) & set(names) - {name} for name, tree in names.items()}


def _importers(root: Path, trees: dict[Path, ast.Module]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, imported in _imports(root, trees).items():
        for module in imported:
            found[module].add(name)
    return found


def circles(root: Path, trees: dict[Path, ast.Module]) -> list[set[str]]:
    """Sets of modules that import each other, directly or through others."""
    graph = _imports(root, trees)
    reached = {name: _reached(graph, name) for name in graph}
    together = {frozenset(b for b in reached[a] if a in reached[b]) for a in graph}
    return [set(circle) for circle in together if len(circle) > 1]


def _reached(graph: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph[name]
    return found


def _used_once(text: str) -> int:
    private = re.findall(r"^ *def (_[a-z]\w*)", text, re.MULTILINE)
    return sum(len(re.findall(rf"\b{name}\b", text)) == 2 for name in private)


def _entered(root: Path) -> tuple[str, str]:
    sample = root / "sample_traces" / "bert-base-uncased"
    with tempfile.TemporaryDirectory() as folder:
        argv = [f"{root}/attrib/", str(sample), f"{folder}/report.html", ",".join(LEDGER)]
        done = subprocess.run(
            [sys.executable, "-c", TRACE, *argv],
            check=True, capture_output=True, text=True, cwd=folder, env=os.environ | {"PYTHONPATH": str(root)},
        )  # fmt: skip
    files, lines = done.stdout.splitlines()[-1].split()
    return f"{int(files):,}", f"{int(lines):,}"


def checkout(revision: str, folder: Path) -> Path:
    """A revision's files, in a folder."""
    packed = subprocess.run(["git", "archive", revision], cwd=ROOT, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        folder.mkdir(parents=True, exist_ok=True)
        archive.extractall(folder, filter="data")
    return folder


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("revision", nargs="?", help="what to compare this checkout with")
    revision = parser.parse_args().revision
    with tempfile.TemporaryDirectory() as folder:
        before = figures(checkout(revision, Path(folder))) if revision else {}
        after = figures(ROOT)
    for what, value in after.items():
        sys.stdout.write(f"{what:44} {before.get(what, ''):>30} {value:>44}\n")


if __name__ == "__main__":
    main()
