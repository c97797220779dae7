"""framework-overhead: time outside any operator."""

import numpy as np

from attrib.analysis.attribution.device.parts import DEVICE_PARTS
from attrib.findings.evidence.ledger_queries import (
    ENGINE_NAMES,
    both_times,
    ids,
    rows_of,
    side_ns,
    torch_is_eager,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import ROLES, Role
from attrib.units import format_ns, format_ratio


def audit(evidence: Evidence) -> RuleResult:
    """Compare what either framework spends outside its operators."""
    rows = rows_of(evidence, "framework")
    ort_ns, torch_ns = side_ns(rows, "onnxruntime"), side_ns(rows, "torch")
    slower = ort_ns > torch_ns
    return RuleResult(
        failed=bool(rows),
        rows=ids(rows),
        detail="more" if slower else "less",
        summary=f"Time outside any operator is {both_times(rows)}{_ratio(ort_ns, torch_ns)}." if rows else "",
        evidence=tuple(line for role in ROLES for line in _parts(evidence, role)),
        fix=_fix(evidence) if slower else _fix_of_torch(evidence),
    )


def _fix_of_torch(evidence: Evidence) -> str:
    compile_it = "; `--torch-mode compile` cuts PyTorch's" if torch_is_eager(evidence) else ""
    return f"Nothing to mend in ONNX Runtime{compile_it}."


def _ratio(ort_ns: int, torch_ns: int) -> str:
    """How many times as much the larger side spends."""
    least, most = sorted((ort_ns, torch_ns))
    name = ENGINE_NAMES["onnxruntime" if ort_ns > torch_ns else "torch"]
    return f"; {name} spends {format_ratio(most / least)} as much" if least > 0 and most > least else ""


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


def _fix(evidence: Evidence) -> str:
    parts = _parts(evidence, "onnxruntime")
    largest = max(parts, key=lambda part: part.value_ns or 0, default=None)
    if largest is not None and largest.text.startswith("ort executor:"):
        return "The executor's cost grows with the number of nodes: fuse them, or use a larger batch."
    return (
        "Keep inputs and outputs in OrtValues: `--io-binding`, or `session.run_with_ort_values` in your code."
    )


RULE = Rule(
    id="framework-overhead",
    passed="Framework overhead makes no measurable difference",
    failed="ONNX Runtime spends {} time outside operators",
    example="more",
    about=(
        "Between the operators PyTorch dispatches from Python, ONNX Runtime runs its executor, and around "
        "them stand the session and its API. On large models this is about one percent; on small ones it "
        "decides. The rule compares the ledger rows of the cause `framework`; it fires in either "
        "direction, because the dispatch that ONNX Runtime saves is a common reason for it to be faster."
    ),
    cause="framework",
    needs=("delta", "partitions"),
    direction="any",
    audit=audit,
    tier="remainder",
    catalog=("C23",),
    experiments=("io-binding", "parallel-execution", "memory-pattern-off", "arena-off", "torch-compile"),
)
