"""The recipe "add a finding rule", followed by a rule that exists in this test only.

A real rule touches three files:

1. `attrib/findings/rules/<folder>/<id_with_underscores>.py`: `audit`, a pure function from `Evidence` to `RuleResult`, and
   `RULE`, its texts. What another rule needs as well goes to `attrib/findings/evidence/`.
2. `attrib/findings/registry.py`: its import and its row in `RULES`, at the place where it shall run.
3. `tests/findings/rules/<folder>/`: tests marked `@pytest.mark.rule(ID, "fires")` and `@pytest.mark.rule(ID, "passes")`.

Everything else follows from these: the order and the heading in `attrib rules`, its JSON, the place in the report, and
docs/findings.md with the page of the rule, which `python docs/rules/generate.py` writes.
"""

import json

import pytest
from click.testing import CliRunner

from attrib.cli.rules import command
from attrib.findings import registry
from attrib.findings.evidence.ledger_queries import both_times, ids, nodes_of, op_of, rows_of
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.findings.runner import run
from attrib.wording import counted
from tests.findings.evidence_factory import MS, evidence, row


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the Tile nodes that only ONNX Runtime runs."""
    rows = tuple(
        row
        for row in rows_of(evidence, "extra_work")
        if {op_of(evidence, "onnxruntime", name) for name in row.onnx_nodes} == {"Tile"}
    )
    return RuleResult(
        failed=bool(rows),
        rows=ids(rows),
        detail=counted(len(nodes_of(rows)), "Tile node"),
        summary=f"Repeating tensors takes {both_times(rows)}.",
        fix="Let the operator that reads them broadcast.",
    )


audit.__module__ = "attrib.findings.rules.graph.tiled_tensors"  # the file in which a real one lies

RULE = Rule(
    id="tiled-tensors",
    passed="No measurable time goes into repeating tensors",
    failed="{} repeat what could be broadcast",
    example="2 Tile nodes",
    about="A Tile writes a tensor several times where the operator behind it could broadcast it. The rule adds up the"
    " ledger rows in which only ONNX Runtime works, and only on such nodes.",
    cause="extra_work",
    needs=("delta", "partitions"),
    direction="slower",
    audit=audit,
    catalog=("C14",),
    unproved="No rewrite takes Tile nodes out.",
)


@pytest.fixture
def rules(monkeypatch):
    """Every rule and the new one, which is taken away after the test."""
    monkeypatch.setattr(registry, "RULES", (*registry.RULES, RULE))
    return registry.RULES


def judged(rules, given):
    return next(finding for finding in run(given, rules) if finding.id == RULE.id)


def tiles(ort_ns):
    return row("extra_work", 0, ort_ns, nodes=[("tile 0", "Tile"), ("tile 1", "Tile")])


def test_it_fires_on_rows_that_cost_time(rules):
    found = judged(rules, evidence(tiles(6 * MS)))
    assert (found.state, found.title) == ("failed", "2 Tile nodes repeat what could be broadcast")
    assert (found.explains_ns, found.saving_ns) == (6 * MS, 6 * MS)
    assert found.fix == "Let the operator that reads them broadcast."


def test_it_passes_without_such_rows_and_where_they_cost_nothing(rules):
    for given in (evidence(row("kernel", MS, 2 * MS)), evidence(tiles(1))):
        found = judged(rules, given)
        assert (found.state, found.title) == ("passed", RULE.passed)


def test_it_is_not_applicable_without_what_it_needs(rules):
    found = judged(rules, evidence(tiles(6 * MS), partitions={}))
    assert found.state == "not_applicable"
    assert "needs profiled steps of both engines" in found.reason


def test_attrib_rules_lists_and_explains_it_under_the_heading_of_its_folder(rules):
    (text,) = json.loads(CliRunner().invoke(command, ["tiled-tensors", "--json"]).stdout)
    assert (text["id"], text["group"]) == ("tiled-tensors", "Graph")
    assert "tiled-tensors" in CliRunner().invoke(command).stdout
    assert "A Tile writes a tensor" in CliRunner().invoke(command, ["tiled-tensors"]).stdout


def test_it_is_gone_again():
    assert RULE not in registry.RULES
    assert CliRunner().invoke(command, ["tiled-tensors"]).exit_code != 0
