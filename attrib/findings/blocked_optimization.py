"""blocked-optimization: ONNX Runtime was kept from optimizing the graph."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from attrib.findings.placement import rows_with
from attrib.findings.protocol import Evidence, Rule, Verdict
from attrib.findings.select import MOST_GROUPS, counted, ids, listed
from attrib.lineage.graph import Graph, GraphNode
from attrib.model.document import EvidenceRow
from attrib.model.estimate import Delta
from attrib.units import format_ns

LEVELS = ("disabled", "basic", "extended", "all")
"""ONNX Runtime's graph optimization levels, each with all before it (graph_optimizer_utils.cc)."""

LEAST_SAVED = 0.5
"""Of the time of the nodes that would go: what they do is partly done by the node that takes them in."""


def audit(evidence: Evidence) -> Verdict:
    """Look at the level, at the optimizers that were left out, and at what the graph itself forbids."""
    side = evidence.manifest.sides.get("onnxruntime") if evidence.manifest else None
    level, without = (side.opt_level, side.disabled_optimizers) if side else ("", ())
    ran, overridable = evidence.optimized, evidence.loaded.overridable if evidence.loaded else frozenset()
    left = absorbable(ran, level if level in LEVELS else "all", without) if ran is not None else {}
    reasons = (
        (_is_low(level, ran), f"the level is {level}, not all"),
        (bool(left) and bool(without), f"left out: {listed(list(without))}"),
        (
            bool(overridable),
            f"{counted(len(overridable), 'initializer')} are graph inputs: not treated as constants",
        ),
        (not level and _untouched(evidence), "the graph ran as it was loaded, node by node"),
    )
    wrong = [text for holds, text in reasons if holds]
    works = tuple(node for names in left.values() for node in names) if wrong else ()
    claim = _claim(evidence, works)
    return Verdict(
        failed=bool(wrong),
        rows=ids(rows_with(evidence.ledger.rows, set(works))),
        claim=claim if claim.median else None,
        works=works,
        detail="; ".join(wrong),
        summary=_summary(evidence, level, works, claim),
        evidence=(*(EvidenceRow(text=text) for text in wrong), *_lines(evidence, left if wrong else {})),
        fix=_fix(level, without, overridable),
    )


def _is_low(level: str, ran: Graph | None) -> bool:
    """Whether the level leaves something out: what `all` has beyond `extended` is the layout of convolutions."""
    convolves = ran is not None and any(node.op == "Conv" for node in ran.nodes)
    return level in LEVELS[:2] or (level == "extended" and convolves)


def _untouched(evidence: Evidence) -> bool:
    """Whether the graph ran as it was loaded, although the lowest level of optimization would have changed it."""
    loaded, ran = evidence.loaded, evidence.optimized
    if loaded is None or ran is None:
        return False
    one, other = ([(node.op, node.outputs) for node in graph.nodes] for graph in (loaded, ran))
    return sorted(one) == sorted(other) and bool(absorbable(ran, "disabled", ()))


def _summary(evidence: Evidence, level: str, works: tuple[str, ...], claim: Delta) -> str:
    if works:
        return (
            f"{counted(len(works), 'node')} that the level `all` merges into others or computes beforehand took "
            f"{format_ns(claim.median)}. Fusions that make larger kernels are not counted: not all of them gain time."
        )
    before, after = evidence.loaded, evidence.optimized
    if before is None or after is None:
        return f"The level is {level or 'not recorded'}."
    return f"The level is {level or 'not recorded'}: {len(before.nodes)} nodes were loaded, {len(after.nodes)} ran."


def _claim(evidence: Evidence, works: tuple[str, ...]) -> Delta:
    spent = evidence.ledger.work("onnxruntime", works)
    return Delta(median=spent.median, low=round(spent.low * LEAST_SAVED), high=spent.high)


def _lines(evidence: Evidence, left: Mapping[str, tuple[str, ...]]) -> Iterator[EvidenceRow]:
    for what, names in list(left.items())[:MOST_GROUPS]:
        spent = evidence.ledger.work("onnxruntime", names).median
        text = f"{counted(len(names), 'node')}: {what}, {format_ns(spent)}"
        yield EvidenceRow(text=text, rows=ids(rows_with(evidence.ledger.rows, set(names))), value_ns=spent)


def _fix(level: str, without: tuple[str, ...], overridable: frozenset[str]) -> str:
    ways = []
    if overridable:
        ways.append(
            "take the initializers out of the graph's inputs: "
            "`onnxruntime/tools/python/remove_initializer_from_input.py`, or "
            "`keep_initializers_as_inputs=False` when exporting"
        )
    if without:
        ways.append("leave out `--disable-optimizer`")
    if level != "all" or not ways:
        ways.append(
            "`--opt-level all`; in your code `session_options.graph_optimization_level = "
            "onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL`"
        )
    return "; ".join(ways)


def absorbable(graph: Graph, level: str, without: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Names of nodes that ONNX Runtime would merge into others or compute beforehand, by what happens to them.

    A node is counted once, for the first of `PATTERNS` that it fits.

    Args:
        graph: The graph that ran.
        level: The level that was allowed.
        without: Optimizers that were left out.
    """
    taken: set[str] = set()
    found: dict[str, tuple[str, ...]] = {}
    for pattern in PATTERNS:
        if LEVELS.index(pattern.level) > LEVELS.index(level) or pattern.optimizer in without:
            names = tuple(name for name in pattern.nodes(graph) if name and name not in taken)
            taken.update(names)
            found |= {pattern.what: names} if names else {}
    return found


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
    return _beside(graph, "Add", products)


def _scale_of_product(graph: Graph) -> Iterator[str]:
    """MatMulScaleFusion: a product times a constant number."""
    products = [node for node in graph.nodes if node.op == "MatMul"]
    around = {value for node in products for value in (*node.inputs, *node.outputs)}
    factors = _scalars(graph)
    return (
        node.name
        for node in graph.nodes
        if node.op in ("Mul", "Div")
        and factors.intersection(node.inputs)
        and around.intersection((*node.inputs, *node.outputs)) - factors
    )


def _beside(graph: Graph, op: str, values: set[str]) -> Iterator[str]:
    """Nodes of an op that read one of the values and a constant."""
    return (
        node.name
        for node in graph.nodes
        if node.op == op and values.intersection(node.inputs) and graph.constants.intersection(node.inputs)
    )


def _scalars(graph: Graph) -> set[str]:
    made = {value for node in graph.nodes if node.op == "Constant" for value in node.outputs}
    single = {name for name in graph.constants if name in graph.values and graph.values[name].elements == 1}
    return made | single


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
    _Pattern("basic", "MatMulAddFusion", "added in the product that they follow", _bias_of_product),
    _Pattern("extended", "MatMulScaleFusion", "multiplied in the product beside them", _scale_of_product),
    _Pattern("extended", "MatmulTransposeFusion", "read by the product as they are", _undone_transposes),
)

RULE = Rule(
    id="blocked-optimization",
    passed="ONNX Runtime was free to optimize the graph",
    failed="ONNX Runtime was kept from optimizing the graph: {}",
    example="the level is basic, not all",
    about=(
        "Without its graph optimizations ONNX Runtime runs every node of the export: biases apart from their "
        "products, constants "
        "computed in each run. Three things keep it from them: a lower optimization level, optimizers that were "
        "left out, "
        "and initializers that are graph inputs as well, which a caller might replace (its log: `Initializer X "
        "appears in "
        "graph inputs and will not be treated as constant`, microsoft/onnxruntime#4507). The rule reads the "
        "first two in the "
        "manifest and the third in the graph, and weighs the nodes that would have gone."
    ),
    cause=None,
    needs=("graph",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C9",),
    experiments=("opt-level", "disabled-optimizer"),
)
