"""Which experiments to run: what the failed findings name, what the user names, or everything."""

import importlib.metadata
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from attrib.errors import UsageError
from attrib.findings.protocol import Rule
from attrib.model.document import Finding
from attrib.model.experiment import ExperimentState
from attrib.verify.protocol import Experiment, Inapplicable, Situation, Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asks for; with nothing, the experiments of the failed findings.

    Attributes:
        findings: Only what these findings name, failed or not.
        experiments: These experiments, or single variants of them, whether or not a finding names them.
        everything: All that apply.
        ablate: Nodes or regions to take out of the graph.
    """

    findings: tuple[str, ...] = ()
    experiments: tuple[str, ...] = ()
    everything: bool = False
    ablate: tuple[str, ...] = ()

    @property
    def names_experiments(self) -> bool:
        """Something is asked for that experiments answer."""
        return bool(self.findings or self.experiments or self.everything)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One experiment in a situation: its variants, or why there are none.

    Attributes:
        experiment: The experiment.
        variants: What it would measure.
        state: Where that is nothing: `not_applicable`, `unavailable` or `failed`.
        reason: Why.
        asked_by: Failed findings whose rule names it or one of its variants.
    """

    experiment: Experiment
    variants: tuple[Variant, ...] = ()
    state: ExperimentState | None = None
    reason: str = ""
    asked_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One row of a run: a variant to measure, or an experiment that cannot be run and why.

    Attributes:
        experiment: The experiment.
        variant: What to measure; None where `state` and `reason` say why not.
        findings: The findings that it is to prove.
    """

    experiment: Experiment
    variant: Variant | None
    findings: tuple[str, ...] = ()
    state: ExperimentState | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        """The id of its result."""
        return self.experiment.id if self.variant is None else self.variant.id

    @property
    def title(self) -> str:
        """What a reader is told."""
        return self.experiment.title if self.variant is None else self.variant.title


def offers(
    situation: Situation,
    experiments: Iterable[Experiment],
    rules: Iterable[Rule],
    findings: Iterable[Finding],
) -> tuple[Offer, ...]:
    """Every experiment in this situation, with the failed findings that ask for it."""
    failed = {finding.id for finding in findings if finding.state == "failed"}
    asking = [rule for rule in rules if rule.id in failed]
    return tuple(_offer(experiment, situation, asking) for experiment in experiments)


def _offer(experiment: Experiment, situation: Situation, asking: Sequence[Rule]) -> Offer:
    variants, state, reason = _examined(experiment, situation)
    asked_by = _asking(experiment, variants, asking)
    return Offer(experiment=experiment, variants=variants, state=state, reason=reason, asked_by=asked_by)


_Examined = tuple[tuple[Variant, ...], ExperimentState | None, str]


def _examined(experiment: Experiment, situation: Situation) -> _Examined:
    """The variants; a mistake in one experiment must not take the others with it."""
    side = situation.manifest.sides.get(experiment.side)
    if side is None or side.state != "complete":
        error = f": {side.error}" if side and side.error else ""
        return (), "not_applicable", f"its engine was not measured in the capture{error}"
    missing = [name for name in experiment.packages if not _installed(name)]
    if missing:
        return (), "unavailable", f"needs {' and '.join(missing)}: pip install {' '.join(missing)}"
    try:
        found = experiment.variants(situation)
    except Exception as error:
        if os.environ.get("ATTRIB_DEBUG"):
            raise
        return (), "failed", f"this is a bug in attrib: {type(error).__name__}: {error}"
    if isinstance(found, Inapplicable):
        return (), "not_applicable", found.reason
    return (found, None, "") if found else ((), "not_applicable", "it would change nothing here")


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _asking(experiment: Experiment, variants: Iterable[Variant], asking: Iterable[Rule]) -> tuple[str, ...]:
    names = {experiment.id, *(variant.id for variant in variants)}
    return tuple(rule.id for rule in asking if names.intersection(rule.experiments))


def plan(
    offered: Sequence[Offer], request: Request, rules: Iterable[Rule], findings: Iterable[Finding]
) -> tuple[Planned, ...]:
    """What to run, the largest prediction first; what cannot be run last.

    Raises:
        UsageError: The user names a finding or an experiment that there is not.
    """
    rule_of = {rule.id: rule for rule in rules}
    _check_names("finding", request.findings, rule_of, "attrib rules")
    names = {o.experiment.id for o in offered} | {v.id for o in offered for v in o.variants}
    _check_names("experiment", request.experiments, names, "attrib verify TRACE_DIR --list")
    failed = [finding.id for finding in findings if finding.state == "failed"]
    wanted = [rule_of[name] for name in dict.fromkeys((*request.findings, *failed)) if name in rule_of]
    rows = [row for offer in offered for row in _rows(offer, wanted)]
    return tuple(sorted((row for row in rows if _is_asked(row, request)), key=_urgency))


def _rows(offer: Offer, wanted: Sequence[Rule]) -> list[Planned]:
    experiment = offer.experiment
    if offer.state is not None:
        findings = _asking(experiment, (), wanted)
        return [
            Planned(
                experiment=experiment, variant=None, findings=findings, state=offer.state, reason=offer.reason
            )
        ]
    return [
        Planned(experiment=experiment, variant=variant, findings=_asking(experiment, (variant,), wanted))
        for variant in offer.variants
    ]


def _is_asked(row: Planned, request: Request) -> bool:
    if request.ablate and not request.names_experiments:
        return False  # an ablation, and nothing else
    named = {row.id, row.experiment.id}
    if request.experiments or request.findings:
        return bool(
            named.intersection(request.experiments) or set(row.findings).intersection(request.findings)
        )
    # Of everything, what cannot be run is left to `--list`, except where a finding asks for it.
    return bool(row.findings) or (request.everything and row.variant is not None)


def _urgency(row: Planned) -> tuple[bool, float]:
    predicted = row.variant.predicted if row.variant else None
    return row.variant is None, -predicted.saving_ns.median if predicted else 0.0


def _check_names(kind: str, names: Iterable[str], known: Iterable[str], listing: str) -> None:
    every = list(known)
    for name in names:
        if name not in every:
            near = get_close_matches(name, every, n=1)
            hint = f"did you mean {near[0]}?" if near else f"`{listing}` shows them"
            raise UsageError(f"no {kind} is named {name!r}", hint=hint)
