"""Pages that are generated from the rules: up to date, linked, and each rule shown by tests that fire and pass."""

import re
import sys
import textwrap
from pathlib import Path

import pytest

from attrib.cli import profile
from attrib.findings.registry import RULES
from attrib.rewrite.registry import REWRITES
from attrib.verify.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="module")
def generate():
    sys.path.insert(0, str(ROOT / "docs" / "rules"))
    try:
        import generate
    finally:
        sys.path.pop(0)
    return generate


@pytest.fixture(scope="module")
def shown(generate):
    return generate.proofs(ROOT / "tests")


@pytest.fixture(scope="module")
def made(generate):
    return generate.pages()


def test_the_committed_pages_are_what_the_generator_writes(generate, made):
    for path, text in made.items():
        committed = ROOT / path
        assert committed.is_file(), f"run `{generate.COMMAND}`"
        assert committed.read_text(encoding="utf-8") == text, f"{path}: run `{generate.COMMAND}`"
    pages = {path.relative_to(ROOT) for path in (ROOT / generate.RULES).glob("*.md")}
    assert pages == set(made) - {generate.FINDINGS}, f"pages of rules that are gone: run `{generate.COMMAND}`"


def test_every_rule_and_every_experiment_is_in_the_table(generate, made):
    text = made[generate.FINDINGS]
    for rule in RULES:
        assert f"| [{rule.id}](rules/{rule.id}.md) |" in text
    for experiment in EXPERIMENTS:
        assert f"| `{experiment.id}` |" in text


def test_every_experiment_names_flags_that_exist_and_what_its_prediction_rests_on():
    known = {option for parameter in profile.command.params for option in parameter.opts}
    for experiment in EXPERIMENTS:
        flags = re.findall(r"--[a-z-]+", experiment.flags)
        assert flags, experiment.id
        assert set(flags) <= known, experiment.id
        assert set(re.findall(r"--optimize ([a-z0-9-]+)", experiment.flags)) <= set(REWRITES), experiment.id
        assert experiment.basis, experiment.id


@pytest.mark.parametrize("outcome", ["fires", "passes"])
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_is_shown_to_fire_and_to_pass(shown, rule, outcome):
    assert shown.get((rule.id, outcome)), f'no test is marked `@pytest.mark.rule("{rule.id}", "{outcome}")`'


def test_marks_name_rules_that_exist(shown):
    known = {rule.id for rule in RULES}
    for rule, outcome in shown:
        assert rule in known
        assert outcome in {"fires", "passes"}


def test_marks_are_read_without_importing_a_test(generate, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    (tmp_path / "test_one.py").write_text(
        textwrap.dedent("""
        raise SystemExit("imported")

        @pytest.mark.rule("a-rule", "fires")
        @pytest.mark.rule("another", "passes")
        def test_one(): ...

        @pytest.mark.parametrize("x", [pytest.param(1, marks=pytest.mark.rule("a-rule", "passes"))])
        def test_two(x): ...

        def test_unmarked(): ...
        """)
    )
    found = generate.proofs(tmp_path)
    assert {key: [proof.name for proof in tests] for key, tests in found.items()} == {
        ("a-rule", "fires"): ["test_one"],
        ("another", "passes"): ["test_one"],
        ("a-rule", "passes"): ["test_two"],
    }


def test_tables_hold_no_broken_cell(made):
    for path, text in made.items():
        heads = 0
        for line in text.splitlines():
            if line.startswith("|"):
                bars = len(re.findall(r"(?<!\\)\|", line))
                heads = heads or bars
                assert bars == heads, f"{path}: {line[:80]}"
            else:
                heads = 0


@pytest.mark.parametrize(
    "page", [*sorted(ROOT.glob("docs/**/*.md")), ROOT / "README.md"], ids=lambda p: p.name
)
def test_links_between_documents_lead_somewhere(page):
    text = re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))
    for target in LINK.findall(text):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), target


def test_pages_of_rules_that_are_gone_are_removed(generate, tmp_path):
    (tmp_path / generate.RULES).mkdir(parents=True)
    (tmp_path / generate.RULES / "gone.md").write_text("old")
    page = generate.RULES / "new.md"
    assert generate.write({page: "new"}, tmp_path) == [page]
    assert [path.name for path in (tmp_path / generate.RULES).iterdir()] == ["new.md"]
