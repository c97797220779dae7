"""kept-memory, torch-kept-memory: let the C library of an engine's process keep the memory that is freed.

What that saves is not predicted: how many page faults a process takes is luck, and a measurement has its own processes. The
bench notes how many it saw on either side.
"""

from msgspec.structs import replace

from attrib.capture.config.variables import variables_of
from attrib.findings.evidence.page_faults import KEEP_MEMORY, fault_cost, why_not_kept
from attrib.model.manifest import Role
from attrib.units import format_ns
from attrib.verify.experiments.change import Variants, experiment, variant
from attrib.verify.protocol import Experiment, ExperimentContext, Inapplicable, Variant

LEAST_SHARE = 0.01
"""Share of the step that page faults must take: what is less is not seen in a measurement."""

_SIDES: tuple[tuple[Role, str, str], ...] = (
    ("onnxruntime", "kept-memory", "Freed memory stays in the process"),
    ("torch", "torch-kept-memory", "PyTorch: freed memory stays in the process"),
)


def _variants(role: Role, name: str, title: str) -> Variants:
    def variants(context: ExperimentContext) -> tuple[Variant, ...] | Inapplicable:
        if why := why_not_kept(context.manifest):
            return Inapplicable(reason=why)
        found = fault_cost(context.evidence, role)
        if found is None:
            return Inapplicable(reason="the capture did not count and price the page faults of each step")
        if found.share < LEAST_SHARE:
            return Inapplicable(
                reason=f"a step takes {found.count:,.0f} page faults: there is nothing to save"
            )
        given = variables_of(context.options.env) | KEEP_MEMORY
        options = replace(context.options, env=tuple(f"{key}={value}" for key, value in given.items()))
        why = (
            f"page faults took {format_ns(found.cost_ns.median)} of a step of this capture; how many other processes take is"
            " luck of where their memory lies"
        )
        return (variant(name, title, options, None, why),)

    return variants


EXPERIMENTS: tuple[Experiment, ...] = tuple(
    experiment(
        name,
        title,
        "Lets glibc map no result by itself and give nothing back to the system, so that each step finds the memory of the"
        " one before it.",
        role,
        _variants(role, name, title),
        flags=" ".join(f"--env {key}={value}" for key, value in KEEP_MEMORY.items()),
        basis="none: how many page faults a process takes is luck of where its memory lies",
    )
    for role, name, title in _SIDES
)
