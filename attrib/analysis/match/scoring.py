"""What the tensors of both sides say to a link, its confidence, and the sentence that says why."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.model.tensor import Tensor
from attrib.model.work import Work

Kind = tuple[str, int]
SMALL = 64
"""Integer vectors and scalars up to this size are shapes, axes and constants: they say nothing of the data."""

FLOATS = ("float", "float16", "bfloat16", "double")
_KIND = {**dict.fromkeys(FLOATS, "float"), "int32": "int", "int64": "int"}


def kinds_of(tensors: Iterable[Tensor]) -> frozenset[Kind]:
    """Sort and number of elements of each tensor that holds data; one with an unknown size is left out.

    Layout is not part of it: exporters transpose weights and flatten batches.
    """
    return frozenset(
        (_KIND.get(t.dtype, t.dtype), t.elements)
        for t in tensors
        if t.elements > 1
        and min(t.shape) > 0
        and not (len(t.shape) <= 1 and "int" in t.dtype and t.elements <= SMALL)
    )


HALF_KNOWN, FOREIGN, NO_PART, OTHER_SHAPE = 50, 100, 30, 3


def disagreement(
    inputs: Sequence[Tensor], reads: Sequence[Tensor], makes: Sequence[Tensor], *, whole: bool
) -> int:
    """Cost of the sizes of a node for a call that reads `inputs`.

    What a node that stands for the whole call reads, the call reads too. A piece of a call may read what the piece
    before it made, but no vector: that is a weight. A node may read less than its call: profiles leave out weights that
    were packed.
    """
    ours, theirs = kinds_of(inputs), kinds_of(reads)
    if not ours or not theirs:
        return 0
    if whole and not theirs <= ours:
        return HALF_KNOWN if theirs & ours else FOREIGN
    vectors = kinds_of(t for t in reads if len(t.shape) == 1)
    if not whole and (not ours & (theirs | kinds_of(makes)) or not vectors <= ours):
        return NO_PART
    return 0 if {t.shape for t in inputs} & {t.shape for t in reads if t.elements > 1} else OTHER_SHAPE


def shares_vector(inputs: Sequence[Tensor], reads: Sequence[Tensor]) -> bool:
    """Whether a node reads a vector that its call reads; also if either side does not say all that it reads."""
    ours, theirs = (kinds_of(t for t in tensors if len(t.shape) == 1) for tensors in (inputs, reads))
    return bool(ours & theirs) or not inputs[1:] or not reads


class TensorComparison(NamedTuple):
    """What the tensors of a call and of its nodes say: whether they agree (None: they do not say), and in words."""

    agree: bool | None
    said: str


def compare_tensors(call: Work, graph: Graph, nodes: Sequence[GraphNode]) -> TensorComparison:
    """Compare every tensor that a call reads with those that its nodes read and write, by number of elements.

    A contradiction takes two: a tensor of the call that the nodes do not have, and one that the nodes read instead and did
    not make themselves. A tensor that is only missing may be a weight that was packed or folded. Sizes that a file leaves
    open contradict nothing.
    """
    made = {name for node in nodes for name in node.outputs}
    read = {name for node in nodes for name in node.inputs if name} - made
    values = graph.values
    there = [values[name] for name in read | made if name in values]
    ours = [t for t in call.inputs if kinds_of([t])]
    if not ours or not there:
        return TensorComparison(None, "")
    sizes, wanted = {t.elements for t in there}, {t.elements for t in call.inputs}
    missing = [t for t in ours if t.elements not in sizes]
    wanted |= {values[name].elements for name in made & values.keys()}
    foreign = [values[name] for name in sorted(read & values.keys()) if values[name].elements not in wanted]
    stated = read <= values.keys() and all(min(t.shape, default=0) >= 0 for t in there)
    if missing and stated and (instead := [t for t in foreign if kinds_of([t])]):
        largest = max(instead, key=lambda t: t.elements)
        return TensorComparison(False, f"SIZES DIFFER: {missing[0]} in PyTorch, {largest} in the graph")
    types = _other_types(ours, there)
    if types:
        return TensorComparison(False, f"TYPES DIFFER: {types[0]} in PyTorch, {types[1]} in the graph")
    return TensorComparison(True, "sizes agree") if ours[0] not in missing else TensorComparison(None, "")


def _other_types(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> tuple[Tensor, Tensor] | None:
    """A tensor of floats that the other side has only with another element type."""
    for tensor in ours:
        same = [t for t in theirs if t.elements == tensor.elements and t.dtype in FLOATS]
        if tensor.dtype in FLOATS and same and all(t.dtype != tensor.dtype for t in same):
            return tensor, same[0]
    return None


CONTRADICTION = 0.5
"""Factor on the confidence of a link whose two sides read tensors of different sizes or types."""


def links_of(
    state: MatchState,
    matcher: Matcher,
    call: int,
    group: Sequence[int],
    sentence: Callable[[Work, GraphNode], str],
) -> list[Link]:
    """Link a call to a group of nodes, and check the tensors of both.

    Args:
        state: What the positions refer to.
        matcher: The row that found them: its method and confidence are those of the links.
        call: Position of the call.
        group: Positions of the nodes.
        sentence: Says why a call and a node belong together.
    """
    ours = state.calls[call]
    nodes = [state.graph.nodes[i] for i in group]
    agree, said = compare_tensors(ours, state.graph, nodes)
    trust = matcher.confidence * (CONTRADICTION if agree is False else 1.0)
    return [
        Link(
            call=call,
            node=i,
            method=matcher.method,
            confidence=trust,
            evidence="; ".join(filter(None, (sentence(ours, node), said))),
        )
        for i, node in zip(group, nodes, strict=True)
    ]


def module_phrase(call: Work) -> str:
    """`module encoder.layer.0`, for the sentences of the matchers."""
    return f"module {call.scope or '(root)'}"
