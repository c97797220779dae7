"""launch-bound: the device waits for the host to launch its work."""

from collections.abc import Collection
from statistics import median

import msgspec

from attrib.findings.evidence.advice import either, fused_as_transformer, more_work, phrase, replayed
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES, ROLES, Role
from attrib.units import format_ns, format_percent

BUSY_LIMIT = 0.5
"""Share of the step: a device that is idle for more than half of it waits for the host, whatever its kernels cost."""

LEAST_KERNELS = 10
"""A step of fewer kernels has no launching to save."""


class _Use(msgspec.Struct, frozen=True):
    """The middle step of one engine: nanoseconds, and kernels."""

    role: Role
    busy: int
    wall: int
    kernels: int

    @property
    def share(self) -> float:
        return self.busy / self.wall if self.wall else 1.0

    @property
    def text(self) -> str:
        return (
            f"{ENGINE_NAMES[self.role]}: the device works {format_ns(self.busy)} of {format_ns(self.wall)} "
            f"({format_percent(self.share)}) in {self.kernels} kernels"
        )


def audit(evidence: Evidence) -> RuleResult:
    """Compare the device's busy time with the wall time of the step."""
    uses = []
    for role in ROLES:
        partition = evidence.partitions.get(role)
        device = partition.device if partition is not None else None
        if device is not None and device.walls_ns.size:
            plain = [step for block in evidence.plain_ns.get(role, ()) for step in block]
            walls = plain or device.walls_ns.tolist()  # recording slows the host, not the device
            busy, kernels = (int(median(column.tolist())) for column in (device.busy_ns, device.kernels))
            uses.append(_Use(role, busy, int(median(walls)), kernels))
    idle = [use for use in uses if use.share < BUSY_LIMIT and use.kernels >= LEAST_KERNELS]
    least = min(idle, key=lambda use: use.share, default=None)
    return RuleResult(
        failed=bool(idle),
        detail=f"{format_percent(1 - least.share)} of a step of {ENGINE_NAMES[least.role]}" if least else "",
        summary="; ".join(use.text for use in uses) + ".",
        evidence=tuple(EvidenceRow(text=use.text, value_ns=use.wall - use.busy) for use in idle),
        fix=_fix(evidence, {use.role for use in idle}),
    )


def _fix(evidence: Evidence, roles: Collection[Role]) -> str:
    """Ways to launch less, for the engines whose device waits."""
    ways = [phrase("launch less for the same work, by a larger batch: {}", more_work(evidence))]
    if "onnxruntime" in roles:
        ways.append(phrase("fuse nodes: {}", fused_as_transformer(evidence)))
        ways.append(phrase("replay a CUDA graph in ONNX Runtime: {}", replayed(evidence)))
    if "torch" in roles:
        ways.append("in PyTorch `torch.compile(model, mode='reduce-overhead')`")
    return either(*ways) or "Launch less: larger inputs, or fewer and larger operators."


RULE = Rule(
    id="launch-bound",
    passed="The device is busy for most of the step",
    failed="The device waits for the host during {}",
    example="92 % of a step of PyTorch",
    about=(
        "A small model on a GPU is as slow as its host can launch kernels, however fast they are. A CUDA graph took the"
        " 95th percentile of one transformer from 4.3 ms to 2.1 ms (microsoft/onnxruntime#9978). The rule compares the time"
        " in which the device did anything (overlapping streams counted once) with the wall time of the step that launched"
        " it, for each engine whose trace holds the device's work."
    ),
    cause=None,
    needs=("device",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C19",),
    experiments=("torch-compile", "io-binding"),
)
