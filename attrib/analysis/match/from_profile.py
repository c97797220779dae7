"""The executed nodes as the only graph there is: what the profile says of their order and of who belongs to whom.

ONNX Runtime executes depth first: the key projection before the query's, the value's after the softmax. The order of
the export, which is PyTorch's order of calls, shows in two places that are read here as orders (see `ExportOrder`):

1. `node_index`: nodes keep the number that they had in the file that was loaded. Nodes that ONNX Runtime made itself
   are numbered after all of these, and are left out.
2. Running numbers in names (`node_MatMul_45`, and `node_MatMul_45/MatMulAddFusion` for the node it went into).

Such an order counts only if it rises with execution: some exporters count per op, and in a file without names nothing tells
which nodes ONNX Runtime made. One that is the order of execution says nothing new.

Layout nodes that ONNX Runtime put around a node of its own (the reshapes of a `Gemm`, the reorders of a blocked
convolution) belong to that node: the tensor between the two is one that PyTorch never had.
"""

import re
from collections.abc import Sequence

import msgspec

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.ops import ONNX_OPS, node_role
from attrib.model.tensor import Tensor
from attrib.model.work import Work

# What the name of an executed node says: which exported node it was made of, in which module, and who made it.
#
# Exporters write names that hold evidence: TorchScript's hold the module path and a number per module
# (`/encoder/layer.0/attention/self/Reshape_1`), dynamo's hold the fx node or a running number (`node_gelu_3`,
# `node_MatMul_45`), older exporters' only a running number (`MatMul_45`). ONNX Runtime keeps the name of a node that it
# leaves alone. One that it makes carries the name of a member inside its own (`node_MatMul_45/MatMulAddFusion`,
# `fused node_linear_72`), or only a name of its own (`SkipLayerNormalization_token_460`, `gemm_input_reshape`).


_TOKEN = re.compile(r"_token_\d+$")
_FUSION = re.compile(r"/\w*Fusion(?:/.*)?$")
_OWN = re.compile(
    r"gemm_(?:in|out)put_reshape|.*_(?:new_reshape|sum_transformed|nchwc)|Inserted\w*|(?:Reorder|Memcpy)\w*"
)
_NUMBERED = re.compile(r"(.*?)_?(\d+)")


class NodeName(msgspec.Struct, frozen=True, gc=False):
    """A node's name, taken apart.

    Attributes:
        made: ONNX Runtime made the node; its `node_index` then says nothing about the export.
        member: Name of the exported node that it is, or that it was made of; empty where the name does not say.
        scope: The module path in a TorchScript name, with dots; None where there is none.
        stem: The member's name without its number.
        number: That number; -1 where there is none.
    """

    made: bool
    member: str
    scope: str | None
    stem: str
    number: int


def node_name_parts(name: str, op: str) -> NodeName:
    """Take the name of an executed node apart.

    Args:
        name: As the profile spells it, without `_kernel_time`.
        op: The node's op type.
    """
    bare = _TOKEN.sub("", name)
    member = _FUSION.sub("", bare.removeprefix("fused "))
    own = bare in ("", op) or _OWN.fullmatch(bare) is not None
    made = own or member != name
    if own:
        return NodeName(made, "", None, "", -1)
    found = _NUMBERED.fullmatch(member)
    stem, number = (found[1], int(found[2][:18])) if found else (member, -1)
    # TorchScript writes the module path before the op type at the end: `/encoder/layer.0/attention/self/Reshape_1`.
    parts = member.split("/")
    kind = re.sub(r"_\d+$", "", parts[-1])
    scope = ".".join(parts[1:-1]) if not parts[0] and parts[1:] and (kind == op or kind in ONNX_OPS) else None
    return NodeName(made, member, scope, stem, number)


def counts_globally(name: NodeName) -> bool:
    """Whether the number may count all nodes of the graph: `node_MatMul_45`, `MatMul_45`; not `/a/MatMul_1`."""
    return name.number >= 0 and "/" not in name.stem and name.stem.removeprefix("node_") in ONNX_OPS


ExportOrder = tuple[int, ...]
"""Positions of nodes in the order in which they were exported."""

RISING = 0.9
"""Least rank correlation with execution for numbers to count as an order: that of a true order was 0.93 and more on BERTs of
2 to 12 layers, whatever the exporter and the optimization, and that of a false one 0.84 at most."""
FEWEST = 4
"""Nodes that an order of export needs."""
NEAREST = 8
"""How many nodes away the node is looked for that a layout node was put around."""
_REPEATED = re.compile(r"#\d+$")


def graph_from_work(nodes: Sequence[Work]) -> Graph:
    """A graph of the executed nodes alone: its values are known by type, but not where they come from."""
    values = {f"?{i}.{k}": t for i, n in enumerate(nodes) for k, t in enumerate(n.inputs)}
    values |= {f"!{i}.{k}": t for i, n in enumerate(nodes) for k, t in enumerate(n.outputs)}
    return Graph(
        nodes=tuple(
            GraphNode(
                name=n.id,
                index=i,
                op=n.op,
                domain="",
                inputs=tuple(f"?{i}.{k}" for k in range(len(n.inputs))) or (f"?{i}",),
                outputs=tuple(f"!{i}.{k}" for k in range(len(n.outputs))) or (f"!{i}",),
                scope=name_of(n).scope,
            )
            for i, n in enumerate(nodes)
        ),
        inputs=(),
        outputs=(),
        constants=frozenset(),
        values=values,
        opset=0,
    )


def name_of(node: Work) -> NodeName:
    """What the name of an executed node says."""
    return node_name_parts(_REPEATED.sub("", node.id), node.op)


def export_orders(nodes: Sequence[Work]) -> tuple[ExportOrder, ...]:
    """Nodes whose order of export is known, the surest first (cases 1 and 2)."""
    names = [name_of(node) for node in nodes]
    kept = [i for i, n in enumerate(nodes) if n.node_index >= 0 and not names[i].made]
    counted = [i for i, name in enumerate(names) if counts_globally(name)]
    orders: list[ExportOrder] = [
        tuple(sorted(kept, key=lambda i: (nodes[i].node_index, i))),
        tuple(sorted(counted, key=lambda i: (names[i].number, i))),
    ]
    return tuple(
        order for order in orders if len(order) >= FEWEST and RISING <= rank_correlation(order) < 1.0
    )


def rank_correlation(order: ExportOrder) -> float:
    """Spearman's coefficient of an order of export and the order of execution."""
    n = len(order)
    ranks = {node: rank for rank, node in enumerate(sorted(order))}
    squares = sum((ranks[node] - place) ** 2 for place, node in enumerate(order))
    return 1.0 - 6.0 * squares / (n * (n * n - 1)) if n > 1 else 1.0


def wrappers(calls: Sequence[Work], nodes: Sequence[Work]) -> dict[int, int]:
    """Layout nodes that ONNX Runtime put around another node, with that node, by position."""
    known = {t for call in calls for t in call.inputs}
    found: dict[int, int] = {}
    for i, node in enumerate(nodes):
        if not known or node_role(node) not in ("layout", "cast", "quantize") or not name_of(node).made:
            continue
        reader = _neighbor(nodes, range(i + 1, i + 1 + NEAREST), _new(node.outputs, known), reads=True)
        maker = _neighbor(nodes, range(i - 1, i - 1 - NEAREST, -1), _new(node.inputs, known), reads=False)
        partner = reader if reader is not None else maker
        if partner is not None:
            found[i] = partner
    inside: dict[int, int] = {}
    for start, partner in found.items():
        # Follow layout nodes around layout nodes to the node inside; to the last new one where they go in circles.
        seen, place = {start}, partner
        while place in found and found[place] not in seen:
            seen.add(place)
            place = found[place]
        inside[start] = place
    return inside


def _new(tensors: Sequence[Tensor], known: set[Tensor]) -> set[Tensor]:
    """The tensors of a type that no PyTorch call read."""
    return {t for t in tensors[:1] if t not in known}


def _neighbor(nodes: Sequence[Work], places: range, wanted: set[Tensor], *, reads: bool) -> int | None:
    inside = (i for i in places if 0 <= i < len(nodes))
    return next((i for i in inside if wanted & {*(nodes[i].inputs if reads else nodes[i].outputs)}), None)
