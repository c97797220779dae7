"""Recipe: add a verify experiment. A dummy is added and taken away again.

A real experiment touches three files:

1. `attrib/verify/experiments/NAME.py` (new): its variants, what each is predicted to save, and `EXPERIMENT`, which
   describes it. A new prediction is built from what `attrib/verify/predict/` has: nodes, bounds, claims of rules.
2. `attrib/verify/experiments/__init__.py`: its row in `EXPERIMENTS`; and one in `GENERAL` if no rule names it.
3. `attrib/findings/rules/GROUP/RULE.py`: its id in `experiments=` of the rule whose finding it proves.

`docs/findings.md` is generated from these: `python docs/rules/generate.py`.
"""

import json

import pytest
from msgspec.structs import replace

from attrib.cli import main
from attrib.findings.registry import RULES
from attrib.verify import experiments
from attrib.verify.baseline import Baseline
from attrib.verify.experiments.change import experiment, variant
from attrib.verify.plan import Request
from attrib.verify.predict.bounds import moving_nodes
from tests.verify.experiments.test_named import find_missing

RULE = "layout-churn"
"""A rule that fails on the sample."""


def dummy_variants(context):
    options = replace(context.options, opset=21)
    return (variant("dummy-21", "Exported in opset 21", options, moving_nodes(context)),)


DUMMY = experiment(
    "dummy", "A dummy", "Exports the model in opset 21.", "onnxruntime", dummy_variants,
    flags="--opset 21", basis="at most the nodes that move data",
)  # fmt: skip


@pytest.fixture
def trace(root):
    return root / "sample_traces/bert-base-uncased"


def listed(trace, capsys):
    assert main.run(["verify", str(trace), "--list", "--json"]) == 0
    return {row["id"]: row for row in json.loads(capsys.readouterr().out)}


def test_dummy_experiment_is_offered_predicted_and_named_by_a_rule_until_it_is_taken_away(trace, capsys):
    with pytest.MonkeyPatch.context() as patch:
        named = tuple(
            replace(rule, experiments=(*rule.experiments, "dummy")) if rule.id == RULE else rule
            for rule in RULES
        )
        patch.setattr("attrib.verify.baseline.RULES", named)
        assert find_missing(named, experiments.EXPERIMENTS) == {"dummy": RULE}
        patch.setattr(experiments, "EXPERIMENTS", (*experiments.EXPERIMENTS, DUMMY))
        assert find_missing(named, experiments.EXPERIMENTS) == {}

        row = listed(trace, capsys)["dummy-21"]
        assert (row["title"], row["applies"], row["asked_by"]) == ("Exported in opset 21", True, RULE)
        assert row["predicted"]["kind"] == "at_most"
        assert row["predicted"]["saving_ns"]["median"] > 0
        planned = {item.id: item for item in Baseline(root=trace).plan(Request())}
        assert planned["dummy-21"].findings == (RULE,)
    assert "dummy-21" not in listed(trace, capsys)
