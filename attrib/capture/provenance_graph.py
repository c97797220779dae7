"""The graph that Inductor lowered, reduced to what decides which kernel computes what."""

from typing import Any, NamedTuple


class LoweredNode(NamedTuple):
    """One op of the lowered graph.

    `op` is its overload packet, e.g. `aten::addmm`; `view`: it only renames or re-reads what another op computed.
    """

    name: str
    op: str
    view: bool
    inputs: tuple[str, ...]


def lowered_nodes(graph: Any) -> tuple[LoweredNode, ...]:
    """Every call of a lowered fx graph, in its order."""
    calls = [node for node in graph.nodes if node.op == "call_function"]
    return tuple(
        LoweredNode(
            name=node.name,
            op=overload_name(node.target),
            # `getitem` on a lowered graph takes one result out of several.
            view=bool(getattr(node.target, "is_view", False))
            or getattr(node.target, "__name__", "") == "getitem",
            inputs=tuple(source.name for source in node.all_input_nodes),
        )
        for node in calls
    )


def overload_name(target: Any) -> str:
    """`aten::addmm` for any overload of it; empty for what is no operator of the dispatcher."""
    schema = getattr(target, "_schema", None)
    return str(schema.name) if schema is not None else ""
