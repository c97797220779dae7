"""Every name by which a reader may ask for something, and the search among them."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from attrib.analysis.provenance import Chain, node_name
from attrib.errors import UsageError
from attrib.model.document import LedgerRow
from attrib.model.provenance import RegionTrail
from attrib.model.region import Region

NameKind = Literal["node", "graph node", "value", "call", "fx node", "module", "region", "row"]
"""In the order in which a name is looked up. `node` is an executed node, `graph node` one of a captured graph."""

ROOT = "(root)"
SUGGESTIONS = 5
_LONGEST = 200
_MOST = 50_000
"""Names among which near ones are searched for."""


class NameTarget(msgspec.Struct, frozen=True):
    """Where a name leads: a region by id or, for a node in no region, its graph's number and its position in there."""

    region: str = ""
    graph: int = -1
    node: int = -1


Names = dict[NameKind, dict[str, list[NameTarget]]]


def names_of(
    regions: Sequence[Region], trails: Sequence[RegionTrail], chain: Chain, rows: Iterable[LedgerRow]
) -> Names:
    """Everything that has a name, by kind.

    Args:
        regions: The regions, for the nodes that they hold in each graph.
        trails: Their trails, in the same order.
        chain: The captured graphs.
        rows: The ledger.
    """
    names: Names = {
        "node": {}, "graph node": {}, "value": {}, "call": {}, "fx node": {}, "module": {}, "region": {}, "row": {},
    }  # fmt: skip
    for trail in trails:
        here = NameTarget(trail.id)
        for run in trail.ran:
            _add(names, "node", run.id, here)
        for call in trail.calls:
            _add(names, "call", call.id, here)
        for module in modules_of(trail):
            _add(names, "module", module, here)
        _add(names, "region", trail.id, here)
    for row in rows:
        _add(names, "region", row.region, NameTarget(row.region))
        _add(names, "row", row.id, NameTarget(row.region))
    for k, graph in enumerate(chain.graphs):
        owner = {i: region.id for region in regions if k < len(region.lineage) for i in region.lineage[k]}
        for node in graph.nodes:
            region = owner.get(node.index, "")
            here = NameTarget(region) if region else NameTarget("", k, node.index)
            _add(names, "graph node", node_name(node), here)
            for value in filter(None, node.outputs):
                _add(names, "value", value, here)
            if node.fx_node:
                _add(names, "fx node", node.fx_node, here)
    return names


def _add(names: Names, kind: NameKind, name: str, target: NameTarget) -> None:
    targets = names[kind].setdefault(name, [])
    if target not in targets:
        targets.append(target)


def modules_of(trail: RegionTrail) -> set[str]:
    """The modules that hold anything of a region, with all that hold those."""
    scopes = {trail.module, *(call.module for call in trail.calls)}
    scopes |= {member.scope for call in trail.calls for member in call.members}
    paths = {
        ".".join(scope.split(".")[:n]) for scope in scopes if scope for n in range(1, scope.count(".") + 2)
    }
    return {ROOT, *paths}


def find(query: str, names: Names) -> tuple[NameKind, str]:
    """The one thing that a query names: exactly, else by a prefix, a suffix or a part that only one name has.

    Each way is tried on all kinds before the next; the first kind that has such a name decides.

    Raises:
        UsageError: Nothing has that name, or several things do.
    """
    ways = (str.__eq__, str.startswith, str.endswith, str.__contains__)
    for way in ways if query else ():
        for kind, known in names.items():
            found = [query] if way is str.__eq__ and query in known else []
            if way is not str.__eq__:
                found = [name for name in known if way(name, query)]
            if len(found) == 1:
                return kind, found[0]
            if found:
                near = difflib.get_close_matches(query[:_LONGEST], found[:_MOST], n=SUGGESTIONS, cutoff=0.0)
                more = f" and {len(found) - len(near)} more" if len(found) > len(near) else ""
                raise UsageError(
                    f"{query[:_LONGEST]!r} is part of the names of {len(found)} {kind}s: {', '.join(near)}{more}",
                    hint="give one of them in full",
                )
    every = [name for known in names.values() for name in known]
    near = difflib.get_close_matches(query[:_LONGEST], every[:_MOST], n=SUGGESTIONS, cutoff=0.5)
    similar = f"; similar names: {', '.join(dict.fromkeys(near))}" if near else ""
    raise UsageError(
        f"nothing here is named {query[:_LONGEST]!r}{similar}",
        hint="name a node, a call, a module, a value or a row of the report; report.json lists them",
    )
