"""blocked-optimization: ONNX Runtime was kept from optimizing the graph."""

from collections.abc import Mapping, Sequence

from attrib.findings.evidence.absorbable import BIAS, LEVELS, absorbable_nodes, replaceable_nodes
from attrib.findings.evidence.advice import joined, phrase, rewritten
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, nodes_line, rows_with_nodes
from attrib.findings.evidence.placement import executed_nodes
from attrib.findings.evidence.reference_cost import weight_once
from attrib.findings.evidence.single_operators import (
    SingleOperatorLayer,
    excess_of,
    find_layers_left_apart,
    layer_lines,
)
from attrib.findings.evidence.unfused_patterns import separate_residuals
from attrib.findings.evidence.unpacked_weights import beyond_the_peak
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.estimate import Delta
from attrib.wording import counted, listed

MATRIX = 2
"""Dimensions of a matrix."""

LEAST_SAVED = 0.5
"""Of the time of the nodes that would go: what they do is partly done by the node that takes them in."""

FREE_INITIALIZERS = "in your code `keep_initializers_as_inputs=False` when exporting"
UNPACKED = "weights that are not packed"
RAISE_LEVEL = (
    "`attrib profile --opt-level all`; in your code `session_options.graph_optimization_level ="
    " onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL`"
)


def audit(evidence: Evidence) -> RuleResult:
    """Look at the level, at the optimizers that were left out, and at what the graph itself forbids."""
    side = evidence.side("onnxruntime")
    level, without = (side.opt_level, side.disabled_optimizers) if side else ("", ())
    ran, overridable = evidence.optimized, evidence.loaded.overridable if evidence.loaded else frozenset()
    allowed = level if level in LEVELS else "all"
    left = absorbable_nodes(ran, allowed, without) if ran is not None else {}
    layers = find_layers_left_apart(evidence, allowed, without)
    # what `all` has beyond `extended` is the layout of convolutions
    convolves = ran is not None and any(node.op == "Conv" for node in ran.nodes)
    reasons = {
        f"the level is {level}, not all": level in LEVELS[:2] or (level == "extended" and convolves),
        f"left out: {listed(list(without))}": bool(left or layers) and bool(without),
        f"{counted(len(overridable), 'initializer')} are graph inputs: not treated as constants": bool(
            overridable
        ),
        "the graph ran as it was loaded, node by node": not level and is_untouched(evidence),
    }
    wrong = [text for text, holds in reasons.items() if holds]
    left = left if wrong else {}
    for what, names in replaceable_nodes(ran).items() if ran is not None and wrong else ():
        left[what] = tuple(dict.fromkeys((*left.get(what, ()), *names)))
    layers = layers if wrong else ()
    fused = dict.fromkeys(name for layer in layers for name in layer.nodes)
    left = {what: kept for what, names in left.items() if (kept := tuple(n for n in names if n not in fused))}
    folded = (*(node for names in left.values() for node in names), *fused)
    unpacked = {node: share for node, share in beyond_the_peak(evidence).items() if node not in folded}
    fusions = separate_residuals(ran) if ran is not None and level in LEVELS[:2] else 0
    ways = []
    if overridable:
        moved = "{} takes the initializers out of the graph's inputs"
        ways += [phrase(moved, rewritten(evidence, "drop-initializer-inputs")), FREE_INITIALIZERS]
    if without:
        ways.append("`attrib profile` without `--disable-optimizer`")
    if level != "all" or not ways:
        ways.append(RAISE_LEVEL)
    claim = _claim(evidence, left, layers, unpacked, certain=not fusions)
    return RuleResult(
        failed=bool(wrong),
        rows=ids(rows_with_nodes(evidence, (*folded, *unpacked))),
        claim=claim if claim.median else None,
        explains_delta=not unpacked,  # the other engine may be as far from the peak
        works=folded,
        detail="; ".join(wrong),
        summary=_summary(evidence, level, len(folded), fusions, len(unpacked)),
        price=_price(len(folded), len(layers), len(unpacked)),
        evidence=(
            *(EvidenceRow(text=text) for text in wrong),
            *(
                nodes_line(evidence, f"{counted(len(names), 'node')}: {what}, ", names)
                for what, names in [*list(left.items())[:MOST_GROUPS], (UNPACKED, tuple(unpacked))]
                if names
            ),
            *layer_lines(evidence, layers),
        ),
        fix=joined(ways),
    )


def is_untouched(evidence: Evidence) -> bool:
    """Whether the graph ran as it was loaded, although the lowest level of optimization would have changed it."""
    loaded, ran = evidence.loaded, evidence.optimized
    if loaded is None or ran is None:
        return False
    one, other = ([(node.op, node.outputs) for node in graph.nodes] for graph in (loaded, ran))
    return sorted(one) == sorted(other) and bool(absorbable_nodes(ran, "disabled", ()))


def _claim(
    evidence: Evidence,
    left: Mapping[str, tuple[str, ...]],
    layers: Sequence[SingleOperatorLayer],
    unpacked: Mapping[str, float],
    *,
    certain: bool,
) -> Delta:
    """Time of the nodes that would go, less what comes for them at its price in this run.

    That is two Reshape nodes for a product with its bias, and one fused node for a layer. Of a product whose weights are
    not packed, what lies beyond the machine's peak can go. Where fusions to larger kernels are missing too, nobody knows
    what all of it together gives: the interval holds 0.
    """
    terms = excess_of(layers)
    gone = {name for names in left.values() for name in names}
    terms.add(weight_once(gone))
    ranks = {
        work.id: max((len(t.shape) for t in work.outputs), default=0) for work in executed_nodes(evidence)
    }
    reshapes = [work.id for work in executed_nodes(evidence) if work.op == "Reshape" and work.id not in gone]
    wrapped = sum(ranks.get(name, 0) > MATRIX for name in left.get(BIAS, ()))
    terms.add(dict.fromkeys(reshapes, 1 / max(len(reshapes), 1)), -2.0 * wrapped)
    terms.add(unpacked)
    net = evidence.ledger.weigh({"onnxruntime": terms.nodes, "torch": terms.calls})
    low = round(net.low * LEAST_SAVED) if certain else min(net.low, 0)
    return Delta(median=net.median, low=low, high=net.high)


def _price(folded: int, layers: int, unpacked: int) -> str:
    """The sentence about the claim, with `{}` for its figure; empty where nothing is claimed."""
    if folded and unpacked:
        return (
            "Together that is {}: the time of the former, and what the latter take beyond this machine's peak, the most that"
            " constants save."
        )
    if unpacked:
        return "They take {} beyond what this machine can do, which is the most that constants save."
    came = "Reshape nodes and fused nodes" if layers else "Reshape nodes"
    return f"They took {{}} net of the {came} that come for them." if folded else ""


def _summary(evidence: Evidence, level: str, works: int, fusions: int, unpacked: int) -> str:
    if unpacked:
        first = f"{counted(works, 'node')} would be merged or computed beforehand. " if works else ""
        return f"{first}{counted(unpacked, 'product')} ran whose weights ONNX Runtime may not pack."
    if works:
        text = f"{counted(works, 'node')} ran that the level `all` merges into others or computes beforehand."
        more = (
            f" {counted(fusions, 'residual sum')} would become part of their layer norm, which gains or costs time: the"
            " experiment opt-level measures all of it."
        )
        return text + more if fusions else text
    before, after = evidence.loaded, evidence.optimized
    text = f"The level is {level or 'not recorded'}"
    if before is None or after is None:
        return f"{text}."
    return f"{text}: {len(before.nodes)} nodes were loaded, {len(after.nodes)} ran."


RULE = Rule(
    id="blocked-optimization",
    passed="ONNX Runtime was free to optimize the graph",
    failed="ONNX Runtime was kept from optimizing the graph: {}",
    example="the level is basic, not all",
    about=(
        "Without its graph optimizations ONNX Runtime runs every node of the export: biases apart from their products,"
        " constants computed in each run. Three things keep it from them: a lower optimization level, optimizers that were"
        " left out, and initializers that are graph inputs as well, which a caller might replace (its log: `Initializer X"
        " appears in graph inputs and will not be treated as constant`, microsoft/onnxruntime#4507). The rule reads the"
        " first two in the manifest and the third in the graph, and weighs the nodes that would have gone, what GELU and"
        " layer norm take beyond one node each where their fusion was not allowed, and what products of weights that are"
        " inputs, which are not packed beforehand, take beyond the measured peak of the machine."
    ),
    cause=None,
    needs=("graph",),
    direction="any",
    audit=audit,
    tier="cause",
    catalog=("C9",),
    experiments=("opt-level", "disabled-optimizer", "initializer-inputs"),
)
