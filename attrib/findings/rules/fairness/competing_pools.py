"""competing-pools: the engine that waits keeps cores busy."""

from attrib.findings.comparability.check import is_off
from attrib.findings.evidence.advice import SPINNING, either, phrase, spinning_off
from attrib.findings.evidence.stability import IDLE_LIMIT
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES
from attrib.units import format_percent


def audit(evidence: Evidence) -> RuleResult:
    """Read the processor time that each worker used while the other one was measured."""
    sides = evidence.manifest.sides if evidence.manifest else {}
    shares = {role: side.idle_cpu_share for role, side in sides.items() if side.state == "complete"}
    if not shares:
        return RuleResult(
            failed=False, lacks="needs the processor time of the waiting engine: `attrib profile` notes it"
        )
    used = [
        f"{ENGINE_NAMES[role]} used {format_percent(share)} of a core"
        for role, share in shares.items()
        if share > IDLE_LIMIT
    ]
    text = ", ".join(f"{ENGINE_NAMES[role]} {format_percent(share)}" for role, share in shares.items())
    ort = evidence.side("onnxruntime")
    spins = ort is not None and not is_off(ort.session_options.get(SPINNING, "").lower())
    busy = [role for role, share in shares.items() if share > IDLE_LIMIT]
    return RuleResult(
        failed=bool(used),
        detail=" and ".join(used),
        summary=f"Processor time of the waiting engine, in cores: {text}. ONNX Runtime's threads"
        f" {'may' if spins else 'do not'} spin.",
        evidence=tuple(EvidenceRow(text=f"{one} while the other engine ran") for one in used),
        fix=either(
            phrase("stop ONNX Runtime's threads from spinning: {}", spinning_off(evidence, busy)),
            "give both engines threads that add up to no more than the cores",
        ),
    )


RULE = Rule(
    id="competing-pools",
    passed="The engine that waits leaves the cores to the other one",
    failed="The engine that waits keeps cores busy: {}",
    example="ONNX Runtime used 100 % of a core",
    about=(
        "Both engines keep threads that spin for a while when they have nothing to do. In one process they take the cores"
        " from each other: after a run of ONNX Runtime one `torch.mm` took 33.3 ms instead of 11.7 ms here, and fifty times"
        " as long in microsoft/onnxruntime#13808. attrib gives each engine a process of its own and measures what the"
        " waiting one uses; the rule fires where that is more than a tenth of a core. What it costs the other engine is not"
        " claimed: only the experiments show it."
    ),
    cause=None,
    needs=("manifest",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C16",),
    experiments=("spinning-off", "threads"),
)
