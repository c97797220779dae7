"""TorchScript's own record: the graph that its executor runs, each node with the module that it was traced in.

The executor takes some ops apart (`addmm` into `mm` and `add`). Such nodes name no module, but the op they stand for, and
they read the weights of its module.
"""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from attrib.model.compiled import Compiled, CompiledGraph, KernelLaunch
from attrib.model.work import Member

REGION = "forward"
"""The event of a traced module's run: the name of its method."""

_MODULE = "__module."
_DEFINITION = re.compile(r"\bdef (\w+)\(")
_LINE = re.compile(r"\bline (\d+)")
_MARK = "<--- HERE"


def compiled_from_torchscript(graph: Any, wrapper: str) -> Compiled:
    """Read what the optimized graph of a traced module launches.

    Args:
        graph: The graph that the executor ran last.
        wrapper: Name of the attribute under which the traced wrapper holds the model.
    """
    launches = tuple(_launches(graph, wrapper))
    return Compiled(compiler="torchscript", graphs=(CompiledGraph(region=REGION, launches=launches),))


def _launches(block: Any, wrapper: str) -> Iterator[KernelLaunch]:
    for node in block.nodes():
        if node.hasAttribute("Subgraph"):
            # A fused group is one kernel, named after its ops.
            fused = [inner for inner in node.g("Subgraph").nodes() if inner.kind().startswith("aten::")]
            name = "_".join(["fused", *(inner.kind().removeprefix("aten::") for inner in fused)])
            yield KernelLaunch(kernel=name, members=tuple(_member(inner, wrapper) for inner in fused))
        elif node.kind() == "prim::If":
            # Both branches, except behind the check of a fused group: the second one is for other types of inputs.
            blocks = list(node.blocks())
            guarded = any(inner.hasAttribute("Subgraph") for inner in blocks[0].nodes())
            for branch in blocks[:1] if guarded else blocks:
                yield from _launches(branch, wrapper)
        elif not node.kind().startswith("prim::"):
            member = (_member(node, wrapper),)
            is_part = any(_continues(use.user, node) for output in node.outputs() for use in output.uses())
            kernel = node.kind()
            yield (
                KernelLaunch(kernel=kernel, partial=member)
                if is_part
                else KernelLaunch(kernel=kernel, members=member)
            )


def _member(node: Any, wrapper: str) -> Member:
    name = next((output.debugName() for output in node.outputs()), "")
    if node.scopeName():
        return Member(scope=scope_of(node.scopeName(), wrapper), op=node.kind(), name=name)
    before = next((value.node() for value in node.inputs() if _continues(node, value.node())), None)
    if before is not None:
        return _member(before, wrapper)
    owners = (_owner(value, wrapper) for value in node.inputs())
    scope = next((owner for owner in owners if owner is not None), "")
    part = _part_of_op(node)
    return Member(scope=scope, op=part.op if part else node.kind(), name=name)


class _Part(NamedTuple):
    """A node that the executor put in place of a part of an op: the op, and where in its definition the part stands."""

    op: str
    line: int
    width: int


def _part_of_op(node: Any) -> _Part | None:
    """What the source of a node without a module says: the definition that it comes from, up to a mark below its place."""
    before_mark = node.sourceRange().partition(_MARK)[0]
    definitions = _DEFINITION.findall(before_mark)
    line = _LINE.search(before_mark)
    if node.scopeName() or not definitions or line is None:
        return None
    # The mark is as wide as the expression, so that it is wider for what is computed later.
    return _Part(f"aten::{definitions[-1]}", int(line[1]), before_mark.count("~"))


def _continues(node: Any, before: Any) -> bool:
    """Whether both nodes are parts of one op, and `before` is computed first."""
    part, earlier = _part_of_op(node), _part_of_op(before)
    return part is not None and earlier is not None and part.op == earlier.op and earlier < part


def _owner(value: Any, wrapper: str) -> str | None:
    """The module whose weight a value is; None for what is no weight."""
    names: list[str] = []
    while value.node().kind() == "prim::GetAttr":
        names.insert(0, value.node().s("name"))
        value = value.node().input()
    return _unwrapped(".".join(names[:-1]), wrapper) if names else None


def scope_of(traced: str, wrapper: str) -> str:
    """The qualified name in `__module.model/__module.model.encoder`, whose first part is the wrapper's attribute."""
    return _unwrapped(traced.rpartition("/")[2].removeprefix(_MODULE), wrapper)


def _unwrapped(name: str, wrapper: str) -> str:
    return name.removeprefix(wrapper).removeprefix(".")
