"""What `attrib verify` measured, brought to the findings whose fix it applied."""

from collections.abc import Iterable

import msgspec

from attrib.model.document import Finding, Verified
from attrib.model.experiment import ExperimentResult, judged_by_width


def by_saving(experiments: Iterable[ExperimentResult]) -> tuple[ExperimentResult, ...]:
    """The experiments with the largest measured saving first; those that were not measured last, by name."""
    return tuple(sorted(experiments, key=lambda result: (-_saved(result), result.id)))


def without_steps(result: ExperimentResult) -> ExperimentResult:
    """The result without its single steps, which stay in the trace directory."""
    return msgspec.structs.replace(judged_by_width(result), plain_ns={})


def with_verified(
    findings: Iterable[Finding], experiments: Iterable[ExperimentResult]
) -> tuple[Finding, ...]:
    """The findings, each with the best of its measured experiments; those that kept the outputs come first."""
    measured = [result for result in experiments if result.saving_ns is not None]
    found = []
    for finding in findings:
        own = [result for result in measured if finding.id in result.findings]
        best = max(own, key=lambda result: (result.outputs_equal is True, _saved(result)), default=None)
        if best is not None and best.saving_ns is not None:
            verified = Verified(
                measured_ns=best.saving_ns.median,
                low_ns=best.saving_ns.low,
                high_ns=best.saving_ns.high,
                outputs_equal=best.outputs_equal is True,
                experiment=best.id,
                agrees=best.agrees,
            )
            finding = msgspec.structs.replace(finding, verified=verified)  # noqa: PLW2901
        found.append(finding)
    return tuple(found)


def _saved(result: ExperimentResult) -> float:
    """The measured saving as a share of its own run's step; less than any other where none was measured."""
    return float("-inf") if result.saved_share is None else result.saved_share
