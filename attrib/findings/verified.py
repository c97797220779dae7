"""What `attrib verify` measured, brought to the findings whose fix it applied."""

from collections.abc import Iterable

import msgspec

from attrib.model.document import Finding, Verified
from attrib.model.experiment import ExperimentResult


def by_saving(experiments: Iterable[ExperimentResult]) -> tuple[ExperimentResult, ...]:
    """The largest measured saving first; what was not measured last, by name."""
    return tuple(sorted(experiments, key=lambda result: (-_saving(result), result.id)))


def without_steps(result: ExperimentResult) -> ExperimentResult:
    """The same without every single step, which stays in the trace directory."""
    return msgspec.structs.replace(result, plain_ns={})


def with_verified(
    findings: Iterable[Finding], experiments: Iterable[ExperimentResult]
) -> tuple[Finding, ...]:
    """The findings, each with the best of its experiments; those that kept the outputs come first."""
    measured = [result for result in experiments if result.saving_ns is not None]
    return tuple(_with_best(finding, measured) for finding in findings)


def _with_best(finding: Finding, measured: Iterable[ExperimentResult]) -> Finding:
    own = [result for result in measured if finding.id in result.findings]
    if not own:
        return finding
    best = max(own, key=lambda result: (result.outputs_equal is True, _saving(result)))
    saving = best.saving_ns
    assert saving is not None  # noqa: S101  (only measured ones are given)
    verified = Verified(
        measured_ns=saving.median,
        low_ns=saving.low,
        high_ns=saving.high,
        outputs_equal=best.outputs_equal is True,
        experiment=best.id,
        agrees=best.agrees,
    )
    return msgspec.structs.replace(finding, verified=verified)


def _saving(result: ExperimentResult) -> float:
    return result.saving_ns.median if result.saving_ns else float("-inf")
