"""provider-not-used: the whole session ran on another provider than was asked for."""

from collections import Counter

from attrib.findings.evidence.placement import executed_nodes, requested_provider
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.execution_providers import provider_row
from attrib.wording import counted, listed


def audit(evidence: Evidence) -> RuleResult:
    """Compare the provider that was asked for with those of the session and of its nodes."""
    used = Counter(node.provider for node in executed_nodes(evidence) if node.provider)
    if not used:
        return RuleResult(
            failed=False, lacks="needs a profile whose nodes name their provider (ONNX Runtime 1.0 or later)"
        )
    side = evidence.side("onnxruntime")
    if side is None:
        return RuleResult(failed=False, lacks="needs a manifest, which says which provider was asked for")
    wanted = requested_provider(evidence)
    if wanted in used:
        where = listed([f"{name} ({counted(count, 'node')})" for name, count in used.most_common()])
        return RuleResult(failed=False, summary=f"Nodes ran on {where}.")
    ran = listed([name for name, _ in used.most_common()])
    has = "has" if wanted in side.providers else "lacks"
    texts = (
        f"asked for: {listed(list(side.requested_providers))}",
        f"the session has {listed(list(side.providers))}: it {has} {wanted}",
        f"the nodes of a step ran on {ran}",
    )
    return RuleResult(
        failed=True,
        detail=f"{wanted} was asked for, and all {counted(sum(used.values()), 'node')} ran on {ran}",
        summary="Every other figure in this report is about that other device.",
        evidence=tuple(EvidenceRow(text=text) for text in texts),
        fix=f"`attrib doctor` says what is missing. {provider_row(wanted).cure}."
        " `session_options.add_session_config_entry('session.disable_cpu_ep_fallback', '1')` makes the silent fallback an"
        " error.",
    )


RULE = Rule(
    id="provider-not-used",
    passed="The execution provider that was asked for ran nodes",
    failed="The wrong device was measured: {}",
    example="CUDAExecutionProvider was asked for, and all 430 nodes ran on CPUExecutionProvider",
    about=(
        "If a provider's libraries cannot be loaded, ONNX Runtime says so in its log and runs everything on the CPU;"
        " `get_available_providers()` goes on to list it. The usual reason is a CUDA or cuDNN of another version"
        " (microsoft/onnxruntime#29913, danielgatis/rembg#841). The rule compares the provider that was asked for with"
        " those of the nodes in the profile. A pair of traces from elsewhere does not say what was asked for."
    ),
    cause=None,
    needs=("nodes",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C1",),
    unproved="What is missing is a library or a driver, which no option brings back; `attrib doctor` tries each provider.",
)
