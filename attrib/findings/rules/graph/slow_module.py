"""slow-module: a module that PyTorch computes in many small calls.

Numbered cases, cited in the code. Calls that compute nothing (views, dropout, a tensor of zeros) do not count. A module
counts by its own calls if

1. there are at least three and no matrix product among them: a formula that was written out; or
2. there are many, and no softmax, attention or recurrent layer among them: work that was cut into pieces.

Its rows must hold as many of them as case 1 asks for: where other causes have the rest, no formula is left. The model itself
is none: it prepares masks and positions for all the others.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable

from attrib.analysis.match.ops import PRODUCT_CALLS, SEQUENCES, base_op, computes
from attrib.findings.evidence.advice import try_compiled
from attrib.findings.evidence.attention import ATTENTION_CALLS
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    both_times,
    calls_of,
    delta_ns,
    fold_layers,
    group_by_module,
    ids,
    nodes_of,
    op_counts,
    rows_line,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import LedgerRow
from attrib.model.work import Work
from attrib.wording import counted, listed

WRITTEN_OUT = 3
"""Computing calls of one module for what one operator could do."""

IN_PIECES = 8
"""Computing calls of one module, products included. An eager attention has five."""

PRODUCTS = PRODUCT_CALLS | {
    "bilinear", "einsum", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
}  # fmt: skip
WHOLE = ATTENTION_CALLS | SEQUENCES | {"softmax"}
"""Calls that tell an attention, which is a module of several calls by its nature, or that are many computations in one."""

FILLS = frozenset({"zeros", "ones", "full", "empty", "arange", "scalar_tensor"})
"""Calls that make a tensor out of nothing; `new_` before or `_like` behind tells what it takes after."""

CAUSES = frozenset({"kernel", "fused", "decomposed", "missing_work"})


def audit(evidence: Evidence) -> RuleResult:
    """Name the modules, and weigh their rows."""
    slow = modules_written_out(evidence)
    chosen = [row for row in evidence.ledger.rows if row.cause in CAUSES and _module(evidence, row) in slow]
    left = Counter(call.scope for call in _computing(evidence, chosen))
    rows = [row for row in chosen if left[_module(evidence, row)] >= WRITTEN_OUT]
    if not rows:
        return RuleResult(
            failed=False, summary="No module of PyTorch computes in many calls what an operator could do."
        )
    modules = list(dict.fromkeys(fold_layers(_module(evidence, row)) for row in rows))
    calls = counted(len(calls_of(rows)), "call")
    lines = []
    for module, group in group_by_module(rows)[:MOST_GROUPS]:
        ops = op_counts(evidence, "torch", calls_of(group))
        nodes = op_counts(evidence, "onnxruntime", nodes_of(group)) or "no node"
        lines.append(rows_line(f"{module}: {ops} in PyTorch, {nodes} in ONNX Runtime, ", group))
    return RuleResult(
        failed=delta_ns(rows) < 0,
        rows=ids(rows),
        detail=f"{listed(modules)} in {calls}",
        summary=f"{calls} of PyTorch beside {counted(len(nodes_of(rows)), 'node')}: {both_times(rows)}.",
        evidence=tuple(lines),
        fix="In PyTorch use the operator itself (`nn.functional.gelu`, `nn.functional.layer_norm`, one `nn.Linear`) in place"
        " of its formula or its pieces."
        + try_compiled(evidence, "{} shows what fusing the calls gives.")
        + " Nothing needs to change in ONNX Runtime.",
    )


def modules_written_out(evidence: Evidence) -> frozenset[str]:
    """Modules that count (cases 1 and 2), by name."""
    own: dict[str, list[str]] = defaultdict(list)
    for call in evidence.work.get("torch", {}).values():
        if call.scope and _computes(call):
            own[call.scope].append(base_op(call.op))
    return frozenset(
        module
        for module, ops in own.items()
        if WHOLE.isdisjoint(ops)
        and (len(ops) >= IN_PIECES or (len(ops) >= WRITTEN_OUT and PRODUCTS.isdisjoint(ops)))
    )


def _computes(call: Work) -> bool:
    filled = base_op(call.op).removeprefix("new_").removesuffix("_like")
    return computes(call) and filled not in FILLS and not call.members


def _computing(evidence: Evidence, rows: Iterable[LedgerRow]) -> list[Work]:
    calls = (evidence.work["torch"].get(name) for name in calls_of(rows))
    return [call for call in calls if call is not None and _computes(call)]


def _module(evidence: Evidence, row: LedgerRow) -> str:
    """The module with the most of a row's computing calls; empty where it has none, or was folded into a constant."""
    counts = Counter(call.scope for call in _computing(evidence, [row]))
    return "" if row.match.method == "folded" else max(counts, key=lambda scope: counts[scope], default="")


RULE = Rule(
    id="slow-module",
    passed="No module of PyTorch is slow for the number of its calls",
    failed="PyTorch computes {}",
    example="encoder.layer.*.act in 10 calls",
    about=(
        "A module that spells out its formula (`x * 0.5 * (1 + erf(x / sqrt 2))`, a layer norm by hand), or cuts its work"
        " into pieces, runs one call after the other in eager PyTorch, each of which reads and writes whole tensors. ONNX"
        " Runtime recognizes many such formulas and runs one node, and spends less on each call where it does not. The rule"
        " names the modules with at least three small calls of their own, or eight of any kind, and weighs their rows: they"
        " explain why ONNX Runtime is faster, and what could be faster in PyTorch. A recurrent layer is one operator, and a"
        " tensor of zeros is no part of a formula."
    ),
    cause="fused",
    needs=("delta", "partitions", "regions"),
    direction="faster",
    audit=audit,
    catalog=("C14",),
    experiments=("torch-compile",),
)
