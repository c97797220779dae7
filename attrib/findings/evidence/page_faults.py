"""What an engine's plain steps spend on page faults, and what would keep its memory in the process."""

import msgspec

from attrib.findings.protocol import Evidence
from attrib.model.estimate import Delta
from attrib.model.manifest import Manifest, Role

ARENA = "enable_cpu_mem_arena"
"""Option of ONNX Runtime's session: keep freed memory in an arena of its own."""

KEEP_MEMORY = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 34)}
"""Environment variables that let glibc take no memory by single mappings, and give none back (mallopt(3)).

To raise `MALLOC_MMAP_THRESHOLD_` instead would do on new versions only: old ones take no more than 32 MiB for it.
"""


LEAST_SHARE = 0.05
"""Share of the plain step from which on it is said: a choice. The price is what some 50 ms of measuring tell."""


class FaultCost(msgspec.Struct, frozen=True):
    """The page faults of a plain step of one engine.

    Attributes:
        count: How many.
        price_ns: What one costs.
        cost_ns: What all cost, with its interval.
        share: That over the plain step.
        launches: How many, launch by launch.
    """

    count: float
    price_ns: float
    cost_ns: Delta
    share: float
    launches: tuple[float, ...]

    @property
    def is_much(self) -> bool:
        """Whether they take enough of the step to be said."""
        return self.share >= LEAST_SHARE

    @property
    def is_sure(self) -> bool:
        """Whether another capture would have them: their interval over the launches excludes 0."""
        return self.cost_ns.low > 0

    @property
    def told(self) -> str:
        """How many, launch by launch."""
        return ", ".join(f"{count:,.0f}" for count in self.launches)


def fault_cost(evidence: Evidence, role: Role) -> FaultCost | None:
    """What the page faults of an engine cost; None where they were not counted, or have no price."""
    found = evidence.machine.faults.get(role) if evidence.machine else None
    step = evidence.latency.torch_ns if role == "torch" else evidence.latency.onnxruntime_ns
    if found is None or found.plain is None or found.cost_ns is None or step is None:
        return None
    share = found.cost_ns.median / max(step.median, 1)
    return FaultCost(found.plain, found.price_ns, found.cost_ns, min(share, 1.0), found.launches)


def why_not_kept(manifest: Manifest | None) -> str:
    """Why `KEEP_MEMORY` would change nothing; empty where it would."""
    if manifest is None or not manifest.environment.libc.startswith("glibc"):
        return "the C library is not known to be glibc, whose settings these are"
    given = dict(manifest.asked.env) if manifest.asked else {}
    return "the capture ran with it already" if given | KEEP_MEMORY == given else ""


def is_arena_off(manifest: Manifest | None) -> bool:
    """Whether ONNX Runtime was told to keep no memory of its own."""
    side = manifest.sides.get("onnxruntime") if manifest else None
    return side is not None and side.session_options.get(ARENA) == "0"
