"""unstable-measurement: the plain steps were not steady."""

from collections.abc import Iterator

from attrib.findings.evidence.advice import longer_blocks, longer_warm_up, more_launches
from attrib.findings.evidence.ledger_queries import step_ns
from attrib.findings.evidence.page_faults import fault_cost
from attrib.findings.evidence.stability import (
    DRIFT_LIMIT,
    LOAD_LIMIT,
    SPREAD_LIMIT,
    drift,
    is_watched,
    load_per_core,
    spread,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES
from attrib.units import format_interval, format_percent
from attrib.wording import counted

WIDE_INTERVAL = 0.05
"""Half-width of the headline's interval over the step: with more, a difference of a tenth is hardly seen."""


def audit(evidence: Evidence) -> RuleResult:
    """Collect every sign that the measurement was disturbed."""
    found = [*_signs_of_steps(evidence), *_signs_of_machine(evidence)]
    return RuleResult(
        failed=bool(found),
        detail=counted(len(found), "sign"),
        summary="; ".join(text for text, _ in found) + "."
        if found
        else "Blocks agree, nothing drifted, and no other program was in the way as far as it was recorded.",
        evidence=tuple(EvidenceRow(text=text) for text, _ in found),
        fix="; ".join(dict.fromkeys(cure for _, cure in found)),
    )


def _signs_of_steps(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is wrong with the steps, and the option that helps."""
    for role in sorted(evidence.plain_ns, reverse=True):
        name, scatter, change_of = ENGINE_NAMES[role], spread(evidence, role), drift(evidence, role) or 0.0
        if scatter > SPREAD_LIMIT:
            text = f"blocks of {name} scatter by {format_percent(scatter)} (interquartile range)"
            yield text, longer_blocks(evidence)
        if abs(change_of) > DRIFT_LIMIT:
            change = format_percent(change_of, sign=True)
            text = f"{name} drifted by {change} from the first third of the blocks to the last"
            yield text, longer_warm_up(evidence)
        faults = fault_cost(evidence, role)
        if faults is not None and faults.is_much and not faults.is_sure:
            text = (
                f"page faults take {format_percent(faults.share)} of a step of {name}, and differ by launch ({faults.told}):"
                " where memory lies is luck of a process"
            )
            yield text, more_launches(evidence)
    delta, step = evidence.latency.delta_ns, step_ns(evidence)
    half = (delta.high - delta.low) / 2 if delta is not None else 0
    if delta is not None and step and half > WIDE_INTERVAL * step:
        figure = format_interval(delta.median, delta.low, delta.high)
        share = format_percent(half / step)
        yield (
            f"half the interval of the difference is {share} of the step ({figure})",
            longer_blocks(evidence),
        )


def _signs_of_machine(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is wrong with the warm-up and the load, and what helps.

    The load is looked at where the blocks do not say it themselves.
    """
    manifest = evidence.manifest
    if evidence.judgement.busy and evidence.machine is not None:
        yield "; ".join(evidence.machine.disturbances), "stop other programs before recording"
    for side in manifest.sides.values() if manifest is not None else ():
        if side.state == "complete" and not side.warmed_up:
            text = f"{ENGINE_NAMES[side.engine]} had not warmed up after {side.warmup} steps"
            yield text, longer_warm_up(evidence)
    if (
        manifest is not None
        and not is_watched(evidence, "others_ns")
        and load_per_core(manifest) > LOAD_LIMIT
    ):
        environment = manifest.environment
        load, cores = max(environment.load_before, environment.load_after), environment.usable_cores
        when = "before" if load == environment.load_before else "after"
        text = f"{when} the capture the load was {load:g} on {cores:g} usable cores"
        yield text, "stop other programs before recording"


RULE = Rule(
    id="unstable-measurement",
    passed="The measurement was steady",
    failed="The measurement was not steady: {} of disturbance",
    example="2 signs",
    about=(
        "Every figure rests on the plain steps. The rule looks for what disturbs them: blocks that scatter more than a"
        " shared machine explains, drift from the first to the last third, an interval too wide to answer the question, a"
        " warm-up that ended too early, and a machine that was loaded before the capture began or when it ended. It names"
        " the option that helps."
    ),
    cause=None,
    needs=("plain",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C5",),
    unproved="It is about this recording: another one, on a quiet machine, is the proof.",
)
