"""Runs the rules.

What is missing makes a rule not applicable, a bug in one is contained, and no finding claims more than its
rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from attrib.errors import InternalError
from attrib.findings.evidence.ledger_queries import step_ns
from attrib.findings.evidence.significance import is_certain
from attrib.findings.protocol import TIERS, Evidence, Need, Rule, RuleResult
from attrib.findings.registry import RULES
from attrib.findings.rules.devices.provider_not_used import RULE as PROVIDER_NOT_USED
from attrib.model.document import Finding
from attrib.model.estimate import Delta
from attrib.units import format_interval

NEGLIGIBLE_SHARE = 0.005
"""A share of the engine's own step below which a cause is listed as checked, however narrow its interval."""

DIFFERENT_SHARE = 0.01
"""The same for a difference between two processes, of which one pair cannot tell how far another pair would land.

In twenty A/A captures of `tests/benchmarks/planted.py` the largest sum of rows that was sure of its sign made 0.55 % of
the step. It holds for work that both sides do; what only one of them spends is no difference.
"""

SPEED_RULES = sum(rule.cause is not None for rule in RULES)
"""Rules that look for time in the ledger: the number of tests that one report makes."""

STATE_ORDER = {"failed": 0, "error": 1, "passed": 2, "not_applicable": 3}


@dataclass(frozen=True, slots=True)
class _Missing:
    """Whether a need is met, and what to tell the reader where it is not."""

    met: Callable[[Evidence], bool]
    what: str
    how: str


NEEDS: dict[Need, _Missing] = {
    "delta": _Missing(
        lambda e: e.latency.delta_ns is not None,
        "plain steps of both engines",
        "`attrib profile` times both engines without a profiler",
    ),
    "manifest": _Missing(
        lambda e: e.manifest is not None,
        "a manifest",
        "`attrib profile` writes manifest.json, which says how each engine ran",
    ),
    "partitions": _Missing(
        lambda e: {"torch", "onnxruntime"} <= set(e.partitions),
        "profiled steps of both engines",
        "record torch.profiler and ORT profiles of the same model, or run `attrib profile`",
    ),
    "regions": _Missing(
        lambda e: bool(e.regions),
        "matched calls and nodes",
        "`attrib profile` records module scopes and keeps both graphs, which the match rests on",
    ),
    "exported": _Missing(
        lambda e: e.exported is not None,
        "the exported graph",
        "keep onnx/exported.onnx in the trace directory",
    ),
    "optimized": _Missing(
        lambda e: e.optimized is not None,
        "the graph that ONNX Runtime ran",
        "set `SessionOptions.optimized_model_filepath`, or run `attrib profile`",
    ),
    "ran": _Missing(
        lambda e: e.ran is not None,
        "the graph that ONNX Runtime ran, or was given",
        "set `SessionOptions.optimized_model_filepath`, or run `attrib profile`",
    ),
    "outputs": _Missing(
        lambda e: bool(e.outputs),
        "a comparison of the outputs",
        "`attrib profile` compares them and writes outputs.json",
    ),
    "plain": _Missing(
        lambda e: any(any(blocks) for blocks in e.plain_ns.values()),
        "plain steps",
        "`attrib profile` times steps without a profiler",
    ),
    "nodes": _Missing(
        lambda e: "onnxruntime" in e.partitions,
        "a profile of ONNX Runtime",
        "set `SessionOptions.enable_profiling`, or run `attrib profile`",
    ),
    "graph": _Missing(
        lambda e: e.loaded is not None,
        "the graph that the session opened",
        "keep onnx/exported.onnx in the trace directory",
    ),
    "tokens": _Missing(
        lambda e: e.manifest is not None and e.manifest.workload.seq_len > 0,
        "inputs that are sequences",
        "`attrib profile` records their length and the share that the mask hides",
    ),
    "device": _Missing(
        lambda e: any(p.device is not None for p in e.partitions.values()),
        "a trace with the device's work",
        "record with `ProfilerActivity.CUDA`, or run `attrib profile --device cuda`",
    ),
}


def run(evidence: Evidence, rules: tuple[Rule, ...] = RULES) -> tuple[Finding, ...]:
    """Run every rule over the evidence.

    Args:
        evidence: What the trace directory holds.
        rules: The rules; their ids must be unique.

    Returns:
        One finding a rule: failed ones first (those about the measurement before those about speed), by
        saving, then by what they explain; the order of `rules` breaks ties.

    Raises:
        InternalError: Two rules have one id.
    """
    if len({rule.id for rule in rules}) != len(rules):
        raise InternalError("two rules have the same id")
    found = {rule.id: finding for rule, finding, _ in examine(evidence, rules)}
    return tuple(sorted((found[rule.id] for rule in rules), key=_rank))  # sorting is stable


def examine(
    evidence: Evidence, rules: tuple[Rule, ...] = RULES
) -> Iterator[tuple[Rule, Finding, RuleResult | None]]:
    """Each rule with its finding, and with the verdict behind it where that explains time; the narrowest tier first."""
    for tier in TIERS:
        ran = [(rule, *_contained(rule, evidence)) for rule in rules if rule.tier == tier]
        yield from ran
        evidence = _remaining(evidence, [verdict for _, _, verdict in ran if verdict is not None])


def _remaining(evidence: Evidence, explained: Sequence[RuleResult]) -> Evidence:
    """The evidence for the next tier: the ledger without the work that findings account for."""
    rows = {row for verdict in explained if not verdict.works and not verdict.claim for row in verdict.rows}
    works = {work for verdict in explained for work in verdict.works}
    return replace(evidence, ledger=evidence.ledger.without(rows, works)) if rows or works else evidence


def _rank(finding: Finding) -> tuple[int, bool, bool, int, int]:
    """Another device than the one that was asked for comes before everything: every figure is about that one."""
    about_speed, wrong_device = finding.cause is not None, finding.id == PROVIDER_NOT_USED.id
    place = STATE_ORDER[finding.state]
    return place, not wrong_device, about_speed, -finding.saving_ns, -abs(finding.explains_ns)


def _contained(rule: Rule, evidence: Evidence) -> tuple[Finding, RuleResult | None]:
    """Run one rule; a bug in it must not cost the reader the report.

    Returns:
        The finding, and the verdict behind it where it explains time.
    """
    try:
        finding, verdict = _judge(rule, evidence)
    except Exception as error:  # noqa: BLE001
        line = " ".join(f"{type(error).__name__}: {error}".split())
        reason = f"the rule {rule.id} failed, which is a bug in attrib: {line}"
        return Finding(id=rule.id, state="error", title=rule.passed, cause=rule.cause, reason=reason), None
    return finding, verdict if finding.explains_ns else None


def _judge(rule: Rule, evidence: Evidence) -> tuple[Finding, RuleResult | None]:
    missing = [NEEDS[need] for need in rule.needs if not NEEDS[need].met(evidence)]
    if missing:
        reason = "; ".join(f"needs {need.what}: {need.how}" for need in missing)
        return _not_applicable(rule, reason), None
    verdict = rule.audit(evidence)
    if verdict.lacks:
        return _not_applicable(rule, verdict.lacks), None
    return _weighed(rule, verdict, evidence), verdict


def _not_applicable(rule: Rule, reason: str) -> Finding:
    return Finding(id=rule.id, state="not_applicable", title=rule.passed, cause=rule.cause, reason=reason)


def _weighed(rule: Rule, verdict: RuleResult, evidence: Evidence) -> Finding:
    if not verdict.failed:
        return _passed(rule, verdict)
    if rule.cause is None and verdict.claim is None:
        return _failed(rule, verdict)
    return _measured(rule, verdict, evidence)


def _measured(rule: Rule, verdict: RuleResult, evidence: Evidence) -> Finding:
    """A finding about speed, as far as its rows support it (no cause without a measured share)."""
    if not verdict.rows:
        return _passed(rule, verdict, "no measured time belongs to it")
    total = claim_of(verdict, evidence)
    doubt = _doubt(rule, total, _step_of(evidence, total), _margin(verdict, evidence))
    if doubt and rule.cause is None:
        return _failed(
            rule, verdict
        )  # what makes a comparison unfair is said even where its cost is not certain
    if doubt:
        return _passed(rule, verdict, doubt)
    share = round_to_noise(total)
    finding = _failed(rule, verdict)
    return msgspec.structs.replace(
        finding,
        explains_ns=share.median if verdict.explains_delta else 0,
        saving_ns=max(share.median, 0),
        low_ns=share.low,
        high_ns=share.high,
    )


def claim_of(verdict: RuleResult, evidence: Evidence) -> Delta:
    """What a verdict is about: the sum of its rows' deltas, or its own claim, held to the time of its rows.

    Where both sides ran the same engine, what it wastes on one side it wastes on the other: only the deltas count.
    """
    if _is_difference(verdict, evidence):
        return evidence.ledger.total(verdict.rows)
    assert verdict.claim is not None  # noqa: S101  (else it is a difference)
    chosen = set(verdict.rows)
    limit = sum(max(row.torch_ns, row.onnxruntime_ns) for row in evidence.ledger.rows if row.id in chosen)
    low, median, high = (
        max(-limit, min(limit, value))
        for value in (verdict.claim.low, verdict.claim.median, verdict.claim.high)
    )
    return Delta(median=median, low=low, high=high)


def _is_difference(verdict: RuleResult, evidence: Evidence) -> bool:
    """Whether the figure is one side's time less the other's, and not time that one side spends."""
    return verdict.claim is None or _is_against_itself(evidence)


def _margin(verdict: RuleResult, evidence: Evidence) -> float:
    chosen = set(verdict.rows)
    rows = [row for row in evidence.ledger.rows if row.id in chosen]
    less, more = sorted((sum(row.torch_ns for row in rows), sum(row.onnxruntime_ns for row in rows)))
    compares = _is_difference(verdict, evidence) and less > more / 2
    return DIFFERENT_SHARE if compares else NEGLIGIBLE_SHARE


def _step_of(evidence: Evidence, total: Delta) -> int:
    """The plain step of the engine that spends the time: what is much in it."""
    sides = evidence.latency.onnxruntime_ns, evidence.latency.torch_ns
    side = sides[0] if total.median > 0 else sides[1]
    return side.median if side is not None else step_ns(evidence)


def _is_against_itself(evidence: Evidence) -> bool:
    engines = [partition.engine for partition in evidence.partitions.values()]
    return len(engines) > 1 and len(set(engines)) == 1


def _doubt(rule: Rule, total: Delta, step: int, margin: float) -> str:
    """Why the rows do not carry a finding; empty where they do. `margin` is a share of the step."""
    figure = format_interval(total.median, total.low, total.high)
    if not is_certain(total, SPEED_RULES):
        return f"it makes {figure} of the difference, which cannot be told from nothing"
    wrong = {"slower": total.high < 0, "faster": total.low > 0, "any": False}[rule.direction]
    if wrong:
        than = (
            "less in ONNX Runtime than in PyTorch"
            if total.median < 0
            else "more in ONNX Runtime than in PyTorch"
        )
        return f"the rows behind it take {than} ({figure})"
    if abs(total.median) < margin * step:
        return f"it makes {figure} of the difference, less than {100 * margin:g} % of the step"
    return ""


def round_to_noise(total: Delta) -> Delta:
    """A sum of rows without the digits that its noise makes meaningless (it keeps two of the half-width's).

    The magnitude is rounded down, so that nothing is claimed that is not in the rows. The bounds are widened to
    the same digits, and end at 0: the sign is certain where this is called.
    """
    half = max((total.high - total.low) // 2, 1)
    unit = 10 ** max(len(str(half)) - 2, 0)
    sign = 1 if total.median >= 0 else -1
    near, far = sorted((abs(total.low), abs(total.high)))
    bounds = sorted((sign * (near // unit * unit), sign * (-(-far // unit) * unit)))
    return Delta(median=sign * (abs(total.median) // unit * unit), low=bounds[0], high=bounds[1])


def _failed(rule: Rule, verdict: RuleResult) -> Finding:
    return Finding(
        id=rule.id,
        state="failed",
        title=rule.failed.replace("{}", verdict.detail),
        cause=rule.cause,
        summary=verdict.summary,
        evidence=verdict.evidence,
        fix=verdict.fix,
    )


def _passed(rule: Rule, verdict: RuleResult, doubt: str = "") -> Finding:
    checked = f"Checked, and not a finding: {doubt}." if doubt else ""
    return Finding(
        id=rule.id,
        state="passed",
        title=rule.passed,
        cause=rule.cause,
        summary=" ".join(part for part in (verdict.summary, checked) if part),
        evidence=verdict.evidence,
    )
