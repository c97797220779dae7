"""engine-rebuild: a compiled partition that was built again in the middle of the steps."""

import numpy as np

from attrib.analysis.match.compiled import is_compiled
from attrib.findings.evidence.advice import either, fixed_sizes, phrase
from attrib.findings.evidence.placement import executed_nodes
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_ns
from attrib.wording import counted

SPIKE_NS = 1_000_000_000
"""Building an engine takes seconds; no node of a warm step of a transformer does."""

SPIKE_RATIO = 20
"""A step over the median of the same node."""


def audit(evidence: Evidence) -> RuleResult:
    """Look for single steps in which a compiled partition took seconds."""
    compiled = [node for node in executed_nodes(evidence) if is_compiled(node)]
    if not compiled:
        return RuleResult(failed=False, summary="No node is a compiled part of the graph.")
    partition = evidence.partitions["onnxruntime"]
    spikes = []
    for node, spent in zip(partition.work, partition.work_ns, strict=True):
        usual = float(np.median(spent))
        slow = (spent > SPIKE_NS) & (spent > SPIKE_RATIO * usual)
        for step in np.flatnonzero(slow).tolist() if is_compiled(node) else ():
            text = f"{node.id}: {format_ns(int(spent[step]))} in profiled step {step}, usually {format_ns(usual)}"
            spikes.append(EvidenceRow(text=text, value_ns=int(spent[step] - usual)))
    return RuleResult(
        failed=bool(spikes),
        detail=counted(len(spikes), "step"),
        summary=f"{counted(len(compiled), 'compiled part')} of the graph in"
        f" {counted(partition.steps, 'profiled step')}; "
        + ("most steps are quick." if spikes else "none took seconds in any of them."),
        evidence=tuple(spikes),
        fix=either(
            "give TensorRT the shapes beforehand, `trt_profile_min_shapes`, `trt_profile_opt_shapes` and"
            " `trt_profile_max_shapes`, and keep its engines, `trt_engine_cache_enable=1`",
            phrase("fix the shapes: {}", fixed_sizes(evidence)),
            "pad to a few lengths",
        ),
    )


RULE = Rule(
    id="engine-rebuild",
    passed="No compiled part of the graph was built again while it ran",
    failed="A compiled part of the graph was built again in {}",
    example="2 steps",
    about=(
        "TensorRT builds an engine for a range of shapes. An input outside of it makes the provider build another one inside"
        " `run`: 30 to 40 seconds for each new length (microsoft/onnxruntime#13559, triton-inference-server/server#6792)."
        " The rule looks for steps in which a compiled partition took more than a second, and twenty times its usual time."
    ),
    cause=None,
    needs=("nodes",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C18",),
    experiments=("static-shapes",),
)
