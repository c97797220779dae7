"""Links between PyTorch calls and nodes of the exported graph, and what the matchers work on."""

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import msgspec

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.from_profile import Chain, export_chains, wrappers
from attrib.model.region import Method
from attrib.model.tensor import Tensor
from attrib.model.work import Work


class Link(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One call and one exported node that compute the same thing, by position, and why."""

    call: int
    node: int
    method: Method
    confidence: float
    evidence: str


@dataclass(frozen=True, slots=True, eq=False)
class Unmatched:
    """What a matcher may still link: positions of calls and nodes, with the scope of each node.

    `scopes` is by node position: the module scope in PyTorch's spelling, None where the graph does not say. The order of
    the nodes is that of the export, unless they are the executed ones (`executed`): then `chains` holds what is known of
    that order, and `wrapped` the node that each layout node of ONNX Runtime's own was put around. `links` are those made
    so far. `flow` says of a call which results it reads: the call that made each, and its place among that call's results.
    """

    calls: tuple[Work, ...]
    graph: Graph
    scopes: tuple[str | None, ...]
    open_calls: tuple[int, ...]
    open_nodes: tuple[int, ...]
    executed: bool = False
    chains: tuple[Chain, ...] = ()
    wrapped: Mapping[int, int] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    flow: Mapping[int, tuple[tuple[int, int], ...]] = field(default_factory=dict)


Matcher = Callable[[Unmatched], list[Link]]


def unmatched(calls: tuple[Work, ...], graph: Graph, executed: Sequence[Work] = ()) -> Unmatched:
    """Everything is open at first, except nodes that depend on no input: they are folded, not run.

    Args:
        calls: PyTorch's calls.
        graph: The graph as exported; where there is none, the executed nodes as a graph.
        executed: The executed nodes, if they are what the graph is made of.
    """
    free = input_free_values(graph)
    wrapped = wrappers(calls, executed)
    nodes = (n.index for n in graph.nodes if not all(name in free for name in n.outputs))
    return Unmatched(
        calls,
        graph,
        _torch_scopes(calls, graph),
        tuple(range(len(calls))),
        tuple(i for i in nodes if i not in wrapped),
        bool(executed),
        export_chains(executed),
        wrapped,
    )


def without(state: Unmatched, links: list[Link]) -> Unmatched:
    """What is left after some links were made."""
    calls, nodes = {link.call for link in links}, {link.node for link in links}
    return replace(
        state,
        open_calls=tuple(i for i in state.open_calls if i not in calls),
        open_nodes=tuple(i for i in state.open_nodes if i not in nodes),
        links=(*state.links, *links),
    )


SPELLED_ALIKE = 0.5
"""Least share of the nodes' modules that PyTorch's side must know for the two sides to name modules alike."""


def _torch_scopes(calls: tuple[Work, ...], graph: Graph) -> tuple[str | None, ...]:
    """Scopes of the nodes as PyTorch spells them; all None where its side names no modules, or names them otherwise.

    An exporter's wrapper puts one more name in front of every scope; drop it if more scopes are then known.
    TorchScript repeats the name of a container that is called itself (`layer.layer.0` for `layer.0` of a Sequential).
    """
    known = {call.scope for call in calls}
    known |= {".".join(scope.split(".")[:n]) for scope in known for n in range(scope.count(".") + 1)} | {""}
    raw = [node.scope for node in graph.nodes]
    inner = [None if scope is None else scope.partition(".")[2] for scope in raw]
    chosen = max(
        raw,
        inner,
        key=lambda scopes: [sum(bool(s) and s in known for s in scopes), sum(s in known for s in scopes)],
    )
    spelled = [_called_containers(scope, known) if scope else scope for scope in chosen]
    named = [scope for scope in spelled if scope]
    if sum(scope in known for scope in named) < SPELLED_ALIKE * len(named):
        return (None,) * len(spelled)
    return tuple(spelled)


MAX_SCOPE = 1000
"""Longer names of modules are taken as they are: the pattern's time grows with the square of the length."""

_REPEATED = re.compile(r"(?:^|(?<=\.))(\w+(?:\.\d+)*)\.\1\.(?=\d)")


def _called_containers(scope: str, known: Container[str]) -> str:
    """The scope without repeated containers, if only that is known."""
    shorter = scope
    while (
        len(scope) <= MAX_SCOPE
        and scope not in known
        and (once := _REPEATED.sub(r"\1.", shorter, count=1)) != shorter
    ):
        shorter = once
        if shorter in known:
            return shorter
    return scope


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


class Comparison(NamedTuple):
    """What the tensors of a call and of its nodes say: whether they agree (None: they do not say), and in words."""

    agree: bool | None
    said: str


def compared(call: Work, graph: Graph, nodes: Sequence[GraphNode]) -> Comparison:
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
        return Comparison(None, "")
    sizes, wanted = {t.elements for t in there}, {t.elements for t in call.inputs}
    missing = [t for t in ours if t.elements not in sizes]
    wanted |= {values[name].elements for name in made & values.keys()}
    foreign = [values[name] for name in sorted(read & values.keys()) if values[name].elements not in wanted]
    stated = read <= values.keys() and all(min(t.shape, default=0) >= 0 for t in there)
    if missing and stated and (instead := [t for t in foreign if kinds_of([t])]):
        return Comparison(False, f"SIZES DIFFER: {missing[0]} in PyTorch, {_most(instead)} in the graph")
    types = _other_types(ours, there)
    if types:
        return Comparison(False, f"TYPES DIFFER: {types[0]} in PyTorch, {types[1]} in the graph")
    return Comparison(True, "sizes agree") if ours[0] not in missing else Comparison(None, "")


def _most(tensors: Sequence[Tensor]) -> Tensor:
    return max(tensors, key=lambda t: t.elements)


def _other_types(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> tuple[Tensor, Tensor] | None:
    """A tensor of floats that the other side has only with another element type."""
    for tensor in ours:
        same = [t for t in theirs if t.elements == tensor.elements and t.dtype in FLOATS]
        if tensor.dtype in FLOATS and same and all(t.dtype != tensor.dtype for t in same):
            return tensor, same[0]
    return None
