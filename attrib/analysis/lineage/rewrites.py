"""What each rewrite of a graph did, node by node, and which optimizer did it.

Two neighboring graphs of the chain are compared. Numbered cases, cited in the code:

1. A node with the same op and the same outputs in both graphs, and the same name or inputs, is unchanged.
2. The others are cut at the values that both graphs share (`components` of the pair): what lies between two cuts in one
   graph became what lies between them in the other. The same ops on both sides were renamed only: unchanged.
3. Nodes that became nothing were folded (no input of the model reaches them), merged (an equal node is there)
   or removed. A shape that the file leaves open cannot have been folded.

ONNX Runtime does not record which of its optimizers rewrote a node, but the new nodes bear marks: their op, their name,
or what is gone beside them. The rows of `MARKS` that a CPU session can make were found by switching the optimizer off
and watching the mark vanish (`tests/analysis/lineage/test_rewrites_in_ort.py` does so again);
the others are ops that only that optimizer writes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from attrib.analysis.lineage.components import SHAPE_OPS, components, input_free_values
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.model.provenance import StepKind

UNKNOWN = "ONNX Runtime's optimizer"
OPS_NAMED = 6
"""Distinct ops that one side of a sentence names."""


class Mark(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """By what a rewrite of ONNX Runtime's is known.

    Attributes:
        by: The optimizer, as `disabled_optimizers` of a session calls it (for a family, without the level).
        name: Pattern that the name of a new node holds.
        op: Op of a new node; without `name` and `gone`, one that was not there before.
        domain: Its domain.
        gone: Ops of which each was there before and is not any more.
    """

    by: str
    name: str = ""
    op: str = ""
    domain: str = ""
    gone: frozenset[str] = frozenset()


MARKS: tuple[Mark, ...] = (
    Mark(by="MatMulAddFusion", name="/MatMulAddFusion"),
    Mark(by="MatMulAddFusion", name="^gemm_(input|output)_reshape"),
    Mark(by="MatMulScaleFusion", name="/MatMulScaleFusion/"),
    Mark(by="MatmulTransposeFusion", name="/MatmulTransposeFusion/"),
    Mark(by="GemmTransposeFusion", name="/GemmTransposeFusion/"),
    Mark(by="GemmSumFusion", name="/GemmSumFusion/"),
    Mark(by="GemmActivationFusion", op="FusedGemm"),
    Mark(by="MatMulActivationFusion", op="FusedMatMulActivation"),
    Mark(by="LayerNormFusion", name="/LayerNormFusion/"),
    Mark(by="SimplifiedLayerNormFusion", name="/SimplifiedLayerNormFusion/"),
    Mark(by="SkipLayerNormFusion", op="SkipLayerNormalization"),
    Mark(by="SkipLayerNormFusion", op="SkipSimplifiedLayerNormalization"),
    Mark(by="EmbedLayerNormFusion", op="EmbedLayerNormalization"),
    Mark(by="GeluFusion", op="Gelu"),
    Mark(by="BiasGeluFusion", op="BiasGelu"),
    Mark(by="BiasGeluFusion", op="FastGelu", gone=frozenset({"FastGelu", "Add"})),
    Mark(by="FastGeluFusion", op="FastGelu"),
    Mark(by="QuickGeluFusion", name="/QuickGeluFusion/"),
    Mark(by="AttentionFusion", op="Attention", domain="com.microsoft"),
    Mark(by="AttentionFusion", op="MultiHeadAttention"),
    Mark(by="GroupQueryAttentionFusion", op="GroupQueryAttention"),
    Mark(by="BiasSoftmaxFusion", op="BiasSoftmax"),
    Mark(by="BiasDropoutFusion", op="BiasDropout"),
    Mark(by="GatherSliceToSplitFusion", name="/GatherSliceToSplitFusion"),
    Mark(by="ReshapeFusion", op="Reshape", gone=frozenset({"Concat"})),
    Mark(by="ReshapeFusion", op="Transpose", name=r"^Transpose(_token_\d+)?$", gone=frozenset({"Reshape"})),
    Mark(by="TransposeOptimizer", op="Transpose", name=r"^Transpose(_token_\d+)?$"),
    Mark(by="MatMul_BatchNormalization_Fusion", name="^MatMulBnFusion_Gemm"),
    Mark(by="DivMulFusion", op="Div", gone=frozenset({"Mul"})),
    Mark(by="Pad_Fusion", op="Conv", gone=frozenset({"Pad"})),
    Mark(by="Pad_Fusion", op="MaxPool", gone=frozenset({"Pad"})),
    Mark(by="ConvBNFusion", op="Conv", gone=frozenset({"BatchNormalization"})),
    Mark(by="ConvMulFusion", op="Conv", gone=frozenset({"Mul"})),
    Mark(by="ConvAddFusion", op="Conv", gone=frozenset({"Add"})),
    Mark(by="ConvActivationFusion", op="FusedConv"),
    Mark(by="NchwcTransformer", domain="com.microsoft.nchwc"),
    Mark(by="NhwcTransformer", op="NhwcFusedConv"),
    Mark(by="NhwcTransformer", op="NhwcMaxPool"),
    Mark(by="DynamicQuantizeMatMulFusion", op="DynamicQuantizeMatMul"),
    Mark(by="MatMulIntegerToFloatFusion", op="MatMulIntegerToFloat"),
    Mark(by="QDQSelectorActionTransformer", gone=frozenset({"DequantizeLinear", "QuantizeLinear"})),
    Mark(by="InsertCastTransformer", op="Cast", name="^Inserted(PrecisionFree)?Cast_"),
    Mark(by="MemcpyTransformer", op="MemcpyFromHost"),
    Mark(by="MemcpyTransformer", op="MemcpyToHost"),
)  # fmt: skip

_FOLDING, _MERGING = "ConstantFolding", "CommonSubexpressionElimination"
_REMOVING = {
    "Cast": "CastElimination",
    "Dropout": "EliminateDropout",
    "Expand": "ExpandElimination",
    "Identity": "EliminateIdentity",
    "Not": "NotWhereFusion",
    "Pad": "Pad_Fusion",
    "Slice": "EliminateSlice",
    "Unsqueeze": "UnsqueezeElimination",
}
_SENTENCES: dict[StepKind, str] = {
    "unchanged": "{before} unchanged",
    "rewritten": "{before} → {after} by {by}",
    "folded": "{before} folded away by {by}: no input of the model reaches it",
    "merged": "{before} merged with an equal node by {by}",
    "removed": "{before} left out by {by}",
    "added": "{after} added by {by}",
}


class Step(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of some nodes: positions in the graph before and in the graph after, and who did it."""

    kind: StepKind
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    by: str = ""


def rewrites(before: Graph, after: Graph, tool: str = "") -> tuple[Step, ...]:
    """Tell what turned one graph into the next.

    Args:
        before: A graph of the chain.
        after: The next one.
        tool: What made it; empty for ONNX Runtime's own optimizer, whose parts are then named by their marks.

    Returns:
        Steps in the order of `before`; every node of either graph is in exactly one.
    """
    kept = _kept(before, after)
    old, new = set(kept), set(kept.values())
    free, twins = input_free_values(before) - _open_shapes(before), _twins(before)
    found = [Step(kind="unchanged", before=(i,), after=(j,)) for i, j in kept.items()]
    for part in components((before, after)):
        gone = tuple(i for i in part.exported if i not in old)
        came = tuple(j for j in part.optimized if j not in new)
        if gone and came:
            found.append(_rewritten(before, after, gone, came, tool))
        elif came:
            found.append(Step(kind="added", after=came, by=tool or _marked([], _nodes(after, came))))
        else:
            found += [_vanished(before.nodes[i], free, twins, tool) for i in gone]
    return tuple(sorted(found, key=lambda step: (step.before or (len(before.nodes),), step.after)))


def sentence(step: Step, before: Graph, after: Graph) -> str:
    """A step in one line."""
    return _SENTENCES[step.kind].format(
        before=_listed(_nodes(before, step.before), " + "),
        after=_listed(_nodes(after, step.after), ", "),
        by=step.by,
    )


def _nodes(graph: Graph, positions: Iterable[int]) -> list[GraphNode]:
    return [graph.nodes[i] for i in positions]


def _listed(nodes: Sequence[GraphNode], separator: str) -> str:
    """Ops of a few nodes in their order; of many, each op once with its number."""
    if len(nodes) <= OPS_NAMED:
        return separator.join(node.op for node in nodes)
    counts = Counter(node.op for node in nodes)
    shown = [op if count == 1 else f"{op} ×{count}" for op, count in counts.items()]
    return separator.join([*shown[:OPS_NAMED], *(["…"] if len(shown) > OPS_NAMED else [])])


def _kept(before: Graph, after: Graph) -> dict[int, int]:
    """Positions of the nodes that are the same in both graphs (case 1)."""
    theirs = {(n.op, n.domain, n.outputs): n for n in after.nodes if any(n.outputs)}
    found = {}
    for node in before.nodes:
        other = theirs.get((node.op, node.domain, node.outputs))
        if other is not None and (other.name == node.name or other.inputs == node.inputs):
            found[node.index] = other.index
    return found


def _rewritten(before: Graph, after: Graph, gone: tuple[int, ...], came: tuple[int, ...], tool: str) -> Step:
    old, new = _nodes(before, gone), _nodes(after, came)
    if Counter((n.op, n.domain) for n in old) == Counter((n.op, n.domain) for n in new):
        return Step(kind="unchanged", before=gone, after=came)  # 2
    return Step(kind="rewritten", before=gone, after=came, by=tool or _marked(old, new))


def _marked(old: Sequence[GraphNode], new: Sequence[GraphNode]) -> str:
    """The optimizers whose marks the new nodes bear."""
    had, has = Counter(n.op for n in old), Counter(n.op for n in new)
    found = dict.fromkeys(mark.by for mark in MARKS if _bears(mark, had, has, new))
    return " and ".join(found) or UNKNOWN


def _bears(mark: Mark, had: Counter[str], has: Counter[str], new: Sequence[GraphNode]) -> bool:
    if not mark.gone <= had.keys() or mark.gone & has.keys() - {mark.op}:
        return False
    if mark.op in had and has[mark.op] > had[mark.op]:
        return False  # one more of the op took the place of what is gone: it was replaced, not fused
    fresh = bool(mark.name or mark.gone or mark.domain)
    return any(
        mark.op in ("", node.op)
        and (fresh or node.op not in had)
        and mark.domain in ("", node.domain)
        and re.search(mark.name, node.name) is not None
        for node in new
    )


def _vanished(node: GraphNode, free: frozenset[str], twins: frozenset[int], tool: str) -> Step:
    """What became of a node of which nothing is left (case 3)."""
    kind, by = _fate(node, free, twins)
    return Step(kind=kind, before=(node.index,), by=tool or by)


def _fate(node: GraphNode, free: frozenset[str], twins: frozenset[int]) -> tuple[StepKind, str]:
    if all(name in free for name in node.outputs):
        return "folded", _FOLDING
    if node.index in twins:
        return "merged", _MERGING
    return "removed", _REMOVING.get(node.op, UNKNOWN)


def _open_shapes(graph: Graph) -> frozenset[str]:
    """Values made of a shape that the file does not state."""
    found: set[str] = set()
    for node in graph.nodes:
        read = graph.values.get(node.inputs[0]) if node.op in SHAPE_OPS and node.inputs else None
        unstated = node.op in SHAPE_OPS and (read is None or -1 in read.shape)
        if unstated or not found.isdisjoint(node.inputs):
            found.update(node.outputs)
    return frozenset(found)


def _twins(graph: Graph) -> frozenset[int]:
    """Positions of the nodes that compute what another node computes: same op, attributes and inputs."""
    first: dict[tuple[object, ...], GraphNode] = {}
    same: dict[str, str] = {}
    found: set[int] = set()
    for node in graph.nodes:
        inputs = tuple(same.get(name, name) for name in node.inputs)
        key = (node.op, node.domain, inputs, tuple(sorted(node.attributes.items())), len(node.outputs))
        earlier = first.setdefault(key, node)
        if earlier is not node and node.inputs:
            same.update(zip(node.outputs, earlier.outputs, strict=True))
            found.update((node.index, earlier.index))
    return frozenset(found)
