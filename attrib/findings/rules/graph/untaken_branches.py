"""untaken-branches: what the export did with the part of the model that this input does not need, and what it costs.

Numbered cases, cited in the code:

1. A module of which PyTorch read no weight, and which the exported graph does not name: traced away. For inputs or
   settings that take the other branch the graph computes something else than the module.
2. Exported as an `If`: both branches are in the graph, one ran, and the `If` itself takes time.
3. A module of which PyTorch read no weight, whose nodes ran in ONNX Runtime: executed on one side only.
4. Both branches ran on either side, and a `Where` threw one result away.
5. An input that the exported graph no longer takes: what it decides was decided when the model was traced.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from attrib.analysis.lineage.graph import GraphNode
from attrib.analysis.match.executed import executed_by_node
from attrib.findings.evidence.branches import (
    Conditional,
    conditionals,
    nodes_of_module,
    owners_of,
    selections,
)
from attrib.findings.evidence.ledger_queries import MOST_GROUPS, ids, node_ns
from attrib.findings.protocol import Evidence, Rule, RuleResult
from attrib.model.document import EvidenceRow, LedgerRow
from attrib.model.manifest import EXPORTED, OPTIMIZED, UnusedModule
from attrib.units import format_ns
from attrib.wording import MOST_NAMES, counted, listed

FIXES = {
    "ignored by the graph": "Do not decide by `if tensor:` in a model that is traced: the value of this run is"
    " in the graph for good.",
    "traced away": "The graph computes only the branch that ran here. If the other one is ever needed, choose by a tensor:"
    " `torch.cond` for `--exporter dynamo`, a scripted function for `--exporter torchscript`; or export one graph"
    " a setting.",
    "exported as If": "If the choice never changes, export with a Python bool in place of the tensor: the graph then"
    " holds one branch, its weights only, and no `If`.",
    "executed in ONNX Runtime only": "Export again with the inputs and settings of this run: the graph computes what"
    " the module does not.",
    "both computed": "Choose with `torch.cond` in place of `torch.where`: the export then holds an `If`, which computes"
    " one branch.",
}
"""What the export did -> what to do about it. The keys are also the reader's words, in this order."""


@dataclass(frozen=True, slots=True)
class _Fate:
    """What became of something that was not needed: a key of `FIXES`, what it is, and the evidence."""

    what: str
    name: str
    line: EvidenceRow


def audit(evidence: Evidence) -> RuleResult:
    """Look for branches in the graph, and for modules that PyTorch did not use."""
    fates = [*_frozen(evidence), *_unused(evidence), *_ifs(evidence), *_selected(evidence)]
    by_what = {what: [fate for fate in fates if fate.what == what] for what in FIXES}
    found = {what: group for what, group in by_what.items() if group}
    return RuleResult(
        failed=bool(found),
        detail=", ".join(_told(what, group) for what, group in found.items()),
        summary=_summary(evidence, fates),
        evidence=tuple(fate.line for group in found.values() for fate in group[:MOST_GROUPS]),
        fix=" ".join(FIXES[what] for what in found),
    )


def _told(what: str, fates: Sequence[_Fate]) -> str:
    """What became of them in a few words, with what it costs."""
    cost = sum(fate.line.value_ns or 0 for fate in fates)
    price = f" ({format_ns(cost)})" if cost else ""
    return f"{listed([fate.name for fate in fates])} {what}{price}"


def _summary(evidence: Evidence, fates: Sequence[_Fate]) -> str:
    if not fates:
        watched = evidence.manifest is not None and evidence.manifest.workload.unused is not None
        used = "PyTorch used every module" if watched else "which modules PyTorch used was not recorded"
        return f"The graph that ran chooses between no branches, and {used}."
    cost = sum(fate.line.value_ns or 0 for fate in fates)
    if not cost:
        return "What was not needed costs no time in ONNX Runtime."
    return f"What ONNX Runtime does beyond the branch that was needed takes at least {format_ns(cost)} of a step."


def _frozen(evidence: Evidence) -> Iterable[_Fate]:
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


def _unused(evidence: Evidence) -> Iterable[_Fate]:
    """Modules of which PyTorch read no weight (cases 1 and 3); one in a branch of an `If` is told there."""
    graph = evidence.exported
    modules, known = _unused_modules(evidence), _modules_known(evidence)
    if graph is None or not modules:
        return
    owners, ran = owners_of(graph, known), _Ran(evidence, EXPORTED)
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
        elif all(node.parent < 0 for node in nodes) and (executed := ran.nodes(nodes)):
            text = f"{said}; ONNX Runtime ran {ran.said(executed)} of it in {format_ns(ran.ns(executed))}"
            yield _Fate("executed in ONNX Runtime only", module.name, ran.line(text, executed))


def _unused_modules(evidence: Evidence) -> tuple[UnusedModule, ...]:
    return (evidence.manifest.workload.unused or ()) if evidence.manifest else ()


def _modules_known(evidence: Evidence) -> set[str]:
    """Names of modules as PyTorch spells them."""
    used = {work.scope for work in evidence.work.get("torch", {}).values() if work.scope}
    return used | {module.name for module in _unused_modules(evidence)}


def _ifs(evidence: Evidence) -> Iterable[_Fate]:
    """Case 2, in the graph that ran."""
    graph, exported = evidence.optimized, evidence.exported
    found = conditionals(graph) if graph else ()
    owners = owners_of(graph, _modules_known(evidence)) if graph and found else []
    ran = _Ran(evidence, OPTIMIZED)
    for one in found:
        holds = {branch: _held(owners, nodes) for branch, nodes in one.branches.items()}
        name = " or ".join(dict.fromkeys(n for names in holds.values() for n in names)) or one.node.name
        own = ran.nodes([one.node])
        said = ", ".join(_branch_said(ran, one, branch, names) for branch, names in holds.items())
        text = f"`If` {one.node.name}: {said}; the `If` itself takes {format_ns(ran.ns(own))}"
        yield _Fate("exported as If", name, ran.line(text, own))
    if graph and exported and not found and (folded := len(conditionals(exported))):
        text = "its condition depends on no input: ONNX Runtime kept the branch that is taken and dropped the `If`"
        yield _Fate("exported as If", counted(folded, "branch", "branches"), EvidenceRow(text=text))


def _held(owners: Sequence[tuple[str, ...]], nodes: Iterable[GraphNode]) -> list[str]:
    return list(dict.fromkeys(name for node in nodes for name in owners[node.index]))[:MOST_NAMES]


def _branch_said(ran: "_Ran", found: Conditional, branch: str, names: list[str]) -> str:
    nodes = found.branches[branch]
    if not nodes:
        return f"{branch} holds no node"
    executed = ran.nodes(nodes)
    what = f"{branch} ({listed(names) or counted(len(nodes), 'node')})"
    return f"{what} ran: {ran.said(executed)}" if executed else f"{what} did not run"


def _selected(evidence: Evidence) -> Iterable[_Fate]:
    """Case 4, in the graph that ran."""
    graph, ran = evidence.optimized, _Ran(evidence, OPTIMIZED)
    for found in selections(graph) if graph else ():
        sides = [ran.nodes(nodes) for nodes in (found.first, found.second)]
        if all(sides):
            name = " and ".join(ran.module(side) for side in sides)
            yield _Fate("both computed", name, _selection_line(ran, found.node, sides))


def _selection_line(ran: "_Ran", where: GraphNode, sides: list[tuple[str, ...]]) -> EvidenceRow:
    each = " and ".join(f"{ran.module(side)} ({ran.said(side)}, {format_ns(ran.ns(side))})" for side in sides)
    too = "; PyTorch computes both, too" if all(ran.has_calls(side) for side in sides) else ""
    text = f"`Where` {where.name} keeps one of two results whole: of {each}, one is computed for nothing{too}"
    line = ran.line(text, tuple(name for side in sides for name in side))
    return replace(line, value_ns=min(ran.ns(side) for side in sides))


class _Ran:
    """Which nodes of one graph of the chain were executed, and what the ledger says of them."""

    def __init__(self, evidence: Evidence, graph: str) -> None:
        self._evidence = evidence
        self._graph = graph
        self._work = evidence.partitions["onnxruntime"].work
        self._executed = executed_by_node(self._work, evidence.graphs[OPTIMIZED])

    def nodes(self, nodes: Iterable[GraphNode]) -> tuple[str, ...]:
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

    def said(self, executed: Sequence[str]) -> str:
        """Ops of executed nodes in few words."""
        known = self._evidence.work["onnxruntime"]
        return listed([known[name].op for name in executed])

    def ns(self, executed: Sequence[str]) -> int:
        """Their time in a step: the ledger's where its rows hold nothing else, else as profiled."""
        rows = self._rows(executed)
        if {name for row in rows for name in row.onnx_nodes} == set(executed):
            return sum(row.onnxruntime_ns for row in rows)
        return node_ns(self._evidence, set(executed))

    def has_calls(self, executed: Sequence[str]) -> bool:
        """Whether PyTorch runs calls for them."""
        return any(row.torch_calls for row in self._rows(executed))

    def module(self, executed: Sequence[str]) -> str:
        """The modules that the ledger puts them into."""
        modules = dict.fromkeys(row.module for row in self._rows(executed) if row.module)
        return listed(list(modules)) or listed(list(executed))

    def line(self, text: str, executed: Sequence[str]) -> EvidenceRow:
        """A piece of evidence that rests on executed nodes."""
        return EvidenceRow(text=text, rows=ids(self._rows(executed)), value_ns=self.ns(executed))

    def _rows(self, executed: Sequence[str]) -> list[LedgerRow]:
        names = set(executed)
        return [row for row in self._evidence.ledger.rows if names.intersection(row.onnx_nodes)]


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
    unproved="What to do is a decision about the model: which branch it shall keep.",
)
