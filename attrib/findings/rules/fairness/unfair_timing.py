"""unfair-timing: what was timed is not the same for both engines."""

from statistics import median, quantiles

from attrib.findings.evidence.advice import longer_blocks, longer_warm_up
from attrib.findings.evidence.stability import LEAST_BLOCKS, block_medians
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES
from attrib.units import format_ratio

COLD_FIRST = 0.05
"""What the first step of a block takes beyond the others, as a share of them all, in three blocks of four: what the other
engine left in the caches costs a first step a few percent after a lead-in, and one of hundreds is lost among them."""

COLD_BLOCK = 1.5
"""The first block over the slowest of the others: creation, tuning and compilation multiply a step; where a loaded machine
makes blocks scatter, others are as slow."""


def audit(evidence: Evidence) -> RuleResult:
    """Look for first runs among the timed steps, inputs that nobody compared, and steps without a protocol."""
    manifest = evidence.manifest
    if manifest is None or manifest.protocol is None:
        return RuleResult(
            failed=False,
            lacks="needs to know how the steps were timed: `attrib profile` times both engines itself, leaves first"
            " runs and session creation out, and waits for devices",
        )
    found = []  # what is wrong, and what helps
    if not manifest.workload.inputs_sha256:
        found.append(
            ("whether both engines got the same inputs was not recorded", "record with `attrib profile`")
        )
    for role, blocks in sorted(evidence.plain_ns.items()):
        name = ENGINE_NAMES[role]
        firsts = [
            (block[0] / rest, len(block))
            for block in blocks
            if len(block) > 2 and (rest := median(block[1:]))  # noqa: PLR2004
        ]
        ratios = [ratio for ratio, _ in firsts]
        shares = [(ratio - 1) / steps for ratio, steps in firsts]
        if len(shares) >= LEAST_BLOCKS and quantiles(shares, n=4)[0] > COLD_FIRST:
            text = f"the first step of a block of {name} takes {format_ratio(median(ratios))} as long as the others"
            found.append((text, longer_blocks(evidence)))
        medians = block_medians(blocks)
        if len(medians) >= LEAST_BLOCKS and medians[0] > COLD_BLOCK * max(medians[1:]):
            ratio = format_ratio(medians[0] / median(medians[1:]))
            found.append(
                (f"the first block of {name} takes {ratio} as long as the others", longer_warm_up(evidence))
            )
    protocol = manifest.protocol
    return RuleResult(
        failed=bool(found),
        detail="; ".join(text for text, _ in found),
        summary=f"{protocol.rounds} rounds of one block of {protocol.iterations} steps for either engine, in random order;"
        " session creation and warm-up are not in them.",
        evidence=tuple(EvidenceRow(text=text) for text, _ in found),
        fix="; ".join(dict.fromkeys(cure for _, cure in found)),
    )


RULE = Rule(
    id="unfair-timing",
    passed="Both engines were timed alike",
    failed="The engines were not timed alike: {}",
    example="the first block of ONNX Runtime takes 2.1× as long as the others",
    about=(
        "Most claims of a slow ONNX Runtime in old threads came from the timing: PyTorch timed without waiting for the GPU,"
        " no warm-up, session creation inside the loop, other inputs or another decoding (huggingface/optimum#1337,"
        " microsoft/onnxruntime#10303). attrib times both engines itself, so that the rule has only to look for first runs"
        " that are left in the timed blocks and for inputs that were not compared. To traces that"
        " someone else recorded it is not applicable."
    ),
    cause=None,
    needs=("manifest", "plain"),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C5",),
    unproved="It is about how the steps were timed: the cure is another recording, not another model.",
)
