"""The provenance of a region: every call, node and rewrite behind it, so that a reader can check the match."""

from typing import Literal

import msgspec

from attrib.model.region import Origin

StepKind = Literal["unchanged", "rewritten", "folded", "merged", "removed", "added"]
"""What became of nodes from one graph of the chain to the next. `folded`: no input of the model reaches them, so they
were computed once; `merged`: an equal node serves in their place; `removed`: nothing is left of them."""


class _Struct(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    pass


class TrailMember(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One op that a compiled kernel covers: its module, the op, and the fx node."""

    scope: str = ""
    op: str
    name: str = ""


class TrailCall(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One PyTorch call: id, op, module, mean time, the tensors that it read, and what a compiled kernel covers."""

    id: str
    op: str
    module: str = ""
    ns: int
    inputs: tuple[str, ...] = ()
    members: tuple[TrailMember, ...] = ()
    members_more: int = 0


class TrailNode(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One node of a captured graph, with the module and fx node that the exporter wrote."""

    name: str
    op: str
    module: str = ""
    fx_node: str = ""


class TrailStage(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A region's nodes in one graph of the chain: `exported`, an offline rewrite, or `optimized` (what did not run)."""

    name: str
    nodes: tuple[TrailNode, ...] = ()
    more: int = 0


class TrailRun(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One executed node: id, op, provider, mean time, and the tensors that it read and wrote."""

    id: str
    op: str
    provider: str = ""
    ns: int
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


class TrailStep(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a rewrite did to some nodes.

    Attributes:
        stage: The graph that holds the result.
        kind: What became of them.
        by: The optimizer or tool.
        before: Names of the nodes in the graph before; empty names as their op.
        after: Names of the nodes in the graph after it.
        text: The same in one line, e.g. `MatMul + Add → Reshape, Gemm, Reshape by MatMulAddFusion`.
    """

    stage: str
    kind: StepKind
    by: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    text: str


class RegionTrail(_Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The evidence behind one region.

    Long lists are cut: `calls_more`, `ran_more`, `steps_more` and a stage's `more` count what is left out. Figures and
    match are in the ledger rows whose `region` is this one.

    Attributes:
        id: The region.
        module: The innermost module that holds it.
        origin: Which side has this work.
        reason: Why it has no counterpart; empty for a matched region.
        calls: PyTorch calls.
        stages: Its nodes in each graph that was captured, as exported first.
        ran: Nodes that ONNX Runtime executed.
        steps: What turned the nodes of one graph into those of the next.
    """

    id: str
    module: str = ""
    origin: Origin = "both"
    reason: str = ""
    calls: tuple[TrailCall, ...] = ()
    calls_more: int = 0
    stages: tuple[TrailStage, ...] = ()
    ran: tuple[TrailRun, ...] = ()
    ran_more: int = 0
    steps: tuple[TrailStep, ...] = ()
    steps_more: int = 0
