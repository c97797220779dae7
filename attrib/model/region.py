"""Regions: the smallest sets of calls and nodes that compute the same tensors."""

from typing import Annotated, Literal

import msgspec

Method = Annotated[str, msgspec.Meta(description="The kind of evidence that joins calls and nodes.")]
"""The `method` of a row of `attrib.analysis.match.matchers.registry.MATCHERS`; or `identity` (two runs of one engine),
`partition` (the nodes of the calls lie in a part of the graph that a provider compiled into one node), `none`."""


Origin = Literal["both", "torch", "onnxruntime", "unknown", "alone"]
"""Which side has the work of a region: `unknown` where attrib could not find out whether the other side has it too,
`alone` where there is nothing to compare it with: one engine was captured, or two models."""


Verified = Literal["", "verified", "loose", "wrong", "unchecked"]
"""What the numbers say of a match: `attrib.analysis.match.value_check`; empty where they were not compared."""


class Match(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How calls and nodes were brought together.

    Attributes:
        method: The weakest link by which anything in the region was joined.
        confidence: 0 to 1; 0 where there is no counterpart.
        evidence: The links, one line each, e.g. `value name layer_norm_1 is in both graphs`.
        verified: Whether what leaves the region in ONNX Runtime equals what its calls return.
    """

    method: Method
    confidence: float
    evidence: tuple[str, ...] = ()
    verified: Verified = ""


class Region(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Calls and nodes that compute the same tensors: the unit in which the two engines can be compared.

    Attributes:
        id: Stable from run to run, made of the module scope and the ops, e.g. `encoder.layer.0.output/linear`.
        module: The innermost module that holds every member.
        calls: Ids of the PyTorch calls.
        nodes: Ids of the executed nodes.
        exported: Names of the nodes of the exported graph that lie between them.
        lineage: Positions of its nodes in each graph of the chain: as exported, after each rewrite, as it ran.
        match: Why they belong together.
        origin: Which side has this work.
    """

    id: str
    module: str
    calls: tuple[str, ...]
    nodes: tuple[str, ...]
    exported: tuple[str, ...] = ()
    lineage: tuple[tuple[int, ...], ...] = ()
    match: Match
    origin: Origin = "both"
