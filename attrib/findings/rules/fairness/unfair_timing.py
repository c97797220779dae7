"""unfair-timing: what was timed is not the same for both engines."""

from collections.abc import Iterator
from statistics import median, quantiles

from attrib.findings.evidence.ledger_queries import ENGINE_NAMES
from attrib.findings.evidence.stability import LEAST_BLOCKS, block_medians
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import Manifest, Role
from attrib.units import format_ratio

COLD_FIRST = 1.25
"""The first step of a block over the rest of it, in three blocks of four: what the other engine left in the caches costs a
few percent after a lead-in."""

COLD_BLOCK = 1.5
"""The first block over the slowest of the others: creation, tuning and compilation multiply a step; where a loaded machine
makes blocks scatter, others are as slow."""

Problem = tuple[str, str]
"""What is wrong, and what mends it."""


def audit(evidence: Evidence) -> RuleResult:
    """Look for first runs among the timed steps, inputs that nobody both_times, and steps without a protocol."""
    manifest = evidence.manifest
    if manifest is None or manifest.protocol is None:
        return RuleResult(
            failed=False,
            lacks="needs to know how the steps were timed: `attrib profile` times both engines itself, leaves first "
            "runs and session creation out, and waits for devices",
        )
    found = [
        *_inputs(manifest),
        *(p for role, blocks in sorted(evidence.plain_ns.items()) for p in _first_runs(role, blocks)),
    ]
    protocol = manifest.protocol
    return RuleResult(
        failed=bool(found),
        detail="; ".join(text for text, _ in found),
        summary=f"{protocol.rounds} rounds of one block of {protocol.iterations} steps for either engine, in "
        f"random order; "
        "session creation and warm-up are not in them.",
        evidence=tuple(EvidenceRow(text=text) for text, _ in found),
        fix="; ".join(dict.fromkeys(cure for _, cure in found)),
    )


def _inputs(manifest: Manifest) -> Iterator[Problem]:
    if not manifest.workload.inputs_sha256:
        yield "nobody noted whether both engines got the same inputs", "record with `attrib profile`"


def _first_runs(role: Role, blocks: tuple[tuple[int, ...], ...]) -> Iterator[Problem]:
    name = ENGINE_NAMES[role]
    ratios = [block[0] / median(block[1:]) for block in blocks if len(block) > 2 and median(block[1:])]  # noqa: PLR2004
    if len(ratios) >= LEAST_BLOCKS and quantiles(ratios, n=4)[0] > COLD_FIRST:
        text = f"the first step of a block of {name} takes {format_ratio(median(ratios))} of the others"
        yield text, "more steps in a block: `--iterations 20`"
    medians = block_medians(blocks)
    if len(medians) >= LEAST_BLOCKS and medians[0] > COLD_BLOCK * max(medians[1:]):
        ratio = format_ratio(medians[0] / median(medians[1:]))
        yield f"the first block of {name} takes {ratio} of the others", "raise `--warmup`"


RULE = Rule(
    id="unfair-timing",
    passed="Both engines were timed alike",
    failed="The engines were not timed alike: {}",
    example="the first block of ONNX Runtime takes 2.1× of the others",
    about=(
        "Most claims of a slow ONNX Runtime in old threads were clocks: PyTorch timed without waiting for the "
        "GPU, no warm-up, "
        "session creation inside the loop, other inputs or another decoding (huggingface/optimum#1337, "
        "microsoft/onnxruntime#10303). attrib times both engines itself, so that the rule has only to look for "
        "first runs that "
        "are left in the timed blocks and for inputs that were not compared. Of traces that someone else "
        "recorded it cannot "
        "tell, and says so."
    ),
    cause=None,
    needs=("manifest", "plain"),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C5",),
    unproved="It is about how the steps were timed: the cure is another recording, not another model.",
)
