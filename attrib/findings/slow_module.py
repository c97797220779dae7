"""slow-module: a module that PyTorch computes in many small calls, and ONNX Runtime in few nodes.

Numbered cases, cited in the code. A module counts if

1. at least three of its own computing calls became fewer nodes: a formula that was written out, which the optimizer
   recognised; or
2. its calls have no node at all, and depend on the inputs: work that is not in the graph.
"""

from collections import defaultdict
from collections.abc import Iterable

from attrib.findings.protocol import Evidence, Rule, Verdict
from attrib.findings.select import (
    MOST_GROUPS,
    by_module,
    calls_of,
    compared,
    counted,
    delta_ns,
    folded,
    ids,
    listed,
    nodes_of,
    op_counts,
)
from attrib.match.ops import IDENTITY_OPS, base_op, call_role
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.model.work import Work

WRITTEN_OUT = 3
"""Computing calls of one module for one fused operator. Two are usual: a residual addition and the layer norm behind it."""


def audit(evidence: Evidence) -> Verdict:
    """Name the modules, and weigh their rows."""
    rows = tuple(row for row in evidence.ledger.rows if module_of(evidence, row))
    if not rows:
        return Verdict(failed=False, summary="No module of PyTorch computes in many calls what few nodes do.")
    modules = list(dict.fromkeys(folded(module_of(evidence, row)) for row in rows))
    return Verdict(
        failed=delta_ns(rows) < 0,
        rows=ids(rows),
        detail=f"{listed(modules)} in {counted(len(calls_of(rows)), 'call')}",
        summary=f"{len(calls_of(rows))} calls became {counted(len(nodes_of(rows)), 'node')}: {compared(rows)}.",
        evidence=tuple(_line(evidence, module, group) for module, group in by_module(rows)[:MOST_GROUPS]),
        fix="Nothing to mend in ONNX Runtime. In PyTorch use the operator itself (`nn.functional.gelu`,"
        " `nn.functional.layer_norm`) in place of its formula; `--torch-mode compile` shows what fusing the calls gives.",
    )


def module_of(evidence: Evidence, row: LedgerRow) -> str:
    """The module that makes a row one of a slow module; empty for all other rows."""
    calls = [
        call for name in row.torch_calls if (call := evidence.work["torch"].get(name)) and _computes(call)
    ]
    if row.cause == "missing_work":
        alone = not row.onnx_nodes and row.match.method != "folded" and len(calls) >= WRITTEN_OUT
        return _busiest(calls) if alone else ""  # 2
    if row.cause != "fused":
        return ""
    own = _by_module(calls)
    module = _busiest(calls)
    return module if len(own.get(module, ())) >= max(WRITTEN_OUT, len(row.onnx_nodes) + 1) else ""  # 1


def _computes(call: Work) -> bool:
    return call_role(call) == "compute" and base_op(call.op) not in IDENTITY_OPS and not call.members


def _by_module(calls: Iterable[Work]) -> dict[str, list[Work]]:
    groups: dict[str, list[Work]] = defaultdict(list)
    for call in calls:
        groups[call.scope].append(call)
    return groups


def _busiest(calls: Iterable[Work]) -> str:
    """The module with the most of the calls."""
    groups = _by_module(calls)
    return max(groups, key=lambda module: len(groups[module]), default="")


def _line(evidence: Evidence, module: str, group: list[LedgerRow]) -> EvidenceRow:
    calls, nodes = (
        op_counts(evidence, "torch", calls_of(group)),
        op_counts(evidence, "onnxruntime", nodes_of(group)),
    )
    text = f"{module}: {calls} in PyTorch, {nodes or 'no node'} in ONNX Runtime, {compared(group)}"
    return EvidenceRow(text=text, rows=ids(group), value_ns=delta_ns(group))


RULE = Rule(
    id="slow-module",
    passed="No module of PyTorch is slow for the number of its calls",
    failed="PyTorch computes {}",
    example="encoder.layer.*.act in 10 calls",
    about=(
        "A module that spells out its formula (`x * 0.5 * (1 + erf(x / sqrt 2))`, a layer norm by hand) runs one call after"
        " the other in eager PyTorch, each of which reads and writes the whole tensor. ONNX Runtime's optimizer recognises"
        " many such formulas and runs one node. The rule names the modules in which at least three calls became fewer"
        " nodes, or have none, and weighs their rows: they explain why ONNX Runtime is faster, and tell what to mend in"
        " PyTorch."
    ),
    cause="fused",
    needs=("delta", "partitions", "regions"),
    direction="faster",
    audit=audit,
    catalog=("C14",),
    experiments=("torch-compile",),
)
