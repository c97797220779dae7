"""The rules as plain data for `attrib rules` and for the documents that are generated from them."""

import msgspec

GROUPS = {
    "fairness": "Fair comparison and measurement",
    "graph": "Graph",
    "kernels": "Kernels",
    "session": "Session and threads",
    "devices": "Providers and devices",
}
"""Folder of `attrib.findings.rules` -> heading of its rules, in the order of the headings."""

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
"""Causes of slow inference that are known from public threads, by the number that a rule names."""

SHARE_OF_NONE = "none of the ledger's causes"


class NamedText(msgspec.Struct, frozen=True):
    """An id and what it stands for."""

    id: str
    title: str


class RuleText(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in words.

    Attributes:
        id: e.g. `layout-churn`.
        group: The heading under which it stands.
        finding: What it says where it fails, with made-up figures.
        passed: What it says where it passes.
        about: What it looks for and why that matters.
        cause: The ledger cause whose rows it explains; empty where it explains none.
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
    needs: tuple[NamedText, ...]
    catalog: tuple[NamedText, ...]
    experiments: tuple[NamedText, ...]
    unproved: str


def rule_texts() -> tuple[RuleText, ...]:
    """Every rule in words, by group; inside a group in the order in which rules run."""
    from attrib.findings import registry
    from attrib.findings.runner import NEEDS
    from attrib.model.document import CAUSES

    titles = experiment_titles()
    headings = list(GROUPS)
    return tuple(
        RuleText(
            id=rule.id,
            group=GROUPS[rule.group],
            finding=rule.failed.replace("{}", rule.example),
            passed=rule.passed,
            about=rule.about,
            cause=CAUSES[rule.cause].title if rule.cause else "",
            needs=tuple(NamedText(NEEDS[need].what, NEEDS[need].how) for need in rule.all_needs),
            catalog=tuple(NamedText(entry, CATALOG.get(entry, "")) for entry in rule.catalog),
            experiments=tuple(NamedText(name, titles.get(name, "")) for name in rule.experiments),
            unproved=rule.unproved,
        )
        for rule in sorted(registry.RULES, key=lambda rule: headings.index(rule.group))  # sorting is stable
    )


def experiment_titles() -> dict[str, str]:
    """The title of each experiment (or family of them) by its id."""
    from attrib.verify.experiments import EXPERIMENTS

    return {experiment.id: experiment.title for experiment in EXPERIMENTS}
