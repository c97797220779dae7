"""Layer norms and GELUs that a graph computes with single operators, found by their arithmetic.

Which calls such nodes belong to does not matter here: a graph that somebody rewrote names neither modules nor fx nodes.
Numbered cases, cited in the code:

1. Layer norm: the root of a mean of squares of `x - mean(x)`, by which `x - mean(x)` is divided; scale and shift follow.
2. RMS norm: the same without the mean.
3. GELU: Erf or Tanh of a value computed from `x` by constants, joined with `x` again.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from attrib.analysis.lineage.graph import Graph, GraphNode, walk
from attrib.findings.evidence.executed_graph import ExecutedGraph

ROOTS = frozenset({"Sqrt", "Pow"})
CURVES = frozenset({"Erf", "Tanh"})
MEANS = frozenset({"ReduceMean", "GlobalAveragePool"})
POINTWISE = frozenset(
    {"Add", "Sub", "Mul", "Div", "Pow", "Neg", "Reciprocal", "Sqrt", "Cast", "Erf", "Tanh", "Exp", "Sigmoid"}
)
LONGEST = 16
"""Nodes of one layer: the tanh form of GELU has ten."""


class UnfusedLayer(msgspec.Struct, frozen=True):
    """A layer that a graph computes by single operators.

    Attributes:
        layer: `LayerNorm` or `GELU`.
        source: The value that it reads.
        nodes: Its nodes, the last one makes the result.
        root: The node by which it was found.
    """

    layer: str
    source: str
    nodes: tuple[GraphNode, ...]
    root: GraphNode

    @property
    def core(self) -> str:
        """The op that tells the layer: the curve of a GELU, or the root of a norm."""
        return next((node.op for node in self.nodes if node.op in CURVES), "Sqrt")


def find_unfused_layers(ran: ExecutedGraph) -> tuple[UnfusedLayer, ...]:
    """Layer norms and GELUs of single operators, in the order of the graph."""
    norms = [layer for node in ran.graph.nodes if node.op in ROOTS and (layer := _norm(ran, node))]
    gelus = [layer for node in ran.graph.nodes if node.op in CURVES and (layer := _gelu(ran, node))]
    return tuple(sorted((*norms, *gelus), key=lambda layer: layer.root.index))


def _data(ran: ExecutedGraph, node: GraphNode) -> list[str]:
    """The inputs of a node that are no constants."""
    return [name for name in node.inputs if name and not ran.is_constant(name)]


def _up(ran: ExecutedGraph, value: str, ops: frozenset[str]) -> GraphNode | None:
    """The node that computes a value, if its op is one of these and it reads anything but constants."""
    maker = ran.maker(value)
    return maker if maker is not None and maker.op in ops and _data(ran, maker) else None


def _norm(ran: ExecutedGraph, root: GraphNode) -> UnfusedLayer | None:
    """Cases 1 and 2, from the root upwards and downwards."""
    inner = _variance(ran, root)
    if inner is None:
        return None
    source, centered, above = inner
    # downwards: the division by the root and what follows it, a scale, and a shift at the end
    below: list[GraphNode] = []
    known = {source, centered}

    def after(node: GraphNode) -> GraphNode | None:
        return ran.reader(node.outputs[0]) if node.op != "Add" and node.outputs else None

    for node in walk(ran.reader(root.outputs[0]), after):
        if node.op not in ("Reciprocal", "Div", "Mul", "Add"):
            break
        known.update((below[-1] if below else root).outputs)
        if not known.issuperset(_data(ran, node)):
            break
        below.append(node)
    if not any(centered in node.inputs for node in below):
        return None
    nodes = sorted(
        {node.index: node for node in (*above, root, *below)}.values(), key=lambda node: node.index
    )
    return UnfusedLayer("LayerNorm", source, tuple(nodes), root)


def _variance(ran: ExecutedGraph, root: GraphNode) -> tuple[str, str, list[GraphNode]] | None:
    """What is normalized, the value less its mean, and the nodes of the mean of squares under a root."""
    above: list[GraphNode] = []
    value = _data(ran, root)[0] if _data(ran, root) else ""
    if (shift := _up(ran, value, frozenset({"Add"}))) is not None and len(_data(ran, shift)) == 1:
        above.append(shift)
        value = _data(ran, shift)[0]
    mean = _up(ran, value, MEANS)
    square = _up(ran, _data(ran, mean)[0], frozenset({"Mul", "Pow"})) if mean is not None else None
    if mean is None or square is None or len(set(_data(ran, square))) != 1:
        return None
    above += [mean, square]
    centered = _data(ran, square)[0]
    less = _up(ran, centered, frozenset({"Sub"}))
    average = _up(ran, _data(ran, less)[-1], MEANS) if less is not None else None
    if less is None or average is None or _data(ran, average)[0] != _data(ran, less)[0]:
        return centered, centered, above  # 2
    return _data(ran, less)[0], centered, [*above, less, average]  # 1


def _gelu(ran: ExecutedGraph, curve: GraphNode) -> UnfusedLayer | None:
    """Case 3: up to a value that is read twice, and down until that value joins again."""
    above: list[GraphNode] = []
    value = _data(ran, curve)[0] if _data(ran, curve) else ""
    while ran.reads[value] == 1 and len(above) < LONGEST:
        maker = _up(ran, value, POINTWISE)
        if maker is None:
            return None
        above.append(maker)
        joined = {_root(ran, name) for name in _data(ran, maker)}
        value = joined.pop() if len(joined) == 1 else _data(ran, maker)[0]
    if ran.reads[value] < 2:  # noqa: PLR2004 - read by the curve and by the join
        return None
    cone = _cone(ran, value)
    joins = [
        node
        for node in cone
        # it multiplies what came by different ways from the value
        if node.op == "Mul"
        and len(set(_data(ran, node))) > 1
        and value in {_root(ran, name) for name in _data(ran, node)}
    ]
    if not joins or curve.index not in {node.index for node in cone}:
        return None
    return UnfusedLayer("GELU", value, tuple(_serving(cone, joins[-1])), curve)


def _root(ran: ExecutedGraph, value: str) -> str:
    """Where a value comes from through pointwise nodes with constants, up to one that is read twice."""
    for _ in range(LONGEST):
        maker = _up(ran, value, POINTWISE)
        if ran.reads[value] != 1 or maker is None or len(set(_data(ran, maker))) != 1:
            return value
        value = _data(ran, maker)[0]
    return value


def _cone(ran: ExecutedGraph, source: str) -> list[GraphNode]:
    """Pointwise nodes that read nothing but the source, constants, and each other."""
    values, found = {source}, list[GraphNode]()
    maker = ran.maker(source)
    for node in ran.graph.nodes[maker.index + 1 if maker is not None else 0 :]:
        data = _data(ran, node)
        if node.op in POINTWISE and data and values.issuperset(data) and len(found) < LONGEST:
            found.append(node)
            values.update(node.outputs)
    return found


def _serving(cone: Sequence[GraphNode], join: GraphNode) -> Iterator[GraphNode]:
    """Nodes of a cone that lead to the join, and a factor behind it."""
    needed = set(join.inputs)
    kept = {join.index}
    for node in reversed(cone):
        if not needed.isdisjoint(node.outputs) and node.index < join.index:
            kept.add(node.index)
            needed.update(node.inputs)
    last = join
    for node in cone:
        if node.index > last.index and node.op in ("Mul", "Div") and last.outputs[0] in node.inputs:
            kept.add(node.index)
            last = node
    return (node for node in cone if node.index in kept)


def separate_residuals(graph: Graph) -> int:
    """LayerNormalization nodes fed by an Add of two computed values that nothing else reads."""
    makers = {value: node for node in graph.nodes for value in node.outputs}
    reads = Counter(value for node in graph.nodes for value in node.inputs)
    count = 0
    for node in graph.nodes:
        add = makers.get(node.inputs[0]) if node.op == "LayerNormalization" and node.inputs else None
        computed = add is not None and add.op == "Add" and all(value in makers for value in add.inputs)
        count += computed and reads[node.inputs[0]] == 1
    return count
