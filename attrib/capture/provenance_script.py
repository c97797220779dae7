"""TorchScript's own record: the graph that its executor runs, each node with the module that it was traced in."""

from collections.abc import Iterator
from typing import Any

from attrib.model.compiled import Compiled, CompiledGraph, Launch
from attrib.model.work import Member

REGION = "forward"
"""The event of a traced module's run: the name of its method."""

_MODULE = "__module."


def scripted(graph: Any, wrapper: str) -> Compiled:
    """What the optimized graph of a traced module launches.

    Args:
        graph: The graph that the executor ran last.
        wrapper: Name of the attribute under which the traced wrapper holds the model.
    """
    launches = tuple(_launches(graph, wrapper))
    return Compiled(compiler="torchscript", graphs=(CompiledGraph(region=REGION, launches=launches),))


def _launches(block: Any, wrapper: str) -> Iterator[Launch]:
    for node in block.nodes():
        if node.hasAttribute("Subgraph"):
            yield _group(node.g("Subgraph"), wrapper)
        elif node.kind() == "prim::If":
            yield from _branches(node, wrapper)
        elif not node.kind().startswith("prim::"):
            yield Launch(kernel=node.kind(), members=(_member(node, wrapper),))


def _branches(node: Any, wrapper: str) -> Iterator[Launch]:
    """Both branches, except behind the check of a fused group: the second one is for other types of inputs."""
    blocks = list(node.blocks())
    guarded = any(inner.hasAttribute("Subgraph") for inner in blocks[0].nodes())
    for block in blocks[:1] if guarded else blocks:
        yield from _launches(block, wrapper)


def _group(graph: Any, wrapper: str) -> Launch:
    """A fused group is one kernel, named after its ops."""
    nodes = [node for node in graph.nodes() if node.kind().startswith("aten::")]
    name = "_".join(["fused", *(node.kind().removeprefix("aten::") for node in nodes)])
    return Launch(kernel=name, members=tuple(_member(node, wrapper) for node in nodes))


def _member(node: Any, wrapper: str) -> Member:
    name = next((output.debugName() for output in node.outputs()), "")
    return Member(scope=scope_of(node.scopeName(), wrapper), op=node.kind(), name=name)


def scope_of(traced: str, wrapper: str) -> str:
    """The qualified name in `__module.model/__module.model.encoder`, whose first part is the wrapper's attribute."""
    name = traced.rpartition("/")[2].removeprefix(_MODULE)
    return name.removeprefix(wrapper).removeprefix(".")
