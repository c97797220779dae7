"""Predictions of what an optimizer of ONNX Runtime gains or loses, without switching it off.

The nodes that it wrote are in the profile. What they would be without it is estimated from other nodes of that run. Numbered
cases, cited in the code:

1. A product stays a product: it costs the same on both sides, and is left out of both.
2. A node of an op and type that also ran elsewhere: the time of those peers, in proportion to the elements.
3. An elementwise op that ran nowhere: that of other elementwise nodes.
4. Any other op (a norm that was fused away everywhere): at least one elementwise pass over its result, and about what
   PyTorch's calls of that region take.
5. What was fused into a product may be fused by another optimizer then (a bias into GELU or into a skip connection): it
   comes back whole, or not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from attrib.analysis.lineage.graph import Graph
from attrib.analysis.lineage.rewrites import Step
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import rows_holding
from attrib.findings.evidence.reference_cost import Terms, weights_by_elements, weights_of_equal_size
from attrib.model.estimate import Delta
from attrib.model.tensor import Tensor
from attrib.model.work import Work
from attrib.verify.predict.nodes import ELEMENTWISE, is_heavy, nodes, time_of
from attrib.verify.predict.prediction import PEER_MARGIN, between, minus, plus, widen
from attrib.verify.protocol import ExperimentContext

TOGETHER = " and "
"""Between the names of several optimizers of one step (`attrib.analysis.lineage.rewrites`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfused:
    """What undoing some steps of an optimizer would save.

    Attributes:
        saving: Time of what the optimizer wrote, less the time of what would be there without it.
        written: Executed nodes that it wrote.
        written_ns: Their time, products left out.
        instead_ns: The time of what would be there without it.
        steps: How many steps.
        ops: What would be there, e.g. `Add + LayerNormalization`.
    """

    saving: Delta
    written: tuple[str, ...]
    written_ns: int
    instead_ns: Delta
    steps: int
    ops: str


@dataclass(slots=True)
class _Instead:
    """What would run instead: surely, perhaps (5), and PyTorch's calls that stand for ops without a peer (4)."""

    surely: Terms = field(default_factory=Terms)
    perhaps: Terms = field(default_factory=Terms)
    passes: Terms = field(default_factory=Terms)
    calls: set[str] = field(default_factory=set)


def written_by(context: ExperimentContext) -> dict[str, tuple[Step, ...]]:
    """Group the steps that wrote nodes which ran by the name of the optimizer.

    Only the last rewriting counts: between the graph that the session opened and the one that ran.
    """
    found: dict[str, list[Step]] = {}
    chain = context.chain
    last = chain.steps[-1] if chain.steps and context.evidence.optimized is chain.graphs[-1] else ()
    for step in last:
        for name in step.by.split(TOGETHER) if step.kind == "rewritten" and step.by else ():
            found.setdefault(name, []).append(step)
    return {name: tuple(steps) for name, steps in found.items()}


def saving_of_undoing(context: ExperimentContext, steps: Iterable[Step]) -> Unfused:
    """Predict what it would save to undo the steps, each counted once."""
    ran, before = executed_graph(context.evidence), context.chain.graphs[-2]
    chosen = list(dict.fromkeys(steps))
    written = ran.ids(ran.graph.nodes[j] for step in chosen for j in step.after)
    works = context.evidence.work["onnxruntime"]
    gone = [name for name in written if not is_heavy(works[name].op)]  # 1
    instead = _Instead()
    for step in chosen:
        _add_instead(instead, context, ran, before, step)
    time = time_of(context, gone)
    ledger = context.evidence.ledger
    surely, perhaps, passes = (
        ledger.weigh({"onnxruntime": terms.nodes})
        for terms in (instead.surely, instead.perhaps, instead.passes)
    )
    calls = ledger.work("torch", instead.calls)
    # From the least that could run instead (4: a pass, 5: nothing) to the most.
    least, most = plus(surely, passes), plus(surely, perhaps, passes if calls.high < passes.high else calls)
    come = widen(between(least, most), PEER_MARGIN * max(surely.median + passes.median, 0))
    # Several forms may have been replaced; the most frequent one is named.
    forms = [" + ".join(before.nodes[i].op for i in step.before) for step in chosen]
    return Unfused(
        saving=plus(time, minus(come)),
        written=written,
        written_ns=time.median,
        instead_ns=come,
        steps=len(chosen),
        ops=max(dict.fromkeys(forms), key=forms.count) if forms else "",
    )


def _add_instead(
    instead: _Instead, context: ExperimentContext, ran: ExecutedGraph, before: Graph, step: Step
) -> None:
    """Add what would run without one step."""
    old, new = [before.nodes[i] for i in step.before], [ran.graph.nodes[j] for j in step.after]
    beside_product = any(is_heavy(node.op) for node in new)
    works = nodes(context)
    for node in old:
        if is_heavy(node.op):
            continue  # 1
        result = before.values.get(node.outputs[0]) if node.outputs else None
        peers = _peers(works, node.op, result) if result else {}
        if not peers and result:
            instead.passes.add(_passes(works, result))  # 4
            calls = [
                call
                for row in rows_holding(context.evidence, ran.ids(new))
                if row.cause != "layout"
                for call in row.torch_calls
            ]
            instead.calls.update(context.evidence.work.get("torch", {}).keys() & calls)
        (instead.perhaps if beside_product else instead.surely).add(peers)  # 5


def _peers(works: Iterable[Work], op: str, result: Tensor) -> dict[str, float]:
    """Weights of the nodes that tell what such a node takes (2, 3); empty where none does."""
    works = tuple(works)

    def same(work: Work) -> bool:
        return work.op == op

    if found := weights_of_equal_size(works, result, same) or weights_by_elements(works, result, same):
        return found  # 2
    return _passes(works, result) if op in ELEMENTWISE else {}  # 3


def _passes(works: Iterable[Work], result: Tensor) -> dict[str, float]:
    """Weights of one elementwise pass over a result."""
    return weights_by_elements(works, result, lambda work: work.op in ELEMENTWISE)
