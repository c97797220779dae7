"""inverse-transposes: a Transpose or Reshape that a later one undoes."""

from collections import Counter

from attrib.analysis.lineage.graph import GraphNode
from attrib.findings.evidence.advice import either, phrase, rewritten
from attrib.findings.evidence.executed_graph import ExecutedGraph, executed_graph, explained_works
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, nodes_line, rows_holding
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.wording import counted

POINTWISE = frozenset({
    "Abs", "Cast", "Ceil", "Clip", "Cos", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "IsInf", "IsNaN", "LeakyRelu", "Log", "Neg", "Not", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus",
    "Sqrt", "Tanh", "FastGelu", "QuickGelu", "Dropout", "Add", "Sub", "Mul", "Div", "Pow", "Where",
})  # fmt: skip
"""Ops that compute each element from the same elements of what they read: the order of the axes does not matter to them."""

FARTHEST = 8
"""Nodes between the two of a pair."""

Pair = tuple[GraphNode, GraphNode]


def audit(evidence: Evidence) -> RuleResult:
    """Weigh the pairs that the session was given."""
    ran = executed_graph(evidence)
    # what ONNX Runtime puts in itself, no rewrite takes out
    given = {node.name for node in (evidence.loaded or ran.graph).nodes}
    pairs = [
        pair for pair in inverse_pairs(ran) if all(node.name in given for node in pair) and ran.ids(pair)
    ]
    nodes = tuple(dict.fromkeys(ran.ids(node for pair in pairs for node in pair)))
    if not nodes:
        return RuleResult(failed=False, summary="No Transpose or Reshape is undone by a later one.")
    rows, spent = rows_holding(evidence, nodes), evidence.ledger.work("onnxruntime", nodes)
    kinds = sorted(Counter(second.op for _, second in pairs).items())
    return RuleResult(
        failed=True,
        rows=ids(rows),
        claim=spent,
        works=explained_works(rows, nodes),
        detail=", ".join(counted(count, f"pair of {op}", f"pairs of {op}") for op, count in kinds),
        summary=f"{counted(len(nodes), 'node')} only bring the axes to an order from which they are brought back.",
        price="They take {} of a step.",
        evidence=tuple(
            nodes_line(
                evidence,
                f"{second.name or second.op} undoes {first.name or first.op}: ",
                ran.ids((first, second)),
            )
            for first, second in pairs[:MOST_GROUPS]
        ),
        fix=either(
            phrase(
                "take the pairs out before the session sees the graph: {}",
                rewritten(evidence, "drop-inverse-pairs"),
            ),
            phrase("see whether another tool takes them out: {}", rewritten(evidence, "onnxslim")),
        )
        or "Leave out both in the model: what stands between them treats all axes alike.",
    )


def inverse_pairs(ran: ExecutedGraph) -> tuple[Pair, ...]:
    """Nodes of which the second undoes the first, with nothing between them that minds the order of the axes."""
    found = []
    for node in ran.graph.nodes:
        if node.op in ("Transpose", "Reshape") and node.inputs:
            above = _above(ran, node.inputs[0], node.op, FARTHEST)
            if above is not None and undoes(ran, above, node):
                found.append((above, node))
    return tuple(found)


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
    source, made, result = ran.source(first), ran.result(first), ran.result(second)
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
