"""Where nodes ran: the provider that was asked for, the nodes outside it, and the copies between them."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import msgspec

from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.compiled import covered_modules, is_compiled
from attrib.analysis.match.ops import node_role
from attrib.findings.evidence.ledger_queries import fold_layers
from attrib.findings.protocol import Evidence
from attrib.model.execution_providers import CPU_PROVIDER, uses_cuda
from attrib.model.work import Work
from attrib.units import format_ns
from attrib.wording import listed

COPY_OPS = ("MemcpyFromHost", "MemcpyToHost")


class Island(msgspec.Struct, frozen=True):
    """Nodes that ran one after the other outside the provider that was asked for.

    Attributes:
        nodes: The nodes.
        module: Where they belong, its layer numbers folded.
        before: What they read from.
        behind: What reads them.
        before_place: The compiled partition or module of what they read from; empty where it is not known.
        behind_place: The compiled partition or module of what reads them; empty where it is not known.
        copies: Copies between devices that serve them.
        layer: The module of the first node, as it is.
    """

    nodes: tuple[Work, ...]
    module: str
    before: str
    behind: str
    before_place: str = ""
    behind_place: str = ""
    copies: tuple[str, ...] = ()
    layer: str = ""

    @property
    def ops(self) -> str:
        """Their op types, e.g. `IsNaN + Where`."""
        return " + ".join(dict.fromkeys(node.op for node in self.nodes))

    @property
    def label(self) -> str:
        """What equal islands of different layers have in common."""
        place = f" in {self.module}" if self.module else ""
        return f"{self.ops}{place}, between {self.before} and {self.behind}"

    @property
    def sides(self) -> str:
        """The layers on either side, e.g. `behind compiled partition 1 (embeddings), before encoder.layer.0.output`."""
        said = [f"behind {self.before_place or self.before}", f"before {self.behind_place or self.behind}"]
        return ", ".join(said)


def executed_nodes(evidence: Evidence) -> tuple[Work, ...]:
    """The nodes of a step in the order in which they ran."""
    partition = evidence.partitions.get("onnxruntime")
    return partition.work if partition is not None else ()


def requested_provider(evidence: Evidence) -> str:
    """The execution provider that was asked for first.

    Without a manifest the one in the profile; of several, the one other than the CPU's that ran most nodes. Empty where no
    node names its provider.
    """
    side = evidence.side("onnxruntime")
    if side is not None and side.requested_providers:
        return side.requested_providers[0]
    used = Counter(node.provider for node in executed_nodes(evidence) if node.provider)
    others = [name for name, _ in used.most_common() if name != CPU_PROVIDER]
    return (others or list(used) or [""])[0]


def runs_on_gpu(evidence: Evidence) -> bool:
    """Whether ONNX Runtime's first provider is NVIDIA's."""
    side = evidence.side("onnxruntime")
    return side is not None and uses_cuda(side.providers[:1])


def nodes_outside(evidence: Evidence, provider: str) -> tuple[Work, ...]:
    """Nodes that ran on another provider, without copies between devices, which serve the provider whoever runs them."""
    return tuple(
        node
        for node in executed_nodes(evidence)
        if node.provider not in ("", provider) and node.op not in COPY_OPS
    )


def split_shapes(nodes: Iterable[Work]) -> tuple[tuple[Work, ...], tuple[Work, ...]]:
    """Split nodes into those that compute, and those that only compute shapes, which belong on the host."""
    every = tuple(nodes)
    shapes = tuple(node for node in every if node_role(node) == "shape")
    return tuple(node for node in every if node not in shapes), shapes


def islands(evidence: Evidence, nodes: Collection[Work]) -> tuple[Island, ...]:
    """Group nodes that ran one after the other, with no other node between them but copies."""
    neighbors = _Neighbors(evidence)
    places = _Places(evidence)
    served: dict[str, list[str]] = defaultdict(list)
    for copy, partners in copy_partners(evidence).items():
        for partner in partners:
            served[partner].append(copy)
    found = []
    for group in _consecutive_groups(executed_nodes(evidence), {node.id for node in nodes}):
        makers, readers = neighbors.makers(group), neighbors.readers(group)
        modules = Counter(fold_layers(place) for node in group if (place := places.modules.get(node.id)))
        found.append(
            Island(
                nodes=tuple(group),
                module=modules.most_common(1)[0][0] if modules else "",
                before=neighbors.describe(makers, "the inputs"),
                behind=neighbors.describe(readers, "the outputs"),
                before_place=places.describe(makers),
                behind_place=places.describe(readers),
                layer=places.modules.get(group[0].id, ""),
                copies=tuple(dict.fromkeys(copy for node in group for copy in served[node.id])),
            )
        )
    return tuple(found)


def _consecutive_groups(order: Sequence[Work], chosen: Collection[str]) -> Iterator[list[Work]]:
    """Chosen nodes that follow one another; a copy between them does not end a group."""
    group: list[Work] = []
    for node in order:
        if node.id in chosen:
            group.append(node)
        elif group and node.op not in COPY_OPS:
            yield group
            group = []
    if group:
        yield group


def island_line(evidence: Evidence, island: Island) -> str:
    """One island: its nodes, where they ran, their time, and the layers on either side."""
    names = [node.id for node in island.nodes]
    spent = format_ns(evidence.ledger.work("onnxruntime", names).median)
    where = " and ".join(dict.fromkeys(node.provider for node in island.nodes))
    place = f" in {island.layer}" if island.layer else ""
    return f"{listed(names)}{place} on {where}: {spent}; {island.sides}"


def placement_reason(evidence: Evidence, nodes: Sequence[Work]) -> str:
    """A sentence on why nodes ran where they did, as far as the session said."""
    if evidence.placement is None:
        return (
            "The reason was not recorded: ONNX Runtime 1.24 and later says which provider took which nodes, and `attrib"
            " profile` keeps it."
        )
    took = {node.name: part.provider for part in evidence.placement.parts for node in part.nodes}
    known = [node for node in nodes if took.get(node.id) == node.provider]
    if not known:
        return "The session does not name them: they were made after the graph had been divided."
    they = "them" if len(known) == len(nodes) else f"{len(known)} of the {len(nodes)} nodes"
    taker = " and ".join(dict.fromkeys(node.provider for node in known))
    return f"No other provider took {they} when the session divided the graph: {taker} ran them (placement.json)."


def group_by_label(found: Iterable[Island]) -> list[tuple[str, list[Island]]]:
    """Islands that look alike, the most frequent first."""
    groups: dict[str, list[Island]] = defaultdict(list)
    for island in found:
        groups[island.label].append(island)
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))


def copy_nodes(evidence: Evidence) -> tuple[Work, ...]:
    """Copy nodes between host and device."""
    return tuple(node for node in executed_nodes(evidence) if node.op in COPY_OPS)


def copy_partners(evidence: Evidence) -> Mapping[str, tuple[str, ...]]:
    """For each copy node the nodes on the host's side of it: what it serves there."""
    neighbors = _Neighbors(evidence)
    return {
        copy.id: tuple(neighbors.readers([copy]) if copy.op == "MemcpyToHost" else neighbors.makers([copy]))
        for copy in copy_nodes(evidence)
    }


class _Neighbors:
    """Who reads from whom: by the graph that ran where it names the node, else by the order of execution."""

    def __init__(self, evidence: Evidence) -> None:
        self._order = executed_nodes(evidence)
        self._position = {node.id: i for i, node in enumerate(self._order)}
        graph: Graph | None = evidence.ran
        nodes: tuple[GraphNode, ...] = graph.nodes if graph is not None else ()
        self._nodes = {node.name: node for node in nodes if node.name}
        self._maker = {value: node for node in nodes for value in node.outputs}
        self._readers: dict[str, list[GraphNode]] = defaultdict(list)
        for node in nodes:
            for value in node.inputs:
                self._readers[value].append(node)

    def makers(self, group: Sequence[Work]) -> list[str]:
        """Names of the nodes that made what a group reads."""
        known = [self._nodes[node.id] for node in group if node.id in self._nodes]
        if len(known) < len(group):
            return self._beside(group[0], -1)
        found = [self._maker[v] for node in known for v in node.inputs if v in self._maker]
        return self._others(found, group)

    def readers(self, group: Sequence[Work]) -> list[str]:
        """Names of the nodes that read what a group made."""
        known = [self._nodes[node.id] for node in group if node.id in self._nodes]
        if len(known) < len(group):
            return self._beside(group[-1], 1)
        return self._others([n for node in known for v in node.outputs for n in self._readers[v]], group)

    @staticmethod
    def _others(found: Iterable[GraphNode], group: Iterable[Work]) -> list[str]:
        own = {node.id for node in group}
        others = (node for node in found if node.name not in own and node.op != "Constant")
        return list(dict.fromkeys(node.name or node.op for node in others))

    def _beside(self, node: Work, step: int) -> list[str]:
        """The next node in the order of execution that is no copy."""
        at = self._position[node.id] + step
        while 0 <= at < len(self._order) and self._order[at].op in COPY_OPS:
            at += step
        return [self._order[at].id] if 0 <= at < len(self._order) else []

    def describe(self, names: Sequence[str], nothing: str) -> str:
        """For a reader: ops rather than names where there are many, so that equal layers read alike."""
        ops = {node.id: node.op for node in self._order} | {
            name: node.op for name, node in self._nodes.items()
        }
        return listed(list(dict.fromkeys(ops.get(name, name) for name in names)), 2) if names else nothing


class _Places:
    """Where nodes of either the executed work or the captured graph belong: a compiled partition, or a module."""

    def __init__(self, evidence: Evidence) -> None:
        self.modules = {name: row.module for row in evidence.ledger.rows for name in row.onnx_nodes}
        self._partitions: dict[str, str] = {}
        scopes = {name: work.scope for name, work in evidence.work.get("torch", {}).items()}
        work = evidence.work.get("onnxruntime", {})
        graph = evidence.ran
        nodes = graph.nodes if graph is not None else ()
        for region in evidence.regions.values():
            held = [nodes[i].name for i in region.lineage[-1] if i < len(nodes)] if region.lineage else []
            self.modules |= dict.fromkeys(held, region.module)
            if any(name in work and is_compiled(work[name]) for name in region.nodes):
                covers = covered_modules(scopes[call] for call in region.calls if call in scopes)
                text = f"{region.id.rpartition('/')[2]} ({covers})"
                self._partitions |= dict.fromkeys((*region.nodes, *held), text)

    def describe(self, names: Iterable[str]) -> str:
        """The places of some nodes, in one phrase."""
        found = (self._partitions.get(name) or self.modules.get(name, "") for name in names)
        return listed(list(dict.fromkeys(place for place in found if place)), 2)
