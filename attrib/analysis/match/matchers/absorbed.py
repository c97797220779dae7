"""Calls without a node of their own, whose work the export moved into the node of another call, or left out."""

from itertools import pairwise

from attrib.analysis.match.candidates import Link, Matcher, MatchState
from attrib.analysis.match.ops import base_op, computes

FOLDABLE = frozenset({"conv1d", "conv2d", "conv3d", "conv_transpose2d", "convolution", "linear"})
"""Calls into whose weights exporters and optimizers fold the batch norm that follows."""


def folded_norms(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link a batch norm and the call before it to the nodes that one of them has, where the other has none."""
    nodes = state.nodes_by_call()
    waiting = set(state.open_calls)
    computing = [i for i, call in enumerate(state.calls) if computes(call)]
    found = []
    for before, norm in pairwise(computing):
        ops = [state.calls[i].op for i in (before, norm)]
        if base_op(ops[0]) not in FOLDABLE or base_op(ops[1]) != "batch_norm":
            continue
        if len(waiting & {before, norm}) != 1:
            continue
        alone, kept = (before, norm) if before in waiting else (norm, before)
        both = f"{state.calls[alone].op} and {state.calls[kept].op}"
        found += [
            matcher.link(
                alone,
                i,
                f"{both} are one {state.graph.nodes[i].op}: the export folded the norm into its weights",
            )
            for i in nodes[kept]
        ]
    return found


def followers(state: MatchState, matcher: Matcher) -> list[Link]:
    """Link the open calls that pass on one result, as the watched step shows, to the nodes that make it.

    Where the row of this matcher needs values, only those whose numbers are the ones that they were given.
    """
    nodes = state.nodes_by_call()
    found = []
    for call in state.open_calls:
        sources = {above for above, _ in state.flow.get(call, ())}
        if len(sources) != 1 or computes(state.calls[call]):
            continue
        (source,) = sources
        if "values" in matcher.needs and not _returns_what_it_took(state, call, source):
            continue
        said = (
            f"{state.calls[call].op} passes on what {state.calls[source].op} made, and the export left it out"
        )
        for node in nodes.get(source, ()):
            nodes[call].append(node)  # a view of a view goes where both went
            found.append(matcher.link(call, node, said))
    return found


def _returns_what_it_took(state: MatchState, call: int, source: int) -> bool:
    """Whether all numbers that a call returns tell something, and are those that the other one returned."""
    its, above = state.call_classes.get(call), state.call_classes.get(source)
    if its is None or above is None or not its.is_whole:
        return False
    return bool(its.outputs) and all(n in above.outputs and state.kinds[n] == "numbers" for n in its.outputs)
