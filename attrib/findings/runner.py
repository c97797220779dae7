"""Run the rules.

Missing evidence makes a rule not applicable, a bug in a rule makes an error row of its own, and no finding claims more than
its rows.
"""

from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace

import msgspec

from attrib.errors import InternalError
from attrib.findings.evidence.ledger_queries import side_ns, step_ns, step_of
from attrib.findings.evidence.significance import is_certain, widened
from attrib.findings.protocol import TIERS, Evidence, Need, Rule, RuleResult
from attrib.findings.registry import RULES
from attrib.findings.rules.devices.provider_not_used import RULE as PROVIDER_NOT_USED
from attrib.model.document import Finding, LedgerRow
from attrib.model.estimate import Delta
from attrib.model.manifest import ROLES, Role
from attrib.units import format_interval, format_ns
from attrib.wording import counted, listed

NEGLIGIBLE_SHARE = 0.005
"""A share of the engine's own step below which a cause is listed as checked, however narrow its interval."""

DIFFERENT_SHARE = 0.01
"""The smallest share for a difference between two processes: another pair of processes may differ by as much.

In twenty A/A captures of `tests/benchmarks/planted.py` the largest sum of rows that was sure of its sign made 0.55 % of
the step. It holds for work that both sides do; what only one of them spends is no difference.
"""

SPEED_RULES = sum(rule.cause is not None for rule in RULES)
"""Rules that look for time in the ledger: the number of tests that one report makes (see `is_certain`).

Among so many differences of work that both sides do, some seem sure by chance. Time that only one side spends is no such
difference: chance makes it longer or shorter, and not out of nothing.
"""

STATE_ORDER = {"failed": 0, "error": 1, "passed": 2, "not_applicable": 3}


class _Missing(msgspec.Struct, frozen=True):
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
    "split": _Missing(
        lambda e: e.judgement.split_reliable,
        "a reliable split of the step",
        "what is not explained may be more than a quarter of it; a quiet machine and larger inputs leave less",
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
    return tuple(
        sorted(  # sorting is stable
            (found[rule.id] for rule in rules),
            key=lambda finding: (
                STATE_ORDER[finding.state],
                finding.id != PROVIDER_NOT_USED.id,  # every other figure is about the wrong device then
                finding.cause is not None,
                -finding.saving_ns,
                -abs(finding.explains_ns),
            ),
        )
    )


def examine(
    evidence: Evidence, rules: tuple[Rule, ...] = RULES
) -> Iterator[tuple[Rule, Finding, RuleResult | None]]:
    """Yield each rule with its finding, and with its result where that accounts for time; the narrowest tier first.

    Each tier gets the ledger without the work that findings of narrower tiers account for. A rule that passes on what is
    left speaks of the whole all the same: where it would fail on that, it says which findings have the rest.
    """
    whole, taken = evidence, dict[str, str]()
    for tier in TIERS:
        rows, works, owners = set[str](), set[str](), dict[str, str]()
        for rule in (rule for rule in rules if rule.tier == tier):
            try:
                finding, result = _judge(rule, evidence)
                if taken and finding.state == "passed":
                    finding = _apart(rule, finding, whole, taken)
            except Exception as error:  # noqa: BLE001 - a bug in one rule must not cost the reader the report
                line = " ".join(f"{type(error).__name__}: {error}".split())
                reason = f"the rule {rule.id} failed, which is a bug in attrib: {line}"
                title, cause = rule.passed, rule.cause
                finding, result = (
                    Finding(id=rule.id, state="error", title=title, cause=cause, reason=reason),
                    None,
                )
            if result is not None:
                own = result.rows if not result.works and not result.claim else ()
                works.update(result.works)
                rows.update(own)
                owners.update(dict.fromkeys((*result.works, *own), rule.id))
            yield rule, finding, result
        taken |= owners
        # What is left of one side alone is no difference any more: its counterpart is explained.
        rows.update(row.id for row in evidence.ledger.rows if _is_halved(row, works))
        if rows or works:
            evidence = replace(evidence, ledger=evidence.ledger.without(rows, works))


def _apart(rule: Rule, finding: Finding, whole: Evidence, taken: Mapping[str, str]) -> Finding:
    """A finding that passes, about the whole ledger; where its rule fails on that, it names who accounts for the rest."""
    alone, result = _judge(rule, whole)
    if alone.state == "passed":
        return alone
    chosen = set(result.rows) if result is not None else set()
    own = [
        name
        for row in whole.ledger.rows
        if row.id in chosen
        for name in (row.id, *row.torch_calls, *row.onnx_nodes)
    ]
    others = listed(list(dict.fromkeys(taken[name] for name in own if name in taken)))
    if not others:
        return finding
    return msgspec.structs.replace(
        finding,
        title=f"{finding.title} (apart from {others})",
        summary=f"Apart from {others}: {finding.summary}" if finding.summary else "",
    )


def _is_halved(row: LedgerRow, works: Set[str]) -> bool:
    """Whether a row compares two sides, and all work of one of them is among these."""
    sides = row.torch_calls, row.onnx_nodes
    return all(sides) and any(set(side) <= works for side in sides)


def _judge(rule: Rule, evidence: Evidence) -> tuple[Finding, RuleResult | None]:
    """Run one rule; the result is returned only where it accounts for time: part of the difference, or what both waste."""
    missing = [NEEDS[need] for need in rule.all_needs if not NEEDS[need].met(evidence)]
    reason = "; ".join(f"needs {need.what}: {need.how}" for need in missing)
    result = rule.audit(evidence) if not missing else None
    if result is None or result.lacks:
        reason = reason if result is None else result.lacks
        return Finding(
            id=rule.id, state="not_applicable", title=rule.passed, cause=rule.cause, reason=reason
        ), None
    finding = _weigh(rule, result, evidence)
    return finding, result if finding.explains_ns or finding.saving_ns else None


def _weigh(rule: Rule, result: RuleResult, evidence: Evidence) -> Finding:
    """Turn a result into a finding, as far as its rows support it: no cause without a measured share.

    What makes a comparison unfair is said even where its cost is not certain, and then without a figure.
    """
    if not result.failed:
        return _passed(rule, result)
    failed = Finding(
        id=rule.id,
        state="failed",
        title=rule.failed.replace("{}", result.detail),
        cause=rule.cause,
        summary=result.summary,
        evidence=result.evidence,
        fix=result.fix,
    )
    claims = rule.cause is not None or result.claim is not None
    if (
        not claims or not evidence.judgement.split_reliable
    ):  # of a rule about the measurement: the others need it
        lines = tuple(line for line in result.evidence if line.value_ns is None or not claims)
        return msgspec.structs.replace(failed, evidence=lines)
    if not result.rows:
        return _passed(rule, result, "no measured time belongs to it")
    total = claim_of(result, evidence)
    result = msgspec.structs.replace(result, summary=summary_of(result, total))
    if doubt := _doubt(rule, result, evidence, total):
        if rule.cause is not None:
            return _passed(rule, result, doubt)
        return msgspec.structs.replace(failed, summary=result.summary)
    share = _held(round_to_noise(total), result, evidence)  # the ends are rounded outward
    return msgspec.structs.replace(
        failed,
        summary=result.summary,
        explains_ns=share.median if result.explains_delta else 0,
        saving_ns=max(share.median, 0),
        low_ns=share.low,
        high_ns=share.high,
    )


def summary_of(result: RuleResult, claim: Delta) -> str:
    """The summary of a result with the price at which its claim stands."""
    return " ".join(filter(None, (result.summary, result.price.replace("{}", format_ns(abs(claim.median))))))


def claim_of(result: RuleResult, evidence: Evidence) -> Delta:
    """What a result is about: the sum of its rows' deltas, or its own claim, held to what it rests on (see `_held`)."""
    if _is_difference(result, evidence):
        total = evidence.ledger.total(result.rows)
    else:
        assert result.claim is not None  # noqa: S101  (else it is a difference)
        total = result.claim
    return _held(total, result, evidence)


def _held(figure: Delta, result: RuleResult, evidence: Evidence) -> Delta:
    """A figure with its interval, held to the time of the result's rows in the engine that spends it, and to its step.

    ONNX Runtime spends what is positive, PyTorch what is negative. This is the one place that guarantees it, whatever a
    rule claims: profiled rows may take more than the plain step, and an estimate may come out larger than its rows.
    """
    chosen, most = set(result.rows), dict[Role, int]()
    for role in ROLES:
        spent = sum(max(side_ns([row], role), 0) for row in evidence.ledger.rows if row.id in chosen)
        step = step_of(evidence, role)
        most[role] = spent if step is None else max(min(spent, step), 0)
    low, median, high = (
        max(-most["torch"], min(most["onnxruntime"], ns)) for ns in (figure.low, figure.median, figure.high)
    )
    return Delta(median=median, low=low, high=high)


def _is_difference(result: RuleResult, evidence: Evidence) -> bool:
    """Whether the figure is one side's time less the other's, and not time that one side spends.

    Where both sides ran the same engine, what it wastes on one side it wastes on the other: only the deltas count.
    """
    engines = [partition.engine for partition in evidence.partitions.values()]
    against_itself = len(engines) > 1 and len(set(engines)) == 1
    return result.claim is None or against_itself


def _doubt(rule: Rule, result: RuleResult, evidence: Evidence, total: Delta) -> str:
    """Why the rows do not support a finding; empty where they do."""
    figure = format_interval(total.median, total.low, total.high)
    chosen = set(result.rows)
    rows = [row for row in evidence.ledger.rows if row.id in chosen]
    less, more = sorted((side_ns(rows, "torch"), side_ns(rows, "onnxruntime")))
    compares = _is_difference(result, evidence) and less > more / 2  # work that both sides do
    tests = SPEED_RULES if compares else 1
    if not is_certain(total, tests, evidence.launches):
        wide, made = widened(total, tests, evidence.launches), f"it makes {figure} of the difference"
        if total.low <= 0 <= total.high:
            return f"{made}, which cannot be told from nothing"
        span = f"{format_ns(wide.low, sign=True)} to {format_ns(wide.high, sign=True)}"
        asked = f"{counted(tests, 'rule')} and {counted(evidence.launches, 'launch', 'launches')}"
        return (
            f"{made}, too little to be sure of: for {asked} its interval is {span}; more launches narrow it"
        )
    if {"slower": total.high < 0, "faster": total.low > 0, "any": False}[rule.direction]:
        than = "less" if total.median < 0 else "more"
        if not _is_difference(result, evidence):
            return f"it takes {than} than what it is compared with ({figure})"
        return f"the rows behind it take {than} in ONNX Runtime than in PyTorch ({figure})"
    # what is much: a share of the plain step of the engine that spends the time
    sides = evidence.latency.onnxruntime_ns, evidence.latency.torch_ns
    side = sides[0] if total.median > 0 else sides[1]
    step = side.median if side is not None else step_ns(evidence)
    margin = DIFFERENT_SHARE if compares else NEGLIGIBLE_SHARE
    if abs(total.median) < margin * step:
        return f"it makes {figure} of the difference, less than {100 * margin:g} % of the step"
    return ""


def round_to_noise(total: Delta) -> Delta:
    """Round a sum of rows to the digits that its noise leaves: two of the half-width's.

    The magnitude is rounded down, so that nothing is claimed that is not in the rows. The bounds are widened to
    the same digits, and end at 0: the sign is certain where this is called.
    """
    half = max((total.high - total.low) // 2, 1)
    unit = 10 ** max(len(str(half)) - 2, 0)
    sign = 1 if total.median >= 0 else -1
    near, far = sorted((abs(total.low), abs(total.high)))
    bounds = sorted((sign * (near // unit * unit), sign * (-(-far // unit) * unit)))
    return Delta(median=sign * (abs(total.median) // unit * unit), low=bounds[0], high=bounds[1])


def _passed(rule: Rule, result: RuleResult, doubt: str = "") -> Finding:
    checked = f"Checked, and not a finding: {doubt}." if doubt else ""
    return Finding(
        id=rule.id,
        state="passed",
        title=rule.passed,
        cause=rule.cause,
        summary=" ".join(part for part in (result.summary, checked) if part),
        evidence=result.evidence,
    )
