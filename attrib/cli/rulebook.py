"""The rules as plain data for `attrib rules` and for the documents that are generated from them."""

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from attrib.findings.protocol import Rule

GROUPS: tuple[tuple[str, frozenset[str | None]], ...] = (
    (
        "Fair comparison and measurement",
        frozenset({None, "profiler_overhead", "unattributed", "C5", "C11", "C16", "C17", "C21", "C24"}),
    ),
    (
        "Graph",
        frozenset({"decomposed", "fused", "cast", "layout", "shape_arithmetic", "quantize", "extra_work"})
        | {"missing_work", "C6", "C7", "C8", "C10", "C12", "C13", "C14"},
    ),
    ("Kernels", frozenset({"kernel", "C20"})),
    ("Session and threads", frozenset({"framework", "C9", "C15", "C22", "C23"})),
    (
        "Providers and devices",
        frozenset({"fallback", "memcpy", "device_idle", "C1", "C2", "C3", "C4", "C18", "C19"}),
    ),
)
"""Headings, each with the causes of the ledger and the entries of the catalog that stand there.

The cause of a rule decides; where it has none, the first entry that it covers.
"""

CATALOG: dict[str, str] = {
    "C1": "The whole session runs on the CPU by accident",
    "C2": "Some nodes run on the CPU",
    "C3": "Memcpy nodes",
    "C4": "Copies of inputs and outputs, no IO binding",
    "C5": "Unfair timing",
    "C6": "Attention is not fused",
    "C7": "LayerNorm, Gelu or bias is not fused",
    "C8": "A fusion made it slower",
    "C9": "The optimization level is low, or blocked",
    "C10": "Casts",
    "C11": "fp16 or bf16 without kernels",
    "C12": "int8 without kernels",
    "C13": "Layout and shape glue",
    "C14": "The export takes one op apart into many",
    "C15": "The thread pool has the wrong size",
    "C16": "Thread pools fight in one process",
    "C17": "Costs of the first run of a shape",
    "C18": "A TensorRT engine is built again",
    "C19": "The GPU waits for launches",
    "C20": "Slower matrix kernels",
    "C21": "Other mathematics",
    "C22": "Denormal numbers",
    "C23": "Overhead of the executor and the API",
    "C24": "Overhead of the profiler",
}
"""Causes known from public threads, by the numbers that rules name."""

SHARE_OF_NONE = "none: it is about the measurement"


class Named(msgspec.Struct, frozen=True):
    """Something with an id and a title."""

    id: str
    title: str


class RuleText(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in words.

    Attributes:
        id: e.g. `layout-churn`.
        group: The heading under which it stands.
        finding: What it says where it fails, with an example.
        passed: What it says where it passes.
        about: What it looks for and why that matters.
        cause: The ledger cause whose rows it explains; empty for a rule about the measurement.
        needs: Evidence without which it cannot answer, and how to record each.
        catalog: Entries of the cause catalog that it covers.
        experiments: What `attrib verify` can try to prove it.
        unproved: Why there is no experiment.
    """

    id: str
    group: str
    finding: str
    passed: str
    about: str
    cause: str
    needs: tuple[Named, ...]
    catalog: tuple[Named, ...]
    experiments: tuple[Named, ...]
    unproved: str


def rule_texts() -> tuple[RuleText, ...]:
    """Every rule, by group; inside a group in the order in which rules run."""
    from attrib.findings.registry import RULES

    titles = experiment_titles()
    order = [title for title, _ in GROUPS]
    texts = [_text(rule, titles) for rule in RULES]
    return tuple(sorted(texts, key=lambda text: order.index(text.group)))  # sorting is stable


def experiment_titles() -> dict[str, str]:
    """The title of each experiment (or family of them) by its id."""
    from attrib.verify.experiments import EXPERIMENTS

    return {experiment.id: experiment.title for experiment in EXPERIMENTS}


def _group(rule: "Rule") -> str:
    key: str | None = rule.cause or next(filter(CATALOG.__contains__, rule.catalog), None)
    return next(title for title, members in GROUPS if key in members)


def _text(rule: "Rule", titles: dict[str, str]) -> RuleText:
    from attrib.findings.runner import NEEDS
    from attrib.model.document import CAUSES

    return RuleText(
        id=rule.id,
        group=_group(rule),
        finding=rule.failed.replace("{}", rule.example),
        passed=rule.passed,
        about=rule.about,
        cause=CAUSES[rule.cause].title if rule.cause else "",
        needs=tuple(Named(NEEDS[need].what, NEEDS[need].how) for need in rule.needs),
        catalog=tuple(Named(entry, CATALOG.get(entry, "")) for entry in rule.catalog),
        experiments=tuple(Named(name, titles.get(name, "")) for name in rule.experiments),
        unproved=rule.unproved,
    )
