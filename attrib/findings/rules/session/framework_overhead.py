"""framework-overhead: time outside any operator."""

import numpy as np

from attrib.analysis.attribution.device.parts import DEVICE_PARTS
from attrib.findings.evidence.advice import bound, phrase, try_compiled
from attrib.findings.evidence.ledger_queries import both_times, ids, rows_of, side_ns
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ENGINE_NAMES, Role
from attrib.units import format_ns, format_ratio


def audit(evidence: Evidence) -> RuleResult:
    """Compare what either framework spends outside its operators."""
    rows = rows_of(evidence, "framework")
    ort_ns, torch_ns = side_ns(rows, "onnxruntime"), side_ns(rows, "torch")
    least, most = sorted((ort_ns, torch_ns))
    more = ENGINE_NAMES["onnxruntime" if ort_ns > torch_ns else "torch"]
    ratio = f"; {more} spends {format_ratio(most / least)} as much" if least > 0 and most > least else ""
    parts = _parts(evidence, "onnxruntime")
    largest = max(parts, key=lambda part: part.value_ns or 0, default=None)
    if ort_ns <= torch_ns:
        fix = "Nothing needs to change in ONNX Runtime." + try_compiled(
            evidence, "{} cuts what PyTorch spends."
        )
    elif largest is not None and largest.text.startswith("ort executor:"):
        fix = "The executor's cost grows with the number of nodes: fuse them, or use a larger batch."
    else:
        fix = (
            "Keep inputs and outputs in OrtValues: "
            + phrase("{}, or ", bound(evidence))
            + "`session.run_with_ort_values(names, inputs)` in your code."
        )
    return RuleResult(
        failed=bool(rows),
        rows=ids(rows),
        detail="more" if ort_ns > torch_ns else "less",
        summary=f"Time outside any operator is {both_times(rows)}{ratio}." if rows else "",
        evidence=(*_parts(evidence, "torch"), *parts),
        fix=fix,
    )


def _parts(evidence: Evidence, role: Role) -> list[EvidenceRow]:
    """Each named part of a framework with its profiled time in a step."""
    partition = evidence.partitions[role]
    if not partition.steps:
        return []
    medians = np.median(partition.parts_ns, axis=1).astype(int).tolist()
    return [
        EvidenceRow(text=f"{part}: {format_ns(spent)} of a profiled step", value_ns=spent)
        for part, spent in zip(partition.parts, medians, strict=True)
        if DEVICE_PARTS.get(part, "framework") == "framework"
    ]


RULE = Rule(
    id="framework-overhead",
    passed="Framework overhead makes no measurable difference",
    failed="ONNX Runtime spends {} time outside operators",
    example="more",
    about=(
        "Between the operators PyTorch dispatches from Python, ONNX Runtime runs its executor, and around them stand the"
        " session and its API. On large models this is about one percent; on small ones it decides. The rule compares the"
        " ledger rows of the cause `framework`; it fires in either direction, because the dispatch that ONNX Runtime saves"
        " is a common reason for it to be faster."
    ),
    cause="framework",
    needs=("delta", "partitions"),
    direction="any",
    audit=audit,
    tier="remainder",
    catalog=("C23",),
    experiments=("io-binding", "parallel-execution", "memory-pattern-off", "arena-off", "torch-compile"),
)
