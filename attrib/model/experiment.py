"""`verify/*.json`: one file an experiment, with its predicted and its measured saving."""

from typing import Literal

import msgspec

from attrib.model.estimate import Delta, Estimate
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
        significant: The interval of the saving excludes 0.
        agrees: The intervals of predicted and measured overlap; None without a prediction.
        note: Why they do not agree, where that was found.
        outputs: How far the variant's outputs are from the original's.
        outputs_equal: All within the tolerance; None where they were not compared.
        plain_ns: Every plain step by block: `baseline` and `variant`, in the order of the rounds.
        snippet: Python that runs the change by itself; kept for `best`.
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
    significant: bool = False
    agrees: bool | None = None
    note: str = ""
    outputs: tuple[OutputDifference, ...] = ()
    outputs_equal: bool | None = None
    plain_ns: dict[str, tuple[tuple[int, ...], ...]] = {}
    snippet: str = ""
