"""The headline: plain steps of both sides, their medians, and the interval of the difference."""

from collections.abc import Mapping
from dataclasses import dataclass

from attrib.attribute.bootstrap import Floats, median_replicates
from attrib.attribute.paired import Blocks, difference, estimate
from attrib.model.document import Latency
from attrib.model.manifest import Role


@dataclass(frozen=True, slots=True, eq=False)
class Headline:
    """The latency and, for the ledger, the replicates of either side's median (None where a side was not timed)."""

    latency: Latency
    replicates: Mapping[Role, Floats]
    rounds: int


def headline(plain: Mapping[Role, Blocks]) -> Headline:
    """Medians of the plain steps and the difference between them.

    Args:
        plain: Plain wall times by role and block number; a side that was not timed is absent or empty.
    """
    timed: dict[Role, Blocks] = {role: blocks for role, blocks in plain.items() if blocks}
    if not timed:
        return Headline(Latency(torch_ns=None, onnxruntime_ns=None, delta_ns=None, significant=False), {}, 0)
    rounds = len(set.intersection(*(set(blocks) for blocks in timed.values())))
    if not rounds:
        rounds, timed = len(next(iter(timed.values()))), dict(list(timed.items())[:1])
    replicates = dict(zip(timed, median_replicates(list(timed.values())), strict=True))
    estimates = {role: estimate(blocks, replicates[role], rounds) for role, blocks in timed.items()}
    torch, ort = estimates.get("torch"), estimates.get("onnxruntime")
    delta = (
        difference((torch, replicates["torch"]), (ort, replicates["onnxruntime"]), rounds)
        if torch and ort
        else None
    )
    return Headline(
        Latency(
            torch_ns=torch,
            onnxruntime_ns=ort,
            delta_ns=delta,
            significant=delta is not None and not delta.low <= 0 <= delta.high,
        ),
        replicates,
        rounds,
    )
