"""Compiled PyTorch in a trace: which events only wrap others, and which ops each launch inside a graph computes.

Conditions, cited in the code:

1. Only what runs inside the call of a compiled graph is a launch; what Python runs around it is an ordinary call.
2. A launch is found by its event's name and its turn among those of that name, if the graph was run with as many of them
   as the compiler recorded. Otherwise the event stays an ordinary call.
3. A graph that is run in several modules (one code for all layers) was compiled in the first of them.
4. An op of which a launch computes only a part belongs to the launch of its result, unless this launch has nothing else.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import NamedTuple

from attrib.analysis.attribution.host.intervals import innermost, parents
from attrib.analysis.match.ops import op_role
from attrib.model.compiled import Compiled, CompiledGraph, KernelLaunch, kernel_key
from attrib.model.events import Int64s
from attrib.model.work import Member

_REGION = "Torch-Compiled Region"
_GRAPH_CALL = "## Call CompiledFxGraph"
_WRAPPER = re.compile(
    rf"{_REGION}|{_GRAPH_CALL}|TorchDynamo Cache Lookup|Pregraph bytecode|AOTDispatcher Runtime Wrapper"
    r"|CompiledFunction|graph_\d+_inductor_wrapper_call|forward$"
)
"""Events of torch's compilers around what they run: Dynamo, AOTDispatcher, Inductor, and a TorchScript method."""


class Wraps(NamedTuple):
    """Wrapping events of one step, in nesting order."""

    names: Sequence[str]
    starts: Int64s
    ends: Int64s


class _Run(NamedTuple):
    """One run of a compiled graph in a step: the module that it ran in, and where the same graph ran first."""

    graph: CompiledGraph
    number: int
    scope: str
    first_scope: str


def is_wrapper(name: str) -> bool:
    """Whether an event of that name only wraps others: its own time is dispatch."""
    return _WRAPPER.match(name) is not None


def find_members(
    compiled: Compiled, wraps: Wraps, names: Sequence[str], starts: Int64s, scopes: Sequence[str]
) -> dict[int, tuple[Member, ...]]:
    """Which ops the calls inside compiled graphs cover.

    Args:
        compiled: What the compiler recorded.
        wraps: Wrapping events of a step.
        names: The step's calls, in order of time.
        starts: When they begin.
        scopes: Module scope of each call, from the marks around it.

    Returns:
        Position of a call -> its members; calls of which nothing is known are left out.
    """
    graphs = {graph.region: graph for graph in compiled.graphs}
    containers = _containers(wraps, graphs)
    held = innermost(wraps.starts, wraps.ends, starts).tolist()
    by_run: dict[int, list[int]] = defaultdict(list)
    for position, holder in enumerate(held):
        run, _ = containers[holder] if holder >= 0 else (-1, "")
        if run >= 0:  # 1
            by_run[run].append(position)
    first: dict[str, str] = {}
    found: dict[int, tuple[Member, ...]] = {}
    for number, (holder, calls) in enumerate(sorted(by_run.items())):
        region, scope = containers[holder][1], scopes[calls[0]]
        run_of = _Run(graphs[region], number, scope, first.setdefault(region, scope))  # 3
        for call, launch in _pair_launches(run_of.graph, calls, names):
            found[call] = tuple(
                _member_of_run(member, run_of) for member in launch.members or launch.partial
            )  # 4
    return found


def _containers(wraps: Wraps, graphs: Mapping[str, CompiledGraph]) -> list[tuple[int, str]]:
    """For each wrapping event, the innermost call of a recorded graph at or around it (-1 for none), and its region."""
    above = parents(wraps.starts, wraps.ends).tolist()
    found: list[tuple[int, str]] = []
    for i, (name, parent) in enumerate(zip(wraps.names, above, strict=True)):
        run, region = found[parent] if parent >= 0 else (-1, "")
        if name.startswith(_REGION):
            run, region = -1, name
        elif name in graphs:
            run, region = i, name
        elif name.startswith(_GRAPH_CALL) and region in graphs:
            run = i
        found.append((run, region))
    return found


def _pair_launches(
    graph: CompiledGraph, calls: Sequence[int], names: Sequence[str]
) -> Iterator[tuple[int, KernelLaunch]]:
    """The launch that each call is, where the graph ran as many of that kernel as the compiler recorded."""
    turns: dict[str, list[KernelLaunch]] = defaultdict(list)
    for launch in graph.launches:
        turns[kernel_key(launch.kernel)].append(launch)
    ran: dict[str, list[int]] = defaultdict(list)
    for call in calls:
        ran[kernel_key(names[call])].append(call)
    for key, positions in ran.items():
        if len(turns[key]) == len(positions):  # 2
            yield from zip(positions, turns[key], strict=True)


def _member_of_run(member: Member, run: _Run) -> Member:
    """The member as it was run; each run of a graph in a step gives its ops names of their own."""
    scope = member.scope or run.scope
    if run.scope != run.first_scope and run.first_scope and f"{scope}.".startswith(f"{run.first_scope}."):
        scope = run.scope + scope.removeprefix(run.first_scope)
    return Member(
        scope=scope, op=member.op, name=f"{member.name}@{run.number}" if run.number else member.name
    )


def common_scope(members: Sequence[Member]) -> str:
    """The innermost module that holds every member that computes; a view at its edge does not move a kernel."""
    computing = [member for member in members if op_role(member.op) == "compute"] or members
    paths = zip(*(member.scope.split(".") for member in computing), strict=False)
    return ".".join(parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, paths))
