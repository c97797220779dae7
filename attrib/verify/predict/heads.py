"""Predictions for pruned attention heads: a share of the attention's nodes, and of the projections around them."""

from collections.abc import Iterator

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.ops import base_op
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph
from attrib.findings.evidence.ledger_queries import calls_of, rows_holding
from attrib.model.experiment import Prediction
from attrib.model.manifest import Role
from attrib.units import format_ns, format_percent
from attrib.verify.predict.nodes import ELEMENTWISE
from attrib.verify.predict.prediction import PEER_MARGIN, estimate, times, widen
from attrib.verify.protocol import ExperimentContext

_PRODUCTS = frozenset({"MatMul", "FusedMatMul", "Gemm", "FusedGemm"})
_MOVES = frozenset({"Transpose", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Cast", "Flatten"})
_BETWEEN = ELEMENTWISE | _MOVES
_CALLS = frozenset({"linear", "addmm", "matmul", "baddbmm", "softmax", "scaled_dot_product_attention"})


def heads_of(context: ExperimentContext) -> tuple[int, tuple[str, ...]]:
    """Count the heads of an attention, and find the executed nodes whose work is in proportion to them.

    Returns:
        The number of heads, 0 where no attention is seen node by node; the ids of the nodes.
    """
    ran = executed_graph(context.evidence)
    heads, members = 0, dict[int, GraphNode]()
    for node in ran.graph.nodes:
        result = ran.result(node) if node.op == "Softmax" else None
        if result is None or len(result.shape) != 4:  # noqa: PLR2004 - batch, heads, rows, columns
            continue
        # The product of queries and keys, and the projections that make its factors.
        above = list(_up(ran, node.inputs[0], products=2))
        if any(member.op in _PRODUCTS for member in above):
            heads = max(heads, result.shape[1])
            members |= {member.index: member for member in (*above, node, *_below(ran, node))}
    return heads, ran.ids(members[i] for i in sorted(members))


def without_heads(context: ExperimentContext, role: Role, share: float) -> Prediction | None:
    """Predict leaving out a share of the heads; None where ONNX Runtime ran no attention node by node.

    Of PyTorch it is the calls that belong to those nodes.
    """
    heads, works = heads_of(context)
    if role == "torch":
        known = context.evidence.work.get("torch", {})
        calls = calls_of(rows_holding(context.evidence, works))
        works = tuple(call for call in calls if call in known and base_op(known[call].op) in _CALLS)
    if heads <= 1 or not works:
        return None
    gone = max(1, round(heads * share)) / heads
    time = context.evidence.ledger.work(role, works)
    saving = times(time, gone)
    basis = (
        f"Softmax, the products of attention and its projections take {format_ns(time.median)} for {heads} heads;"
        f" without {format_percent(gone)} of the heads they do that much less."
    )
    return estimate(context, role, widen(saving, PEER_MARGIN * saving.median), basis, works)


def _up(ran: ExecutedGraph, value: str, products: int) -> Iterator[GraphNode]:
    """Nodes that lead to a value, through so many products one after the other."""
    maker = ran.maker(value)
    while maker is not None and maker.op in _BETWEEN:
        yield maker
        value = _main_input(ran, maker)
        maker = ran.maker(value)
    if maker is None or maker.op not in _PRODUCTS or not products:
        return
    yield maker
    if products > 1:
        for factor in maker.inputs[:2]:
            yield from _up(ran, factor, products - 1)


def _main_input(ran: ExecutedGraph, node: GraphNode) -> str:
    """The input that is as large as the result: of a mask and scores, the scores."""
    result = ran.result(node)
    data = [name for name in node.inputs if name and not ran.is_constant(name)]
    alike = [
        name for name in data if (t := ran.graph.values.get(name)) and result and t.shape == result.shape
    ]
    deep = [
        name
        for name in alike or data
        if (maker := ran.maker(name)) and maker.op in _BETWEEN | _PRODUCTS | {"Softmax"}
    ]
    return (deep or alike or data or [""])[0]


def _below(ran: ExecutedGraph, softmax: GraphNode) -> Iterator[GraphNode]:
    """The product with the values, with what makes those, and the projection of its result."""
    readers, product = _down(ran, softmax)
    yield from readers
    if product is None:
        return
    for factor in product.inputs[:2]:
        maker = ran.maker(factor)
        if maker is not None and maker.op in _MOVES | _PRODUCTS:
            yield from _up(ran, factor, products=1)
    yield from _down(ran, product)[0]


def _down(ran: ExecutedGraph, node: GraphNode) -> tuple[list[GraphNode], GraphNode | None]:
    """Nodes that read what a node makes, down to the next product and with it; and that product."""
    found, waiting = [], [node]
    while waiting:
        now = waiting.pop(0)
        for reader in ran.graph.nodes:
            if set(now.outputs).isdisjoint(reader.inputs) or reader.op not in _PRODUCTS | _BETWEEN:
                continue
            found.append(reader)
            if reader.op in _PRODUCTS:
                return found, reader
            waiting.append(reader)
    return found, None
