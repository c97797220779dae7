"""Whether the steps were timed in a way that favors neither engine."""

from attrib.findings.comparability.check import Answer, Facts, failed, passed, unknown
from attrib.findings.evidence.advice import longer_warm_up
from attrib.findings.evidence.stability import DRIFT_LIMIT, drift
from attrib.model.manifest import ENGINE_NAMES
from attrib.units import format_percent
from attrib.wording import counted

ALIKE = 2.0
"""Drifts that differ by less than this factor are taken for one, such as that of the clock."""


_EVERY_ROUND = "--rounds 12 --tolerance 0 --max-time 600"
"""So many rounds that thirds of a launch can be compared, also where the interval is narrow before."""


def warm_up(facts: Facts) -> Answer:
    """Check that the step times of both engines had settled before the first block."""
    if not facts.sides:
        return unknown()
    cold = [role for role, side in facts.sides.items() if not side.warmed_up]
    if cold:
        names = " and ".join(ENGINE_NAMES[role] for role in cold)
        verb = "look" if len(cold) > 1 else "looks"
        return failed(
            f"{names} had not settled when the first block began",
            f"{names} {verb} slower: the first blocks still hold allocation, tuning or compilation.",
            longer_warm_up(facts.evidence),
        )
    steps = ", ".join(f"{ENGINE_NAMES[role]} {side.warmup}" for role, side in facts.sides.items())
    return passed(f"until the last blocks agreed (steps: {steps})")


def session_excluded(facts: Facts) -> Answer:
    """Check that building, export and session creation are in no figure."""
    manifest = facts.manifest
    if manifest is None or manifest.protocol is None:
        return unknown("attrib did not time these steps", "`attrib profile` times steps alone")
    seconds = {phase.name: phase.seconds for phase in manifest.phases}
    took = f" ({seconds['sessions']:.2g} s)" if seconds.get("sessions") else ""
    return passed(f"steps alone are timed: model building, export and session creation{took} are not counted")


def interleaved(facts: Facts) -> Answer:
    """Check that blocks of both engines were measured in turn."""
    protocol = facts.manifest.protocol if facts.manifest else None
    if protocol is None:
        return unknown(
            "attrib did not time these steps", "`attrib profile` interleaves blocks in random order"
        )
    launches = f" in {counted(protocol.launches, 'launch', 'launches')}" if protocol.launches > 1 else ""
    return passed(
        f"{counted(protocol.rounds, 'round')}{launches}, each with a block of"
        f" {counted(protocol.iterations, 'step')} of either engine"
    )


def no_drift(facts: Facts) -> Answer:
    """Check that no engine became slower or faster while it was measured."""
    every = {role: drift(facts.evidence, role) for role, blocks in facts.evidence.plain_ns.items() if blocks}
    drifts = {role: change for role, change in every.items() if change is not None}
    if not drifts:
        if facts.evidence.launches > 1:
            return unknown(
                "too few blocks of a launch to tell; what changes from launch to launch is in the intervals",
                f"`attrib profile --launches 1 {_EVERY_ROUND}`",
                again=True,
            )
        return unknown("too few blocks to tell", f"`attrib profile {_EVERY_ROUND}`", again=True)
    changes = ", ".join(f"{ENGINE_NAMES[role]} {format_percent(d, sign=True)}" for role, d in drifts.items())
    within = " of a launch" if facts.evidence.launches > 1 else ""
    text = f"from the first third of the blocks{within} to the last: {changes}"
    drifted = [ENGINE_NAMES[role] for role, d in drifts.items() if abs(d) > DRIFT_LIMIT]
    if not drifted:
        return passed(text)
    low, high = min(drifts.values()), max(drifts.values())
    if len(drifts) > 1 and low * high > 0 and 1 / ALIKE < low / high < ALIKE:
        effect = "Both engines drifted alike (clock or heat). Interleaved rounds cancel most of it out of the difference."
    elif len(drifted) > 1:
        effect = (
            "Both engines drifted, but not alike: each looks slower or faster by about half of its own drift."
        )
    else:
        effect = f"Only {drifted[0]} drifted: it looks slower or faster by about half of that."
    return failed(text, effect, f"{longer_warm_up(facts.evidence)}, on a machine with a steady clock")
