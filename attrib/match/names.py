"""What the name of an executed node says: which exported node it was made of, in which module, and who made it.

Exporters write names that hold evidence: TorchScript's hold the module path and a number per module
(`/encoder/layer.0/attention/self/Reshape_1`), dynamo's hold the fx node or a running number (`node_gelu_3`,
`node_MatMul_45`), older exporters' only a running number (`MatMul_45`). ONNX Runtime keeps the name of a node that it
leaves alone. One that it makes carries the name of a member inside its own (`node_MatMul_45/MatMulAddFusion`,
`fused node_linear_72`), or only a name of its own (`SkipLayerNormalization_token_460`, `gemm_input_reshape`).
"""

import re

import msgspec

from attrib.match.ops import ONNX_OPS

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
    return NodeName(made, member, _scope(member, op), stem, number)


def _scope(member: str, op: str) -> str | None:
    """The module path before the op type at the end of a TorchScript name."""
    parts = member.split("/")
    kind = re.sub(r"_\d+$", "", parts[-1])
    if parts[0] or not parts[1:] or not (kind == op or kind in ONNX_OPS):
        return None
    return ".".join(parts[1:-1])


def counts_globally(name: NodeName) -> bool:
    """Whether the number may count all nodes of the graph: `node_MatMul_45`, `MatMul_45`; not `/a/MatMul_1`."""
    return name.number >= 0 and "/" not in name.stem and name.stem.removeprefix("node_") in ONNX_OPS
