"""`verify/*.json`: one file an experiment, with its predicted and its measured saving."""

import math
from typing import Literal

import msgspec

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


# Two builds of ONNX Runtime on one model. Durations are integer nanoseconds of a profiled step: they hold the cost of
# recording, which both builds pay. A change is after minus before: positive means that the second build takes longer.


class RuntimeBuild(msgspec.Struct, frozen=True, kw_only=True):
    """One build, and what a profiled step took in it.

    Attributes:
        package: The package that brought it, e.g. `onnxruntime-openvino`; empty where the build does not say.
        version: Its version.
        python: Version of the interpreter that ran it.
        nodes: How many nodes a step executes.
        node_ns: What all of them take.
        outside_ns: What the rest of the step takes: executor, session and the call from Python.
    """

    package: str
    version: str
    python: str
    nodes: int
    node_ns: int
    outside_ns: int

    @property
    def name(self) -> str:
        """Package and version as a reader writes them."""
        return f"{self.package or 'onnxruntime'} {self.version}"


class BuildNodes(msgspec.Struct, frozen=True, kw_only=True):
    """What some nodes of the exported graph became in one build.

    Attributes:
        ops: Ops of the nodes that ran, with a count where one occurs several times; as in one of the modules.
        nodes: Names of the nodes that ran, as the profile has them; long lists are cut.
        more: How many names were cut.
        rewrites: What its optimizer did here and the other build's did not, one sentence each.
        ns: What they take together.
    """

    ops: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    more: int = 0
    rewrites: tuple[str, ...] = ()
    ns: int = 0


class NodeChange(msgspec.Struct, frozen=True, kw_only=True):
    """The same work in both builds: nodes of the exported graph, whatever either optimizer made of them.

    Work of the same kind in modules that differ only by a number stands in one entry.

    Attributes:
        module: The module of the exported nodes, `*` where several differ by a number only; the name of a node where the
            exporter recorded no module.
        exported: Ops of the exported nodes, as in one of the modules; empty for nodes that a build put in.
        count: How many are summed here.
        before: What they became in the first build.
        after: In the second one.
        change_ns: The change with its 95 % interval.
        rewritten: The builds run other ops for it.
        certain: The interval of the change excludes 0 by more than chance among so many, and it is large enough, or the ops
            are others.
    """

    module: str
    exported: tuple[str, ...]
    count: int
    before: BuildNodes
    after: BuildNodes
    change_ns: Delta
    rewritten: bool
    certain: bool


class BuildComparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two builds of ONNX Runtime, node by node.

    Attributes:
        before: The build of the capture.
        after: The one that it was compared with.
        changes: Changes that are certain first, then other nodes, each the largest first. Together with those left out they
            sum to the change of the nodes' time exactly.
        left_out: How many entries were left out.
        left_out_before_ns: What these take in the first build.
        left_out_after_ns: In the second one.
        launches: Launches behind the intervals.
        matched: By what nodes of the two builds are the same work: `graph`, through the exported graph, or `name`, where a
            build saves no graph.
        remarks: What the reader should know, one sentence each.
    """

    before: RuntimeBuild
    after: RuntimeBuild
    changes: tuple[NodeChange, ...]
    left_out: int = 0
    left_out_before_ns: int = 0
    left_out_after_ns: int = 0
    launches: int = 1
    matched: str = "graph"
    remarks: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether package and version are the same on both sides, so that it is an A/A comparison."""
        return (self.before.package, self.before.version) == (self.after.package, self.after.version)


# Predicted and measured


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
