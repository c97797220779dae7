"""Rules and experiments know each other: every rule can be proved or says why not, every experiment proves something."""

from attrib.findings.registry import RULES
from attrib.verify.experiments import EXPERIMENTS, GENERAL

IDS = {experiment.id for experiment in EXPERIMENTS}
NAMED = {name for rule in RULES for name in rule.experiments}


def find_missing(rules, experiments):
    """Experiments that rules name and that there are not, with the rule."""
    known = {experiment.id for experiment in experiments}
    return {name: rule.id for rule in rules for name in rule.experiments if name not in known}


def test_every_experiment_that_a_rule_names_exists():
    assert find_missing(RULES, EXPERIMENTS) == {}


def test_every_experiment_proves_a_rule_or_is_general():
    assert GENERAL.keys() == IDS - NAMED
    assert all(GENERAL.values())


def test_every_rule_has_an_experiment_or_says_why_there_is_none():
    assert [rule.id for rule in RULES if bool(rule.experiments) == bool(rule.unproved)] == []
