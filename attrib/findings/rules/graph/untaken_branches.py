"""untaken-branches: what the export did with the part of the model that this input does not need, and what it costs.

Numbered cases, cited in the code:

1. A module of which PyTorch read no weight, and which the exported graph does not name: traced away. For inputs or
   settings that take the other branch the graph computes something else than the module.
2. Exported as an `If`: both branches are in the graph, one ran, and the `If` itself takes time.
3. A module of which PyTorch read no weight, whose nodes ran in ONNX Runtime: executed on one side only.
4. Both branches ran on either side, and a `Where` threw one result away.
5. An input that the exported graph no longer takes: what it decides was decided when the model was traced.
"""

from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec.structs import replace

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.executed import executed_by_node
from attrib.findings.evidence.branches import conditionals, nodes_of_module, owners_of, selections
from attrib.findings.evidence.ledger_queries import (
    MOST_GROUPS,
    calls_of,
    ids,
    nodes_of,
    profiled_ns,
    rows_with_nodes,
    side_ns,
)
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow
from attrib.model.manifest import EXPORTED, OPTIMIZED, UnusedModule
from attrib.units import format_ns
from attrib.wording import MOST_NAMES, counted, listed

FIXES = {
    "ignored by the graph": "Do not decide by `if tensor:` in a model that is traced: the value of this run is"
    " in the graph for good.",
    "traced away": "The graph computes only the branch that ran here. If the other one is ever needed, choose by a tensor:"
    " `torch.cond` for the dynamo exporter, a scripted function for the one by TorchScript; or export one graph"
    " a setting.",
    "exported as If": "If the choice never changes, export with a Python bool in place of the tensor: the graph then"
    " holds one branch, its weights only, and no `If`.",
    "executed in ONNX Runtime only": "Export again with the inputs and settings of this run: the graph computes what"
    " the module does not.",
    "both computed": "Choose with `torch.cond` in place of `torch.where`: the export then holds an `If`, which computes"
    " one branch.",
}
"""What the export did -> what to do about it. The keys are also the reader's words, in this order."""


class _Fate(msgspec.Struct, frozen=True):
    """What became of something that was not needed: a key of `FIXES`, what it is, and the evidence."""

    what: str
    name: str
    line: EvidenceRow


def audit(evidence: Evidence) -> RuleResult:
    """Look for branches in the graph, and for modules that PyTorch did not use."""
    fates = [
        *ignored_inputs(evidence),
        *unused_modules(evidence),
        *exported_ifs(evidence),
        *computed_twice(evidence),
    ]
    by_what = {what: [fate for fate in fates if fate.what == what] for what in FIXES}
    found = {what: group for what, group in by_what.items() if group}
    costs = {what: sum(fate.line.value_ns or 0 for fate in group) for what, group in found.items()}
    details = []
    for what, group in found.items():
        price = f" ({format_ns(costs[what])})" if costs[what] else ""
        details.append(f"{listed([fate.name for fate in group])} {what}{price}")
    cost = format_ns(sum(costs.values()))
    summary = f"What ONNX Runtime does beyond the branch that was needed takes at least {cost} of a step."
    if not fates:
        watched = evidence.manifest is not None and evidence.manifest.workload.unused is not None
        used = "PyTorch used every module" if watched else "which modules PyTorch used was not recorded"
        summary = f"The graph that ran chooses between no branches, and {used}."
    elif not any(costs.values()):
        summary = "What was not needed costs no time in ONNX Runtime."
    return RuleResult(
        failed=bool(found),
        detail=", ".join(details),
        summary=summary,
        evidence=tuple(fate.line for group in found.values() for fate in group[:MOST_GROUPS]),
        fix=" ".join(FIXES[what] for what in found),
    )


def ignored_inputs(evidence: Evidence) -> Iterator[_Fate]:
    """Case 5, where the graph has the names of the model's inputs."""
    given = [spec.name for spec in evidence.manifest.workload.inputs] if evidence.manifest else []
    taken = evidence.exported.inputs if evidence.exported else ()
    if not taken or not set(taken) < set(given):
        return
    for name in (name for name in given if name not in taken):
        text = (
            f"the model takes {name}, the exported graph does not: whatever it decides was decided at export"
        )
        yield _Fate("ignored by the graph", name, EvidenceRow(text=text))


def unused_modules(evidence: Evidence) -> Iterator[_Fate]:
    """Modules of which PyTorch read no weight (cases 1 and 3), but for those in a branch of an `If` (case 2)."""
    graph = evidence.exported
    modules, known = _modules_without_use(evidence), _modules_known(evidence)
    if graph is None or not modules:
        return
    owners, ran = owners_of(graph, known), _ExecutedNodes(evidence, EXPORTED)
    if not known.intersection(name for names in owners for name in names):
        return  # the graph names no module
    for module in modules:
        said = f"PyTorch never used {module.name} ({module.kind}, {module.parameters:,} weights)"
        nodes = nodes_of_module(graph, owners, module.name)
        if not nodes:
            text = (
                f"{said}, and the exported graph holds neither a node nor a weight of it: it costs nothing, and no"
                " input reaches it any more"
            )
            yield _Fate("traced away", module.name, EvidenceRow(text=text))
        elif all(node.parent < 0 for node in nodes) and (executed := ran.find(nodes)):
            text = f"{said}; ONNX Runtime ran {ran.ops(executed)} of it in {format_ns(ran.time_ns(executed))}"
            yield _Fate("executed in ONNX Runtime only", module.name, ran.line(text, executed))


def _modules_without_use(evidence: Evidence) -> tuple[UnusedModule, ...]:
    return (evidence.manifest.workload.unused or ()) if evidence.manifest else ()


def _modules_known(evidence: Evidence) -> set[str]:
    """Names of modules as PyTorch spells them."""
    used = {work.scope for work in evidence.work.get("torch", {}).values() if work.scope}
    return used | {module.name for module in _modules_without_use(evidence)}


def exported_ifs(evidence: Evidence) -> Iterator[_Fate]:
    """Case 2, in the graph that ran."""
    graph, exported = evidence.optimized, evidence.exported
    found = conditionals(graph) if graph else ()
    owners = owners_of(graph, _modules_known(evidence)) if graph and found else []
    ran = _ExecutedNodes(evidence, OPTIMIZED)
    for one in found:
        texts, every = [], dict[str, None]()
        for branch, nodes in one.branches.items():
            names = dict.fromkeys(name for node in nodes for name in owners[node.index])
            shown = list(names)[:MOST_NAMES]
            every |= dict.fromkeys(shown)
            executed = ran.find(nodes)
            what = f"{branch} ({listed(shown) or counted(len(nodes), 'node')})"
            ended = f"{what} ran: {ran.ops(executed)}" if executed else f"{what} did not run"
            texts.append(ended if nodes else f"{branch} holds no node")
        own = ran.find([one.node])
        text = (
            f"`If` {one.node.name}: {', '.join(texts)}; the `If` itself takes {format_ns(ran.time_ns(own))}"
        )
        yield _Fate("exported as If", " or ".join(every) or one.node.name, ran.line(text, own))
    if graph and exported and not found and (folded := len(conditionals(exported))):
        text = "its condition depends on no input: ONNX Runtime kept the branch that is taken and dropped the `If`"
        yield _Fate("exported as If", counted(folded, "branch", "branches"), EvidenceRow(text=text))


def computed_twice(evidence: Evidence) -> Iterator[_Fate]:
    """Case 4, in the graph that ran."""
    graph, ran = evidence.optimized, _ExecutedNodes(evidence, OPTIMIZED)
    for found in selections(graph) if graph else ():
        sides = [ran.find(nodes) for nodes in (found.first, found.second)]
        if not all(sides):
            continue
        each = " and ".join(
            f"{ran.module(side)} ({ran.ops(side)}, {format_ns(ran.time_ns(side))})" for side in sides
        )
        too = "; PyTorch computes both, too" if all(ran.has_calls(side) for side in sides) else ""
        text = f"`Where` {found.node.name} keeps one of two results whole: of {each}, one is computed for nothing{too}"
        line = ran.line(text, tuple(name for side in sides for name in side))
        name = " and ".join(ran.module(side) for side in sides)
        yield _Fate("both computed", name, replace(line, value_ns=min(map(ran.time_ns, sides))))


class _ExecutedNodes:
    """Which nodes of one graph of the chain were executed, and what the ledger says of them."""

    def __init__(self, evidence: Evidence, graph: str) -> None:
        self._evidence = evidence
        self._graph = graph
        self._work = evidence.partitions["onnxruntime"].work
        self._executed = executed_by_node(self._work, evidence.graphs[OPTIMIZED])

    def find(self, nodes: Iterable[GraphNode]) -> tuple[str, ...]:
        """Ids of the executed nodes behind nodes of the graph.

        Of an earlier graph than the last those of the regions that lie wholly among the nodes: of a larger region nobody
        knows which.
        """
        chosen = sorted(node.index for node in nodes)
        if self._graph == OPTIMIZED:
            return tuple(self._work[i].id for index in chosen for i in self._executed.get(index, ()))
        stage, among = list(self._evidence.graphs).index(self._graph), set(chosen)
        held = (r for r in self._evidence.regions.values() if len(r.lineage) > stage and r.lineage[stage])
        return tuple(
            name for region in held if among.issuperset(region.lineage[stage]) for name in region.nodes
        )

    def ops(self, executed: Sequence[str]) -> str:
        """Ops of executed nodes in few words."""
        known = self._evidence.work["onnxruntime"]
        return listed([known[name].op for name in executed])

    def time_ns(self, executed: Sequence[str]) -> int:
        """Their time in a step in ns: the ledger's where its rows hold nothing else, else as profiled."""
        rows = rows_with_nodes(self._evidence, executed)
        if set(nodes_of(rows)) == set(executed):
            return side_ns(rows, "onnxruntime")
        return profiled_ns(self._evidence, set(executed))

    def has_calls(self, executed: Sequence[str]) -> bool:
        """Whether PyTorch runs calls for them."""
        return bool(calls_of(rows_with_nodes(self._evidence, executed)))

    def module(self, executed: Sequence[str]) -> str:
        """The modules that the ledger puts them into."""
        rows = rows_with_nodes(self._evidence, executed)
        return listed(list(dict.fromkeys(row.module for row in rows if row.module))) or listed(list(executed))

    def line(self, text: str, executed: Sequence[str]) -> EvidenceRow:
        """A piece of evidence that rests on executed nodes."""
        rows = rows_with_nodes(self._evidence, executed)
        return EvidenceRow(text=text, rows=ids(rows), value_ns=self.time_ns(executed))


RULE = Rule(
    id="untaken-branches",
    passed="Every part of the model takes part in a step",
    failed="Branches: {}",
    example="if_false traced away",
    about=(
        "A module that chooses between branches is exported in one of three ways. A Python bool is traced: the graph holds"
        " the branch that was taken, and nothing of the other. A tensor given to `torch.cond`, or to a scripted function,"
        " becomes an `If` that holds both and runs one, at the price of the `If`. `torch.where` computes both and throws"
        " one result away. The rule names the modules whose weights PyTorch never read in a step, and the `If` nodes of the"
        " graph that ran and its `Where` nodes with a single condition, with the time of each."
    ),
    cause=None,
    needs=("partitions", "exported", "optimized"),
    direction="any",
    audit=audit,
    catalog=("C14",),
    unproved="What to do is a decision about the model: which branch it should keep.",
)
