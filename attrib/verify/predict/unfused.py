"""What an optimizer of ONNX Runtime gained or lost, told without switching it off.

The nodes that it wrote are in the profile. What they would be without it is told by the nodes of the same run. Numbered
cases, cited in the code:

1. A product stays a product: it costs the same on both sides, and is left out of both.
2. A node of an op and type that also ran elsewhere: the time of those peers, in proportion to the elements.
3. An elementwise op that ran nowhere: that of other elementwise nodes.
4. Any other op (a norm that was fused away everywhere): at least one elementwise pass over its result, and about what
   PyTorch's calls of that region take.
5. What was fused into a product may be fused by another optimizer then (a bias into GELU or into a skip connection): it
   comes back whole, or not at all.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.lineage.rewrites import Step
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import rows_holding
from attrib.findings.evidence.reference_cost import Terms, weights_by_elements, weights_of_equal_size
from attrib.model.estimate import Delta
from attrib.model.tensor import Tensor
from attrib.model.work import Work
from attrib.verify.predict.nodes import ELEMENTWISE, is_heavy, nodes, spent
from attrib.verify.predict.prediction import PEER_MARGIN, between, minus, plus, widened
from attrib.verify.protocol import Situation

TOGETHER = " and "
"""Between the names of several optimizers of one step (`attrib.analysis.lineage.rewrites`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfused:
    """What undoing some steps would save.

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
    """What would be there: surely, perhaps (5), and PyTorch's calls that stand for ops without a peer (4)."""

    surely: Terms = field(default_factory=Terms)
    perhaps: Terms = field(default_factory=Terms)
    passes: Terms = field(default_factory=Terms)
    calls: set[str] = field(default_factory=set)


def written_by(situation: Situation) -> dict[str, tuple[Step, ...]]:
    """The steps of each of ONNX Runtime's optimizers that wrote nodes which ran, by its name."""
    found: dict[str, list[Step]] = {}
    for step in _last_steps(situation):
        for name in step.by.split(TOGETHER) if step.kind == "rewritten" and step.by else ():
            found.setdefault(name, []).append(step)
    return {name: tuple(steps) for name, steps in found.items()}


def _last_steps(situation: Situation) -> tuple[Step, ...]:
    """Between the graph that the session opened and the one that ran."""
    chain = situation.chain
    return chain.steps[-1] if chain.steps and situation.evidence.optimized is chain.graphs[-1] else ()


def undone(situation: Situation, steps: Iterable[Step]) -> Unfused:
    """What it would save to undo the steps, each counted once."""
    ran, before = executed_graph(situation.evidence), situation.chain.graphs[-2]
    chosen = list(dict.fromkeys(steps))
    written = ran.ids(ran.graph.nodes[j] for step in chosen for j in step.after)
    works = situation.evidence.work["onnxruntime"]
    gone = [name for name in written if not is_heavy(works[name].op)]  # 1
    instead = _Instead()
    for step in chosen:
        _add(instead, situation, ran, before, step)
    time = spent(situation, gone)
    come = _time(situation, instead)
    return Unfused(
        saving=plus(time, minus(come)),
        written=written,
        written_ns=time.median,
        instead_ns=come,
        steps=len(chosen),
        ops=_ops(before, chosen),
    )


def _add(instead: _Instead, situation: Situation, ran: ExecutedGraph, before: Graph, step: Step) -> None:
    old, new = [before.nodes[i] for i in step.before], [ran.graph.nodes[j] for j in step.after]
    beside_product = any(is_heavy(node.op) for node in new)
    works = nodes(situation)
    for node in old:
        if is_heavy(node.op):
            continue  # 1
        result = _result(before, node)
        peers = _peers(works, node.op, result) if result else {}
        if not peers and result:
            instead.passes.add(_passes(works, result))  # 4
            instead.calls.update(_calls(situation, ran.ids(new)))
        (instead.perhaps if beside_product else instead.surely).add(peers)  # 5


def _result(graph: Graph, node: GraphNode) -> Tensor | None:
    return graph.values.get(node.outputs[0]) if node.outputs else None


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


def _calls(situation: Situation, written: tuple[str, ...]) -> Iterator[str]:
    """PyTorch's calls that compute, in the rows that hold the nodes."""
    known = situation.evidence.work.get("torch", {})
    for row in rows_holding(situation.evidence, written):
        if row.cause != "layout":
            yield from (call for call in row.torch_calls if call in known)


def _time(situation: Situation, instead: _Instead) -> Delta:
    """From the least that could come (4: a pass, 5: nothing) to the most."""
    ledger = situation.evidence.ledger
    surely, perhaps, passes = (
        ledger.weighted({"onnxruntime": terms.nodes})
        for terms in (instead.surely, instead.perhaps, instead.passes)
    )
    calls = ledger.work("torch", instead.calls)
    least, most = plus(surely, passes), plus(surely, perhaps, passes if calls.high < passes.high else calls)
    return widened(between(least, most), PEER_MARGIN * max(surely.median + passes.median, 0))


def _ops(graph: Graph, steps: Iterable[Step]) -> str:
    """The ops that would be there; of several forms the most frequent."""
    forms = [" + ".join(graph.nodes[i].op for i in step.before) for step in steps]
    return max(dict.fromkeys(forms), key=forms.count) if forms else ""
