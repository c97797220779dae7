"""first-shape-cost: the first run of a shape takes far longer than the others."""

from collections.abc import Collection
from statistics import median

import msgspec

from attrib.findings.evidence.advice import change, either
from attrib.findings.evidence.placement import runs_on_gpu
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES, ROLES, Role
from attrib.units import format_ns, format_ratio

LEAST_STEPS = 10
"""A first run that costs fewer steps than this is paid back within a second of any service."""

LEAST_NS = 100_000_000
"""A tenth of a second: below, nobody sees a slow first answer."""


class _First(msgspec.Struct, frozen=True):
    """The first run of an engine, and a run of it when warm; nanoseconds."""

    role: Role
    first: int
    warm: int

    @property
    def is_costly(self) -> bool:
        return self.first - self.warm > max(LEAST_NS, LEAST_STEPS * self.warm)

    @property
    def text(self) -> str:
        times = format_ratio(self.first / self.warm)
        name = ENGINE_NAMES[self.role]
        return (
            f"{name}: {format_ns(self.first)} for the first run, {format_ns(self.warm)} when warm ({times})"
        )


def audit(evidence: Evidence) -> RuleResult:
    """Compare the first run with the warm ones: of the capture's warm-up, else of a session profiled from its start."""
    known = []
    for role in ROLES:
        warm_up, plain = evidence.warmup_ns.get(role, ()), evidence.plain_ns.get(role, ())
        steps = [step for block in plain for step in block]
        partition = evidence.partitions.get(role)
        if warm_up and steps:
            known.append(_First(role, warm_up[0], int(median(steps))))
        elif not steps and partition is not None and partition.earlier_ns:
            known.append(_First(role, partition.earlier_ns[0], int(median(partition.walls_ns.tolist()))))
    if not known:
        return RuleResult(
            failed=False,
            lacks="needs the runs before the measured ones: `attrib profile` keeps the warm-up in latency.parquet",
        )
    costly = [first for first in known if first.is_costly]
    worst = max(costly, key=lambda first: first.first, default=None)
    effect = (
        " The first run is in no figure of this report. It comes back for each new shape where an engine tunes or compiles"
        " by shape."
    )
    return RuleResult(
        failed=bool(costly),
        detail=f"{format_ns(worst.first)} instead of {format_ns(worst.warm)}" if worst else "",
        summary="; ".join(first.text for first in known) + "." + (effect if costly else ""),
        evidence=tuple(EvidenceRow(text=first.text, value_ns=first.first - first.warm) for first in costly),
        fix=_fix(evidence, {first.role for first in costly}),
    )


def _fix(evidence: Evidence, roles: Collection[Role]) -> str:
    """What helps the engines whose first run is costly."""
    convolves = evidence.ran is not None and any(node.op == "Conv" for node in evidence.ran.nodes)
    torch = evidence.side("torch")
    ways = ["run each shape once before serving, and pad to a few shapes"]
    if "onnxruntime" in roles and runs_on_gpu(evidence) and convolves:
        heuristic = change("--provider-option cudnn_conv_algo_search=HEURISTIC")
        ways.append(f"choose the algorithm of convolutions without trying all of them: {heuristic}")
    if "torch" in roles and torch is not None and torch.mode == "compile":
        ways.append("compile for all shapes at once in your code: `torch.compile(model, dynamic=True)`")
    return either(*ways)


RULE = Rule(
    id="first-shape-cost",
    passed="The first run is not much slower than the others",
    failed="The first run takes {}",
    example="634 ms instead of 1.9 ms",
    about=(
        "Some engines choose or build kernels when they meet a shape for the first time: cuDNN's exhaustive search took 634"
        " ms where the convolution takes 1.9 ms (microsoft/onnxruntime#6978). Steady steps hold nothing of it, but inputs"
        " of many lengths pay it again and again, and a benchmark without warm-up measures nothing else. The rule compares"
        " the first step of the warm-up, or the first run of a profile, with the median of the warm ones."
    ),
    cause=None,
    needs=(),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C17",),
    unproved="Warm steps do not hold this cost, so no measurement of steps can show that it is gone.",
)
