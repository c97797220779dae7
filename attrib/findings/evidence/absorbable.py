"""Nodes of a graph that ONNX Runtime's optimizers would merge into others or compute beforehand."""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.ops import SMALL_SHAPE_ELEMENTS
from attrib.model.tensor import Tensor

LEVELS = ("disabled", "basic", "extended", "all")
"""ONNX Runtime's graph optimization levels, each with all before it (graph_optimizer_utils.cc)."""

BIAS = "added in the product that they follow"
"""What happens to a bias; a product of three or more dimensions gets two Reshape nodes in exchange."""


def absorbable_nodes(graph: Graph, level: str, without: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Find the nodes that ONNX Runtime would merge into others or compute beforehand.

    A node is counted once, for the first of `PATTERNS` that it fits.

    Args:
        graph: The graph that ran.
        level: The level that was allowed.
        without: Optimizers that were left out.

    Returns:
        Names of nodes by what would happen to them.
    """
    taken: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    for pattern in PATTERNS:
        if LEVELS.index(pattern.level) > LEVELS.index(level) or pattern.optimizer in without:
            names = tuple(name for name in pattern.nodes(graph) if name and name not in taken)
            taken.update(names)
            found |= {pattern.what: names} if names else {}
    return found


def replaceable_nodes(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Find the nodes of `absorbable_nodes` that are there only because a caller may replace what they read."""
    if not graph.overridable:
        return {}
    from_them = set(graph.overridable)
    for node in graph.nodes:
        if not from_them.isdisjoint(node.inputs):
            own = set(node.inputs) - from_them - graph.constants
            from_them.update(node.outputs if not own else ())
    reading = {node.name for node in graph.nodes if not from_them.isdisjoint(node.inputs)}
    fixed = replace(graph, overridable=frozenset())
    return {
        what: kept
        for what, names in absorbable_nodes(fixed, LEVELS[0], ()).items()
        if (kept := tuple(name for name in names if name in reading))
    }


def _computed_from_constants(graph: Graph) -> Iterator[str]:
    known = set(graph.constants - graph.overridable)
    for node in graph.nodes:
        if node.op == "Constant" or (
            node.inputs and all(value in known or not value for value in node.inputs)
        ):
            known.update(node.outputs)
            yield node.name


def _doing_nothing(graph: Graph) -> Iterator[str]:
    outputs = set(graph.outputs)
    return (
        n.name for n in graph.nodes if n.op in ("Identity", "Dropout") and not outputs.intersection(n.outputs)
    )


def _bias_of_product(graph: Graph) -> Iterator[str]:
    """MatMulAddFusion: the sum of a product with constant weights and a constant."""
    products = {
        value
        for node in graph.nodes
        if node.op == "MatMul" and graph.constants.intersection(node.inputs[1:])
        for value in node.outputs
    }
    return (
        node.name
        for node in graph.nodes
        if node.op == "Add"
        and products.intersection(node.inputs)
        and graph.constants.intersection(node.inputs)
    )


def _scale_of_product(graph: Graph) -> Iterator[str]:
    """MatMulScaleFusion: a product times a constant number."""
    products = [node for node in graph.nodes if node.op == "MatMul"]
    around = {value for node in products for value in (*node.inputs, *node.outputs)}
    made = {value for node in graph.nodes if node.op == "Constant" for value in node.outputs}
    single = {name for name in graph.constants if name in graph.values and graph.values[name].elements == 1}
    factors = made | single
    return (
        node.name
        for node in graph.nodes
        if node.op in ("Mul", "Div")
        and factors.intersection(node.inputs)
        and around.intersection((*node.inputs, *node.outputs)) - factors
    )


def _undone_transposes(graph: Graph) -> Iterator[str]:
    """TransposeOptimizer: a transposed matrix goes into the product that reads it."""
    readers: dict[str, list[GraphNode]] = {}
    for node in graph.nodes:
        for value in node.inputs:
            readers.setdefault(value, []).append(node)
    for node in graph.nodes:
        axes = node.attributes.get("perm", "").split(",")
        swapped = (
            len(axes) > 1
            and axes[:-2] == [str(i) for i in range(len(axes) - 2)]
            and axes[-1] != str(len(axes) - 1)
        )
        its = readers.get(node.outputs[0], []) if node.outputs else []
        if node.op == "Transpose" and swapped and its and all(reader.op == "MatMul" for reader in its):
            yield node.name


def constant_inputs(graph: Graph) -> list[tuple[str, str, Tensor]]:
    """Large values that nodes compute from constants alone, which the session does once, when it is created.

    Returns:
        The node that reads the value, the value and its type.
    """
    free = input_free_values(graph)
    made = {name for node in graph.nodes for name in node.outputs if name in free}
    readers = {
        name: node.name or node.op
        for node in graph.nodes
        if free.isdisjoint(node.outputs)
        for name in node.inputs
        if name in made
    }
    return [
        (reader, name, tensor)
        for name, reader in readers.items()
        if (tensor := graph.values.get(name))
        and "float" in tensor.dtype
        and tensor.elements > SMALL_SHAPE_ELEMENTS
    ]


class _Pattern(NamedTuple):
    """What one of ONNX Runtime's optimizers does, from which level on, and the nodes that it does it to."""

    level: str
    optimizer: str
    what: str
    nodes: Callable[[Graph], Iterator[str]]


PATTERNS = (
    _Pattern(
        "basic",
        "ConstantFolding",
        "computed beforehand, because they read constants alone",
        _computed_from_constants,
    ),
    _Pattern("basic", "EliminateIdentity", "taken out, because they do nothing", _doing_nothing),
    _Pattern("basic", "MatMulAddFusion", BIAS, _bias_of_product),
    _Pattern("extended", "MatMulScaleFusion", "multiplied in the product beside them", _scale_of_product),
    _Pattern("extended", "MatmulTransposeFusion", "read by the product as they are", _undone_transposes),
)
