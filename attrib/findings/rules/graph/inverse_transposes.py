"""inverse-transposes: a Transpose or Reshape that a later one undoes."""

from collections import Counter
from collections.abc import Sequence

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.executed_graph import ExecutedGraph, accounted, executed_graph
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, rows_holding
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.units import format_ns
from attrib.wording import counted

POINTWISE = frozenset({
    "Abs", "Cast", "Ceil", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "IsInf", "IsNaN", "LeakyRelu", "Log", "Neg", "Not", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus",
    "Sqrt", "Tanh", "FastGelu", "QuickGelu", "Dropout", "Add", "Sub", "Mul", "Div", "Pow", "Where",
})  # fmt: skip
"""Ops that compute each element from the same elements of what they read: the order of the axes is nothing to them."""

FARTHEST = 8
"""Nodes between the two of a pair."""

Pair = tuple[GraphNode, GraphNode]


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the pairs that the session was given."""
    ran = executed_graph(evidence)
    given = _given(evidence, inverse_pairs(ran))
    pairs = [pair for pair in given if ran.ids(pair)]
    nodes = tuple(dict.fromkeys(ran.ids(node for pair in pairs for node in pair)))
    if not nodes:
        return RuleResult(failed=False, summary="No Transpose or Reshape is undone by a later one.")
    rows, spent = rows_holding(evidence, nodes), evidence.ledger.work("onnxruntime", nodes)
    kinds = Counter(second.op for _, second in pairs)
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=spent,
        works=accounted(rows, nodes),
        detail=", ".join(counted(count, f"pair of {op}", f"pairs of {op}") for op, count in sorted(kinds.items())),
        summary=f"{counted(len(nodes), 'node')} only bring the axes to an order from which they are brought back:"
        f" {format_ns(spent.median)} of a step.",
        evidence=tuple(_line(ran, pair) for pair in pairs[:MOST_GROUPS]),
        fix="Take the pairs out before the session sees the graph: `attrib profile --optimize drop-inverse-pairs`, or"
        " `onnxslim in.onnx out.onnx` where nothing stands between them.",
    )  # fmt: skip


def inverse_pairs(ran: ExecutedGraph) -> tuple[Pair, ...]:
    """Nodes of which the second undoes the first, with nothing between them that minds the order of the axes."""
    moving = (node for node in ran.graph.nodes if node.op in ("Transpose", "Reshape"))
    return tuple((first, node) for node in moving if (first := _partner(ran, node)) is not None)


def _partner(ran: ExecutedGraph, node: GraphNode) -> GraphNode | None:
    """The nearest node of the same op above, where this one undoes it."""
    above = _above(ran, node.inputs[0], node.op, FARTHEST) if node.inputs else None
    return above if above is not None and undoes(ran, above, node) else None


def _above(ran: ExecutedGraph, value: str, op: str, left: int) -> GraphNode | None:
    """The node of an op that a value comes from by every way, through nodes that treat all elements alike."""
    maker = ran.maker(value)
    if maker is None or maker.op == op or maker.op not in POINTWISE or not left:
        return maker if maker is not None and maker.op == op else None
    data = dict.fromkeys(name for name in maker.inputs if name and not ran.is_constant(name))
    ways = [_above(ran, name, op, left - 1) for name in data]
    first = ways[0] if ways else None
    return first if all(way is first for way in ways) else None


def undoes(ran: ExecutedGraph, first: GraphNode, second: GraphNode) -> bool:
    """Whether the second of two nodes of one op brings back what the first changed."""
    if second.op == "Transpose":
        return undoes_axes(first, second)
    before = ran.work(first)
    source = (
        before.inputs[0] if before is not None and before.inputs else ran.graph.values.get(first.inputs[0])
    )
    made, result = ran.result(first), ran.result(second)
    if source is None or result is None or made is None or -1 in source.shape:
        return False
    return source.shape == result.shape != made.shape


def undoes_axes(first: GraphNode, second: GraphNode) -> bool:
    """Whether the second Transpose brings the axes back."""
    try:
        inner, outer = (
            [int(axis) for axis in node.attributes["perm"].split(",")] for node in (first, second)
        )
    except (KeyError, ValueError):  # no `perm`: the axes are reversed, which undoes itself
        return "perm" not in first.attributes and "perm" not in second.attributes
    if len(inner) != len(outer) or inner == sorted(inner):
        return False
    return [inner[axis] for axis in outer if 0 <= axis < len(inner)] == sorted(inner)


def _given(evidence: Evidence, pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Those that the graph holds that the session opened: what ONNX Runtime puts in itself, no rewrite takes out."""
    if evidence.loaded is None:
        return pairs
    known = {node.name for node in evidence.loaded.nodes}
    return [pair for pair in pairs if all(node.name in known for node in pair)]


def _line(ran: ExecutedGraph, pair: Pair) -> EvidenceRow:
    nodes = ran.ids(pair)
    spent = ran.evidence.ledger.work("onnxruntime", nodes).median
    first, second = pair
    text = f"{second.name or second.op} undoes {first.name or first.op}: {format_ns(spent)}"
    return EvidenceRow(text=text, rows=ids(rows_holding(ran.evidence, nodes)), value_ns=spent)


RULE = Rule(
    id="inverse-transposes",
    passed="No measurable time goes into layout changes that are undone again",
    failed="{} undo each other",
    example="12 pairs of Transpose",
    about=(
        "Rewrites and converters that work node by node leave pairs: a Transpose into the layout that one operator wants,"
        " and one back. ONNX Runtime cancels neighbors, and moves a Transpose through some operators to meet its inverse,"
        " but not through all. The rule looks above each Transpose and Reshape, through operators that treat every element"
        " alike, for the one that it undoes, and claims the time of both."
    ),
    cause="layout",
    needs=("delta", "partitions", "optimized"),
    direction="slower",
    audit=audit,
    tier="cause",
    catalog=("C13",),
    experiments=("inverse-pairs", "onnxslim"),
)
