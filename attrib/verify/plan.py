"""Choosing the experiments to run: those that failed findings name, those that the user names, or all."""

import importlib.metadata
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from attrib.errors import UsageError
from attrib.findings.protocol import Rule
from attrib.model.document import Finding
from attrib.model.experiment import ExperimentState
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant


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
        """Whether anything but an ablation is asked for."""
        return bool(self.findings or self.experiments or self.everything)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One experiment in a context: its variants, or why there are none.

    Attributes:
        experiment: The experiment.
        variants: What it would measure; empty where `state` and `reason` say why not.
        state: `not_applicable`, `unavailable` or `failed`; None where there are variants.
        reason: Why there are no variants.
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
        """The id that its result has."""
        return self.experiment.id if self.variant is None else self.variant.id

    @property
    def title(self) -> str:
        """The title that a reader sees."""
        return self.experiment.title if self.variant is None else self.variant.title


def offers(
    context: ExperimentContext,
    experiments: Iterable[Experiment],
    rules: Iterable[Rule],
    findings: Iterable[Finding],
) -> tuple[Offer, ...]:
    """Make an offer of every experiment in a context, with the failed findings that ask for it."""
    failed = {finding.id for finding in findings if finding.state == "failed"}
    asking = [rule for rule in rules if rule.id in failed]
    found = []
    for experiment in experiments:
        offer = _examine(experiment, context)
        found.append(replace(offer, asked_by=_asking(experiment, offer.variants, asking)))
    return tuple(found)


def _examine(experiment: Experiment, context: ExperimentContext) -> Offer:
    """Find the variants of one experiment, or why it has none; its bugs must not stop the other experiments."""

    def none(state: ExperimentState, reason: str) -> Offer:
        return Offer(experiment=experiment, state=state, reason=reason)

    side = context.manifest.sides.get(experiment.side)
    if side is None or side.state != "complete":
        error = f": {side.error}" if side and side.error else ""
        return none("not_applicable", f"its engine was not measured in the capture{error}")
    missing = []
    for name in experiment.packages:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return none("unavailable", f"needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    try:
        found = experiment.variants(context)
    except Exception as error:
        if os.environ.get("ATTRIB_DEBUG"):
            raise
        return none("failed", f"this is a bug in attrib: {type(error).__name__}: {error}")
    if isinstance(found, Inapplicable):
        return none("not_applicable", found.reason)
    if not found:
        return none("not_applicable", "it would change nothing here")
    return Offer(experiment=experiment, variants=found)


def _asking(experiment: Experiment, variants: Iterable[Variant], asking: Iterable[Rule]) -> tuple[str, ...]:
    """The ids of the rules that name the experiment or one of the variants, in the order in which results hold them."""
    names = {experiment.id, *(variant.id for variant in variants)}
    return tuple(sorted(rule.id for rule in asking if names.intersection(rule.experiments)))


def narrow(offered: Sequence[Offer], request: Request, rules: Sequence[Rule]) -> tuple[Offer, ...]:
    """Keep the offers, and of each the variants, that a request names; all where it names none.

    Raises:
        UsageError: The user names a finding or an experiment that there is not.
    """
    _check_request(offered, request, rules)
    if not (request.experiments or request.findings):
        return tuple(offered)
    wanted = [rule for rule in rules if rule.id in request.findings]

    def is_named(offer: Offer, variant: Variant | None) -> bool:
        names = {offer.experiment.id} | ({variant.id} if variant else set())
        asking = _asking(offer.experiment, (variant,) if variant else (), wanted)
        return bool(names.intersection(request.experiments) or asking)

    kept = (
        replace(offer, variants=tuple(variant for variant in offer.variants if is_named(offer, variant)))
        for offer in offered
        if offer.variants or is_named(offer, None)
    )
    return tuple(offer for offer in kept if offer.variants or offer.state is not None)


def _check_request(offered: Sequence[Offer], request: Request, rules: Iterable[Rule]) -> None:
    """Refuse the name of what there is not."""
    _check_names("finding", request.findings, [rule.id for rule in rules], "attrib rules")
    names = {o.experiment.id for o in offered} | {v.id for o in offered for v in o.variants}
    _check_names("experiment", request.experiments, names, "attrib verify TRACE_DIR --list")


def plan(
    offered: Sequence[Offer], request: Request, rules: Iterable[Rule], findings: Iterable[Finding]
) -> tuple[Planned, ...]:
    """Choose what to run, the largest predicted saving first and what cannot be run last.

    Raises:
        UsageError: The user names a finding or an experiment that there is not.
    """
    rule_of = {rule.id: rule for rule in rules}
    _check_request(offered, request, rule_of.values())
    asked = {*request.findings, *(finding.id for finding in findings if finding.state == "failed")}
    wanted = [rule for name, rule in rule_of.items() if name in asked]
    rows = []
    for offer in offered:
        # An experiment that cannot be run is one row without a variant.
        for variant in offer.variants or (None,):
            asking = _asking(offer.experiment, (variant,) if variant else (), wanted)
            row = Planned(
                experiment=offer.experiment,
                variant=variant,
                findings=asking,
                state=offer.state,
                reason=offer.reason,
            )
            if _is_asked(row, request):
                rows.append(row)

    def urgency(row: Planned) -> tuple[bool, float]:
        predicted = row.variant.predicted if row.variant else None
        return row.variant is None, -predicted.saving_ns.median if predicted else 0.0

    return tuple(sorted(rows, key=urgency))


def _is_asked(row: Planned, request: Request) -> bool:
    if request.ablate and not request.names_experiments:
        return False  # only an ablation is asked for
    named = {row.id, row.experiment.id}
    if request.experiments or request.findings:
        return bool(
            named.intersection(request.experiments) or set(row.findings).intersection(request.findings)
        )
    # Of everything, what cannot be run is left to `--list`, except where a finding asks for it.
    return bool(row.findings) or (request.everything and row.variant is not None)


def _check_names(kind: str, names: Iterable[str], known: Iterable[str], listing: str) -> None:
    every = list(known)
    for name in names:
        if name not in every:
            near = get_close_matches(name, every, n=1)
            hint = f"did you mean {near[0]}?" if near else f"`{listing}` shows them"
            raise UsageError(f"no {kind} is named {name!r}", hint=hint)
