"""Compiled templates are kept beside Python's own compiled files, and never trusted against the text."""

import sys
from pathlib import Path

import jinja2
import pytest

from attrib.report.html.filters import CompiledTemplates


@pytest.fixture(autouse=True)
def writing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.setattr(sys, "pycache_prefix", None)


def rendered(text: str, folder: Path) -> str:
    made = jinja2.Environment(
        loader=jinja2.DictLoader({"a": text}), bytecode_cache=CompiledTemplates(folder), autoescape=True
    )
    return made.get_template("a").render()


def kept(folder: Path) -> list[Path]:
    return sorted((folder / "__pycache__").glob("*")) if (folder / "__pycache__").is_dir() else []


def test_a_template_is_kept_and_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rendered("one", tmp_path) == "one"
    assert len(kept(tmp_path)) == 1
    monkeypatch.setattr(jinja2.Environment, "compile", lambda *_a, **_k: pytest.fail("compiled again"))
    assert rendered("one", tmp_path) == "one"


def test_a_changed_template_is_compiled_anew(tmp_path: Path) -> None:
    assert rendered("one", tmp_path) == "one"
    assert rendered("two", tmp_path) == "two"
    assert len(kept(tmp_path)) == 1


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_file_is_compiled_anew(tmp_path: Path, damage: bytes | None) -> None:
    rendered("one", tmp_path)
    (path,) = kept(tmp_path)
    path.write_bytes(path.read_bytes()[:-5] if damage is None else damage)
    assert rendered("one", tmp_path) == "one"


def test_nothing_is_written_where_python_may_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert rendered("one", tmp_path) == "one"
    assert kept(tmp_path) == []


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").write_text("in the way")
    assert rendered("one", tmp_path) == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["__pycache__"]
