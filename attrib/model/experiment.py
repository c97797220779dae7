"""`verify/*.json`: one file an experiment, with its predicted and its measured saving."""

import math
from typing import Literal

import msgspec

from attrib.model.builds import BuildComparison
from attrib.model.estimate import Delta, Estimate, Ratio
from attrib.model.manifest import OutputDifference, Role

# Format history
# 1  first published version
EXPERIMENT_VERSION = 1

VERIFY_FOLDER = "verify"

ExperimentState = Literal["measured", "failed", "timed_out", "unavailable", "not_applicable", "interrupted"]
"""How an experiment ended. `unavailable`: a package or provider is missing; `not_applicable`: it would change nothing
here. A result that is not `measured` says why in `reason`."""

PredictionKind = Literal["estimate", "at_most", "at_least"]
BOUND_WORDS: dict[PredictionKind, str] = {"estimate": "", "at_most": "at most ", "at_least": "at least "}
"""Words before a predicted figure."""

SMALLEST = 0.02
"""The smallest effect of interest, as a share of the slower step."""


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """The saving that a profile predicts, written down before it is measured. Positive saves time.

    Attributes:
        kind: `estimate`: the profile holds the time that goes away; `at_most`: it holds an upper bound of it, and `low`
            is 0; `at_least`: more time goes away than the profile can show.
        saving_ns: The saving with its 95 % interval, nanoseconds a step.
        basis: What it rests on, in one sentence with figures.
        rows: Ids of the ledger rows behind it.
    """

    kind: PredictionKind
    saving_ns: Delta
    basis: str
    rows: tuple[str, ...] = ()

    @property
    def bounds(self) -> tuple[float, float]:
        """From where to where a measured saving agrees with it, nanoseconds."""
        ends = self.saving_ns
        if self.kind == "at_most":
            return min(0, ends.low), ends.high
        return ends.low, math.inf if self.kind == "at_least" else ends.high


class ExperimentResult(msgspec.Struct, frozen=True, kw_only=True):
    """One change, applied and measured in plain blocks that interleave with the original's.

    Attributes:
        format_version: Version of this file.
        id: The experiment, e.g. `spinning-off` or `without-SkipLayerNormFusion`; also the file's name.
        title: What was changed, for a reader.
        side: Which engine was changed; the other one took no part.
        findings: Ids of the findings whose fix this is.
        flags: What to add to the `attrib profile` command line; empty where options alone cannot say it.
        parts: Ids of the experiments that a stacked one (`best`) consists of.
        changes_numbers: The change is declared to change the numbers (fp16, int8, pruned heads).
        state: How it ended.
        reason: Why it is not `measured`; empty otherwise.
        predicted: None where the profile cannot say, and `unpredicted` says why.
        baseline_ns: Plain step of the original in this run.
        variant_ns: Plain step with the change.
        saving_ns: Baseline minus variant with its interval: positive saves time.
        ratio: `baseline_ns` over `variant_ns`, measured side by side; None in results of older versions.
        significant: The interval of the saving excludes 0.
        settled: It is sure enough for what it is to show; what is not settled neither agrees nor misses.
        agrees: The intervals of predicted and measured overlap; None without a prediction, and where it is not settled.
        note: Why they do not agree, where that was found, or why nothing is settled.
        outputs: How far the variant's outputs are from the original's.
        outputs_equal: All within the tolerance; None where they were not compared.
        plain_ns: Every plain step that counts, by block: `baseline` and `variant`, in the order of the rounds.
        launches: Which start of the processes each round belongs to; empty in results of older versions, which had one.
        busy: Something else disturbed most rounds, however often they were measured.
        snippet: Python that runs the change by itself; kept for `best`.
        builds: Node by node, where the change is another build of ONNX Runtime.
    """

    format_version: int = EXPERIMENT_VERSION
    id: str
    title: str
    side: Role
    findings: tuple[str, ...] = ()
    flags: str = ""
    parts: tuple[str, ...] = ()
    changes_numbers: bool = False
    state: ExperimentState
    reason: str = ""
    predicted: Prediction | None = None
    unpredicted: str = ""
    baseline_ns: Estimate | None = None
    variant_ns: Estimate | None = None
    saving_ns: Delta | None = None
    ratio: Ratio | None = None
    significant: bool = False
    settled: bool = True
    agrees: bool | None = None
    note: str = ""
    outputs: tuple[OutputDifference, ...] = ()
    outputs_equal: bool | None = None
    plain_ns: dict[str, tuple[tuple[int, ...], ...]] = {}
    launches: tuple[int, ...] = ()
    busy: bool = False
    snippet: str = ""
    builds: BuildComparison | None = None

    @property
    def saved_share(self) -> float | None:
        """The saving as a share of the step beside it; by this, not by times, separate experiments are ordered and drawn."""
        if self.saving_ns is None or self.baseline_ns is None or not self.baseline_ns.median:
            return None
        return self.saving_ns.median / self.baseline_ns.median


def is_settled(result: ExperimentResult) -> bool:
    """Whether a measured saving is sure enough to count for its prediction or against it.

    On a busy machine it is not: what other programs take differs between the sides as well. Otherwise, where the whole
    interval lies within what is predicted, or none of it, it is. An interval that reaches over an end could be either, and
    says something only where it is narrow: half of it is at most half of the predicted saving, or the smallest effect of
    interest. Without a prediction the question is whether it saves or costs time.
    """
    saving, predicted = result.saving_ns, result.predicted
    if saving is None:
        return True
    if result.busy:
        return False
    low, high = predicted.bounds if predicted else (0.0, math.inf)
    if saving.high < low or saving.low > high or low <= saving.low <= saving.high <= high:
        return True
    effect = abs(predicted.saving_ns.median) / 2 if predicted else 0.0
    slower = max((step.median for step in (result.baseline_ns, result.variant_ns) if step), default=0)
    return saving.half_width <= max(effect, SMALLEST * slower)


def judged_by_width(result: ExperimentResult) -> ExperimentResult:
    """The result; one of an older version, which did not look at the width, neither agrees nor misses where it is wide."""
    if result.launches or is_settled(result):
        return result
    return msgspec.structs.replace(result, settled=False, agrees=None)
