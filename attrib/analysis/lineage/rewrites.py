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


class OptimizerMark(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the new nodes of an optimizer of ONNX Runtime's look like.

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

    def is_on(self, old: Counter[str], new: Counter[str], nodes: Sequence[GraphNode]) -> bool:
        """Whether new nodes bear this mark.

        Args:
            old: Number of nodes by op, before the rewrite.
            new: The same after it.
            nodes: The nodes after it.
        """
        if not self.gone <= old.keys() or self.gone & new.keys() - {self.op}:
            return False
        if self.op in old and new[self.op] > old[self.op]:
            return False  # one more of the op took the place of what is gone: it was replaced, not fused
        fresh = bool(self.name or self.gone or self.domain)
        return any(
            self.op in ("", node.op)
            and (fresh or node.op not in old)
            and self.domain in ("", node.domain)
            and re.search(self.name, node.name) is not None
            for node in nodes
        )


MARKS: tuple[OptimizerMark, ...] = (
    OptimizerMark(by="MatMulAddFusion", name="/MatMulAddFusion"),
    OptimizerMark(by="MatMulAddFusion", name="^gemm_(input|output)_reshape"),
    OptimizerMark(by="MatMulScaleFusion", name="/MatMulScaleFusion/"),
    OptimizerMark(by="MatmulTransposeFusion", name="/MatmulTransposeFusion/"),
    OptimizerMark(by="GemmTransposeFusion", name="/GemmTransposeFusion/"),
    OptimizerMark(by="GemmSumFusion", name="/GemmSumFusion/"),
    OptimizerMark(by="GemmActivationFusion", op="FusedGemm"),
    OptimizerMark(by="MatMulActivationFusion", op="FusedMatMulActivation"),
    OptimizerMark(by="LayerNormFusion", name="/LayerNormFusion/"),
    OptimizerMark(by="SimplifiedLayerNormFusion", name="/SimplifiedLayerNormFusion/"),
    OptimizerMark(by="SkipLayerNormFusion", op="SkipLayerNormalization"),
    OptimizerMark(by="SkipLayerNormFusion", op="SkipSimplifiedLayerNormalization"),
    OptimizerMark(by="EmbedLayerNormFusion", op="EmbedLayerNormalization"),
    OptimizerMark(by="GeluFusion", op="Gelu"),
    OptimizerMark(by="BiasGeluFusion", op="BiasGelu"),
    OptimizerMark(by="BiasGeluFusion", op="FastGelu", gone=frozenset({"FastGelu", "Add"})),
    OptimizerMark(by="FastGeluFusion", op="FastGelu"),
    OptimizerMark(by="QuickGeluFusion", name="/QuickGeluFusion/"),
    OptimizerMark(by="AttentionFusion", op="Attention", domain="com.microsoft"),
    OptimizerMark(by="AttentionFusion", op="MultiHeadAttention"),
    OptimizerMark(by="GroupQueryAttentionFusion", op="GroupQueryAttention"),
    OptimizerMark(by="BiasSoftmaxFusion", op="BiasSoftmax"),
    OptimizerMark(by="BiasDropoutFusion", op="BiasDropout"),
    OptimizerMark(by="GatherSliceToSplitFusion", name="/GatherSliceToSplitFusion"),
    OptimizerMark(by="ReshapeFusion", op="Reshape", gone=frozenset({"Concat"})),
    OptimizerMark(by="ReshapeFusion", op="Transpose", name=r"^Transpose(_token_\d+)?$", gone=frozenset({"Reshape"})),
    OptimizerMark(by="TransposeOptimizer", op="Transpose", name=r"^Transpose(_token_\d+)?$"),
    OptimizerMark(by="MatMul_BatchNormalization_Fusion", name="^MatMulBnFusion_Gemm"),
    OptimizerMark(by="DivMulFusion", op="Div", gone=frozenset({"Mul"})),
    OptimizerMark(by="Pad_Fusion", op="Conv", gone=frozenset({"Pad"})),
    OptimizerMark(by="Pad_Fusion", op="MaxPool", gone=frozenset({"Pad"})),
    OptimizerMark(by="ConvBNFusion", op="Conv", gone=frozenset({"BatchNormalization"})),
    OptimizerMark(by="ConvMulFusion", op="Conv", gone=frozenset({"Mul"})),
    OptimizerMark(by="ConvAddFusion", op="Conv", gone=frozenset({"Add"})),
    OptimizerMark(by="ConvActivationFusion", op="FusedConv"),
    OptimizerMark(by="NchwcTransformer", domain="com.microsoft.nchwc"),
    OptimizerMark(by="NhwcTransformer", op="NhwcFusedConv"),
    OptimizerMark(by="NhwcTransformer", op="NhwcMaxPool"),
    OptimizerMark(by="DynamicQuantizeMatMulFusion", op="DynamicQuantizeMatMul"),
    OptimizerMark(by="MatMulIntegerToFloatFusion", op="MatMulIntegerToFloat"),
    OptimizerMark(by="QDQSelectorActionTransformer", gone=frozenset({"DequantizeLinear", "QuantizeLinear"})),
    OptimizerMark(by="InsertCastTransformer", op="Cast", name="^Inserted(PrecisionFree)?Cast_"),
    OptimizerMark(by="MemcpyTransformer", op="MemcpyFromHost"),
    OptimizerMark(by="MemcpyTransformer", op="MemcpyToHost"),
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
    """Find the steps that turned one graph into the next.

    Args:
        before: A graph of the chain.
        after: The next one.
        tool: What made it; empty for ONNX Runtime's own optimizer, whose parts are then named by their marks.

    Returns:
        Steps in the order of `before`; every node of either graph is in exactly one.
    """
    theirs = {(n.op, n.domain, n.outputs): n for n in after.nodes if any(n.outputs)}
    kept = {}
    for node in before.nodes:
        other = theirs.get((node.op, node.domain, node.outputs))
        if other is not None and (other.name == node.name or other.inputs == node.inputs):
            kept[node.index] = other.index  # 1
    old, new = set(kept), set(kept.values())
    free, twins = input_free_values(before) - _open_shapes(before), _twins(before)
    found = [Step(kind="unchanged", before=(i,), after=(j,)) for i, j in kept.items()]
    for part in components((before, after)):
        gone = tuple(i for i in part.exported if i not in old)
        came = tuple(j for j in part.optimized if j not in new)
        was, now = _nodes(before, gone), _nodes(after, came)
        if not came:
            found += [_step_of_vanished(node, free, twins, tool) for node in was]
        elif not gone:
            found.append(Step(kind="added", after=came, by=tool or _optimizers_by_mark([], now)))
        elif Counter((n.op, n.domain) for n in was) == Counter((n.op, n.domain) for n in now):
            found.append(Step(kind="unchanged", before=gone, after=came))  # 2
        else:
            found.append(
                Step(kind="rewritten", before=gone, after=came, by=tool or _optimizers_by_mark(was, now))
            )
    return tuple(sorted(found, key=lambda step: (step.before or (len(before.nodes),), step.after)))


def sentence(step: Step, before: Graph, after: Graph) -> str:
    """A step in one line."""
    return _SENTENCES[step.kind].format(
        before=_list_ops(_nodes(before, step.before), " + "),
        after=_list_ops(_nodes(after, step.after), ", "),
        by=step.by,
    )


def _nodes(graph: Graph, positions: Iterable[int]) -> list[GraphNode]:
    return [graph.nodes[i] for i in positions]


def _list_ops(nodes: Sequence[GraphNode], separator: str) -> str:
    """Ops of a few nodes in their order; of many, each op once with its number."""
    if len(nodes) <= OPS_NAMED:
        return separator.join(node.op for node in nodes)
    counts = Counter(node.op for node in nodes)
    shown = [op if count == 1 else f"{op} ×{count}" for op, count in counts.items()]
    return separator.join([*shown[:OPS_NAMED], *(["…"] if len(shown) > OPS_NAMED else [])])


def _optimizers_by_mark(old: Sequence[GraphNode], new: Sequence[GraphNode]) -> str:
    """The optimizers whose marks the new nodes bear."""
    had, has = Counter(n.op for n in old), Counter(n.op for n in new)
    found = dict.fromkeys(mark.by for mark in MARKS if mark.is_on(had, has, new))
    return " and ".join(found) or UNKNOWN


def _step_of_vanished(node: GraphNode, free: frozenset[str], twins: frozenset[int], tool: str) -> Step:
    """What became of a node of which nothing is left (case 3)."""
    kind: StepKind = "removed"
    by = _REMOVING.get(node.op, UNKNOWN)
    if all(name in free for name in node.outputs):
        kind, by = "folded", _FOLDING
    elif node.index in twins:
        kind, by = "merged", _MERGING
    return Step(kind=kind, before=(node.index,), by=tool or by)


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
