"""`compare_nodes`: two builds of ONNX Runtime that ran one graph, and what became of the time of each node.

Each build optimizes the graph itself. Nodes that ran are the same work where they come from a common node of the exported
graph, whatever either optimizer made of it: so are all that hang together by that.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from attrib.analysis.attribution.ledger.sampling import Floats, Sampling, sampling_of, step_weights
from attrib.analysis.lineage.components import components
from attrib.analysis.lineage.disjoint_sets import DisjointSets
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.executed import executed_by_node
from attrib.analysis.provenance import chain_of, node_name
from attrib.comparison.figures import Judge
from attrib.errors import AttribError
from attrib.findings.runner import DIFFERENT_SHARE
from attrib.model.estimate import Delta
from attrib.model.experiment import BuildComparison, BuildNodes, NodeChange, RuntimeBuild
from attrib.model.manifest import EXPORTED, OPTIMIZED
from attrib.model.work import Partition
from attrib.units import round_to_sum
from attrib.wording import counted_names, fold_numbers

MOST_CHANGES = 500
"""Entries that are kept; a model of 3,000 nodes has some hundred, because layers are folded."""

_MOST_NODES = 40
_MOST_REWRITES = 6


class BuildRun(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What one build did.

    Attributes:
        package: The package that brought it.
        version: Its version.
        python: Version of its interpreter.
        partition: Its profiled steps.
        optimized: The graph that it made; None where it saves none.
    """

    package: str
    version: str
    python: str
    partition: Partition
    optimized: Graph | None


class _Work(msgspec.Struct):
    """The same work in both builds: exported nodes, and the positions and lineages of what ran on either side."""

    exported: list[int] = msgspec.field(default_factory=list)
    ran: tuple[list[int], list[int]] = msgspec.field(default_factory=lambda: ([], []))
    stages: tuple[list[Sequence[Sequence[int]]], list[Sequence[Sequence[int]]]] = msgspec.field(
        default_factory=lambda: ([], [])
    )


def compare_nodes(
    before: BuildRun,
    after: BuildRun,
    graphs: Sequence[Graph],
    launches: Mapping[int, int],
    remarks: Iterable[str] = (),
    *,
    fair: bool = True,
) -> BuildComparison:
    """Say what became of the time of each node; entries sum to the change of the nodes' time exactly.

    Args:
        before: The build of the capture.
        after: The other one, profiled in the same rounds.
        graphs: The exported graph and what rewrites made of it; both builds were given the last.
        launches: The launch of each round.
        remarks: What the reader should know about the measurement.
        fair: Nothing disturbed most rounds; else no change is certain.

    Raises:
        AttribError: No profiled round has steps of both.
    """
    runs = (before, after)
    blocks = [set(run.partition.blocks.tolist()) for run in runs]
    rounds = sorted(blocks[0] & blocks[1])
    if not rounds:
        raise AttribError(
            "no profiled round holds steps of both builds",
            hint="run it again with more --rounds, or on a quieter machine",
        )
    sampling = sampling_of(sorted({launches.get(number, 0) for number in rounds}), launches, rounds)
    times = [_Times(run.partition, rounds, sampling) for run in runs]
    by_graph = before.optimized is not None and after.optimized is not None
    shared = _by_graph(runs, graphs) if by_graph else _by_name(runs)
    step = max(time.step_ns for time in times)
    judge = Judge(fair=fair, launches=sampling.launches, least=round(DIFFERENT_SHARE * step))
    teller = _Teller(runs, graphs, times, sampling)
    groups = teller.alike(shared)
    changes = sorted(
        (teller.change(group, judge, len(groups)) for group in groups),
        key=lambda one: (not one.certain, not one.rewritten, -abs(one.change_ns.median), one.module),
    )
    kept, left = changes[:MOST_CHANGES], changes[MOST_CHANGES:]
    first, second = (_build(run, time) for run, time in zip(runs, times, strict=True))
    return BuildComparison(
        before=first,
        after=second,
        changes=tuple(kept),
        left_out=len(left),
        left_out_before_ns=sum(one.before.ns for one in left),
        left_out_after_ns=sum(one.after.ns for one in left),
        launches=sampling.launches,
        matched="graph" if by_graph else "name",
        remarks=tuple(dict.fromkeys((*remarks, *before.partition.warnings, *after.partition.warnings))),
    )


class _Times:
    """What each node of one build takes: in whole nanoseconds that sum to that of all, and in each column of a sampling."""

    def __init__(self, partition: Partition, rounds: Sequence[int], sampling: Sampling) -> None:
        kept = np.isin(partition.blocks, rounds)
        weights, columns = step_weights(partition.walls_ns[kept], partition.blocks[kept], sampling)
        work = partition.work_ns[:, kept].astype(np.float64)
        means = work @ weights
        self.node_ns = round(float(means.sum()))
        self.ns = round_to_sum(means.tolist(), self.node_ns)
        self.columns: Floats = work @ columns
        self.step_ns = round(float(partition.walls_ns[kept] @ weights))


def _build(run: BuildRun, time: _Times) -> RuntimeBuild:
    return RuntimeBuild(
        package=run.package,
        version=run.version,
        python=run.python,
        nodes=len(run.partition.work),
        node_ns=time.node_ns,
        outside_ns=time.step_ns - time.node_ns,
    )


def _by_name(runs: Sequence[BuildRun]) -> list[_Work]:
    """Put nodes together that have the same name and op in both builds."""
    found: dict[tuple[str, str], _Work] = {}
    for side, run in enumerate(runs):
        for position, work in enumerate(run.partition.work):
            found.setdefault((work.id, work.op), _Work()).ran[side].append(position)
    return list(found.values())


def _by_graph(runs: Sequence[BuildRun], graphs: Sequence[Graph]) -> list[_Work]:
    """Put nodes together that come from a common node of the exported graph; others by name, in the order of the graph."""
    pieces = [components((*graphs, run.optimized)) for run in runs if run.optimized is not None]
    known = dict.fromkeys((work.id, work.op) for run in runs for work in run.partition.work)
    names = {key: number for number, key in enumerate(known)}
    # Numbers of the sets: exported nodes, the pieces of either graph, and names.
    exported = len(graphs[0].nodes)
    starts = [exported, exported + len(pieces[0])]
    last = starts[1] + len(pieces[1])
    sets, owners = DisjointSets(last + len(names)), []
    for side, run in enumerate(runs):
        holder = {}
        for number, piece in enumerate(pieces[side], starts[side]):
            for node in piece.exported:
                sets.union(number, node)
            if piece.exported:  # what a build put in by itself is known by its name only
                holder.update(dict.fromkeys(piece.optimized, number))
        assert run.optimized is not None  # noqa: S101  (the caller looked)
        executed = executed_by_node(run.partition.work, run.optimized)
        owner = {at: holder[node] for node, places in executed.items() if node in holder for at in places}
        owners.append(
            [owner.get(at, last + names[work.id, work.op]) for at, work in enumerate(run.partition.work)]
        )
    found: dict[int, _Work] = defaultdict(_Work)
    for node in range(exported):
        found[sets.find(node)].exported.append(node)
    for side, start in enumerate(starts):
        for number, piece in enumerate(pieces[side], start):
            found[sets.find(number)].stages[side].append(piece.stages)
        for position, owner_of in enumerate(owners[side]):
            found[sets.find(owner_of)].ran[side].append(position)
    return [work for work in found.values() if any(work.ran)]


class _Teller:
    """Puts what was found into entries."""

    def __init__(
        self, runs: Sequence[BuildRun], graphs: Sequence[Graph], times: Sequence[_Times], sampling: Sampling
    ) -> None:
        self._runs, self._graphs, self._times, self._sampling = runs, graphs, times, sampling
        given = {
            EXPORTED if not number else f"rewrite {number}": graph for number, graph in enumerate(graphs)
        }
        self._chains = [
            chain_of(given | {OPTIMIZED: run.optimized}, None) if run.optimized is not None else None
            for run in runs
        ]

    def alike(self, shared: Iterable[_Work]) -> list[list[_Work]]:
        """Put work together that differs in nothing but a number in its module's name."""
        groups: dict[tuple[object, ...], list[_Work]] = defaultdict(list)
        for work in shared:
            sides = tuple(self._ops(work, side) for side in range(2))
            groups[(self._module(work), self._exported(work), sides)].append(work)
        return list(groups.values())

    def change(self, group: Sequence[_Work], judge: Judge, tests: int) -> NodeChange:
        """Make an entry of work that is alike."""
        first = group[0]
        ops = [self._ops(first, side) for side in range(2)]
        rewritten = ops[0] != ops[1]
        told = [self._rewrites(first, side) if rewritten else () for side in range(2)]
        positions = [[at for work in group for at in work.ran[side]] for side in range(2)]
        ns = [sum(self._times[side].ns[at] for at in positions[side]) for side in range(2)]
        columns = [self._times[side].columns[positions[side]].sum(axis=0) for side in range(2)]
        median = ns[1] - ns[0]
        low, high = self._sampling.interval(median, columns[1] - columns[0])
        change = Delta(median=median, low=low, high=high)
        sides = []
        for side, its in enumerate(positions):
            nodes = [self._runs[side].partition.work[at].id for at in its]
            only = [text for text in told[side] if text not in told[1 - side]]
            sides.append(
                BuildNodes(
                    ops=ops[side],
                    nodes=tuple(nodes[:_MOST_NODES]),
                    more=max(len(nodes) - _MOST_NODES, 0),
                    rewrites=tuple(only[:_MOST_REWRITES]),
                    ns=ns[side],
                )
            )
        return NodeChange(
            module=self._module(first),
            exported=self._exported(first),
            count=len(group),
            before=sides[0],
            after=sides[1],
            change_ns=change,
            rewritten=rewritten,
            certain=judge.certain(change, tests, small=rewritten),
        )

    def _nodes(self, work: _Work) -> list[GraphNode]:
        return [self._graphs[0].nodes[at] for at in work.exported]

    def _module(self, work: _Work) -> str:
        """The module of the first exported node that has one, its numbers as `*`; else the name of a node."""
        nodes = self._nodes(work)
        scope = next((fold_numbers(node.scope) for node in nodes if node.scope), "")
        if scope or not nodes:
            return scope or next(
                self._runs[side].partition.work[at].id for side in range(2) for at in work.ran[side]
            )
        return node_name(nodes[0])

    def _exported(self, work: _Work) -> tuple[str, ...]:
        return counted_names(node.op for node in self._nodes(work))

    def _ops(self, work: _Work, side: int) -> tuple[str, ...]:
        return counted_names(self._runs[side].partition.work[at].op for at in work.ran[side])

    def _rewrites(self, work: _Work, side: int) -> tuple[str, ...]:
        """What one build's optimizer did to these nodes, each sentence once."""
        chain = self._chains[side]
        if chain is None:
            return ()
        steps = (step for stages in work.stages[side] for step in chain.steps_of(stages))
        return tuple(dict.fromkeys(step.text for step in steps if step.kind != "unchanged"))
