"""Which cause a share of a region's time belongs to. The numbered cases are tried in order.

0. What only keeps the cache of a language model is `cache` (`attrib.analysis.match.cache_work`), on either side.
1. A region of unknown origin is `unattributed`: attrib does not know whether the other side has this work.
2. Calls that only PyTorch ran are `missing_work`.
3. Casts, layout changes, shape arithmetic, copies and quantization keep their own cause, on either side.
4. A computing node outside the requested provider makes the region's computation a `fallback`.
5. Where only one side computes, going by the names of its ops, and the other one moves or converts the same data, that is
   what both do: PyTorch's `pixel_shuffle` and a DepthToSpace, `select` and a Gather. Nodes without any call are
   `extra_work`, calls without any node `missing_work`.
6. A node that its provider compiled stands for all calls of its region, views and casts among them: nothing is split off.
7. One call for several nodes is `decomposed`, several calls for fewer nodes `fused`, else it is the `kernel`.
8. Where one call and one node of a region are products (of matrices, or a convolution), these two are the `kernel`. Only
   what stands beside them is `fused` (calls that the node took in: an activation, a scale, a batch norm) or `decomposed`
   (nodes that the call needs none of: a bias added apart): fusing saves no more than its time.
9. Where one node of a region is by its op the fusion of all that its calls compute (an addition and a layer norm, and a
   SkipLayerNormalization), it is `fused`, however many nodes stand beside it; these are `decomposed`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set

from attrib.analysis.match.compiled import is_compiled
from attrib.analysis.match.ops import (
    FUSES,
    IDENTITY_OPS,
    PRODUCT_CALLS,
    SPELLED,
    WHOLE,
    OpRole,
    base_op,
    is_product_op,
    role,
)
from attrib.model.document import Cause
from attrib.model.region import Origin
from attrib.model.work import Work

ROLE_CAUSES: dict[OpRole, Cause] = {
    "cast": "cast",
    "layout": "layout",
    "shape": "shape_arithmetic",
    "memcpy": "memcpy",
    "quantize": "quantize",
}


def by_cause(
    calls: Sequence[Work],
    nodes: Sequence[Work],
    origin: Origin,
    provider: str,
    keeping: Set[str] = frozenset(),
) -> Mapping[Cause, tuple[list[Work], list[Work]]]:
    """Split the work of a region by cause.

    Args:
        calls: The region's calls.
        nodes: The region's nodes.
        origin: Which side has this work.
        provider: The execution provider that was asked for first; empty where nobody asked.
        keeping: Ids of the calls and nodes that keep a cache.

    Returns:
        Calls and nodes by cause; each unit of work is under exactly one.
    """
    cached = [[work for work in side if work.id in keeping] for side in (calls, nodes)]
    if any(cached):
        calls, nodes = ([work for work in side if work.id not in keeping] for side in (calls, nodes))
        others = by_cause(calls, nodes, origin, provider) if calls or nodes else {}
        return {"cache": (cached[0], cached[1]), **others}  # 0
    if origin == "unknown":
        return {"unattributed": (list(calls), list(nodes))}  # 1
    if origin == "torch":
        return {"missing_work": (list(calls), [])}  # 2
    computing: Cause = "kernel" if origin == "alone" else _compute_cause(calls, nodes, provider)
    if any(is_compiled(node) for node in nodes):
        return {computing: (list(calls), list(nodes))}  # 6
    fusion = _fusion_of(calls, nodes) if computing in ("kernel", "decomposed") else None
    products = _products_of(calls, nodes) if fusion or computing in ("fused", "decomposed") else ()
    split: dict[Cause, tuple[list[Work], list[Work]]] = {}
    for side, works in enumerate((calls, nodes)):
        for work in works:
            cause = ROLE_CAUSES.get(role(work), computing)  # 3
            if cause == computing and products and _goes_with(products, work):
                cause = "kernel"  # 8
            elif cause == computing and fusion:
                cause = "fused" if work.engine == "torch" or work is fusion else "decomposed"  # 9
            split.setdefault(cause, ([], []))[side].append(work)
    return split


def _products_of(calls: Sequence[Work], nodes: Sequence[Work]) -> tuple[Work, ...]:
    """The call and the node that are the one product of a region; empty where there are none, or several (case 8)."""
    called = [call for call in calls if base_op(call.op) in PRODUCT_CALLS]
    ran = [node for node in nodes if is_product_op(node.op)]
    return (*called, *ran) if len(called) == len(ran) == 1 else ()


def _fusion_of(calls: Sequence[Work], nodes: Sequence[Work]) -> Work | None:
    """The one node that is a fusion of all that the calls compute, where these are several (case 9)."""
    ours = [base_op(call.op) for call in calls if _computes(call)]
    fused = [node for node in nodes if node.op in FUSES]
    if len(fused) != 1:
        return None
    known, core = FUSES[fused[0].op], SPELLED.get(fused[0].op, fused[0].op)
    places = (*known.before, *known.after)
    others = [op for op in ours if core not in WHOLE.get(op, ())]
    is_whole = len(others) == len(ours) - 1 and 0 < len(others) <= len(places)
    return fused[0] if is_whole and frozenset().union(*places).issuperset(others) else None


def _goes_with(products: Sequence[Work], work: Work) -> bool:
    """Whether a unit of work is the product itself, or a call that computes nothing (case 8)."""
    return work in products or (work.engine == "torch" and base_op(work.op) in IDENTITY_OPS)


def _compute_cause(calls: Sequence[Work], nodes: Sequence[Work], provider: str) -> Cause:
    ours = [c for c in calls if _computes(c)]
    theirs = [n for n in nodes if role(n) == "compute"]
    if provider and any(n.provider not in ("", provider) for n in theirs):
        return "fallback"  # 4
    if not ours or not theirs:
        others = [ROLE_CAUSES[role(w)] for w in (calls if theirs else nodes) if role(w) in ROLE_CAUSES]
        if others:
            return Counter(others).most_common(1)[0][0]  # 5
        return "missing_work" if ours else "extra_work"  # 5
    if len(ours) == len(theirs):
        return "kernel"  # 7
    return "decomposed" if len(theirs) > len(ours) else "fused"


def _computes(call: Work) -> bool:
    return role(call) == "compute" and base_op(call.op) not in IDENTITY_OPS
