"""Inductor's own provenance: which ops of the traced program each kernel of a compiled graph computes.

Three records are brought together, none of them by guessing names: the graph that Dynamo traced (ops, modules), the graph
that Inductor lowered (what depends on what), and `inductor_provenance_mapping_str`, which names the lowered nodes behind
each launch and the traced nodes behind each lowered one. Facts of torch 2.13; what an older version does not record is
missing.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from attrib.capture.pytorch.compiled_graphs import LoweredNode, TracedNode, lowered_nodes, traced_ops
from attrib.capture.pytorch.scopes import ModuleNames
from attrib.model.compiled import Compiled, CompiledGraph, KernelLaunch
from attrib.model.work import Member

# From Inductor's record to launches: which ops each kernel really computes.
#
# Inductor names as origins of a kernel also what its inputs were made from (the whole mask for an attention, the
# projections for the mask). Conditions, cited in the code:
#
# 1. A library call computes the one lowered op that it calls, if the record holds exactly one such op.
# 2. What a library call computes, no other kernel does.
# 3. A view is part of a kernel only if it leads to something that the kernel computes, or from there.
# 4. An op that computes something is represented by its computing nodes only; its views say nothing.
# 5. The kernel that computes an op's last computing node computes its result; other kernels have a part in it.
# 6. A kernel that is left with nothing (it brings a weight into the layout of a library call) has a part in what is listed.


_TURN = re.compile(r":\d+$")
_EXTERN = re.compile(r"^(?:extern_kernels|(?:torch\.ops\.)?(?P<namespace>\w+))\.(?P<op>\w+)(?:\.\w+)?$")
_ALIASES = {"bias_addmm": "addmm"}
"""Inductor's names for calls of another operator."""


@dataclass(frozen=True, eq=False, kw_only=True)
class LoweredGraph:
    """What Inductor recorded of one graph.

    Attributes:
        nodes: The lowered graph.
        sources: Lowered node -> traced nodes.
        kernels: `kernel:number` in order of launch -> lowered nodes.
        prefix: What the events of generated kernels have before the kernel's name.
    """

    nodes: tuple[LoweredNode, ...]
    sources: Mapping[str, Sequence[str]]
    kernels: Mapping[str, Sequence[str]]
    prefix: str

    @cached_property
    def by_name(self) -> dict[str, LoweredNode]:
        """The lowered nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def made_from(self) -> dict[str, list[str]]:
        """Traced node -> its lowered nodes in the order of the graph, without views where something computes."""
        found: dict[str, list[str]] = defaultdict(list)
        for node in self.nodes:
            for source in self.sources.get(node.name, ()):
                found[source].append(node.name)
        return {source: self.computing(names) or names for source, names in found.items()}  # 4

    @cached_property
    def behind(self) -> dict[str, set[str]]:
        """View -> the computing nodes that it leads to or comes from, through other views."""
        above: dict[str, set[str]] = {}
        for node in self.nodes:
            through = {name for source in node.inputs for name in above.get(source, ())}
            above[node.name] = through if node.view else {node.name}
        below: dict[str, set[str]] = defaultdict(set)
        for node in reversed(self.nodes):
            reached = below[node.name] if node.view else {node.name}
            for name in node.inputs:
                below[name] |= reached
        return {n.name: above[n.name] | below[n.name] for n in self.nodes if n.view}

    def computing(self, names: Iterable[str]) -> list[str]:
        """The nodes that compute something, in their order."""
        return [name for name in names if name in self.by_name and not self.by_name[name].view]


def launches_from_record(
    traced: Sequence[TracedNode], lowered: LoweredGraph
) -> tuple[tuple[KernelLaunch, ...], tuple[Member, ...]]:
    """The launches of one graph in their order, and the ops for which there is none."""
    computed = _nodes_by_kernel(lowered)
    results = {name: nodes[-1] for name, nodes in lowered.made_from.items()}
    owners = {node for nodes in computed for node in nodes}
    launches, launched = [], set[str]()
    for kernel, nodes in zip(lowered.kernels, computed, strict=True):
        near = nodes or set(lowered.kernels[kernel])  # 6
        held = {source for node in near for source in lowered.sources.get(node, ())}
        touched = [op for op in traced if op.name in held and near & set(lowered.made_from[op.name])]
        # 5; a result that no kernel computes leaves nobody else to own the op.
        whole = [op for op in touched if results[op.name] in nodes or results[op.name] not in owners]
        part = [op for op in touched if op not in whole]
        launched |= {op.name for op in touched}
        launches.append(
            KernelLaunch(
                kernel=event_name(kernel, lowered.prefix), members=_members(whole), partial=_members(part)
            )
        )
    return tuple(launches), _members(op for op in traced if op.name not in launched)


def _members(ops: Iterable[TracedNode]) -> tuple[Member, ...]:
    return tuple(Member(scope=op.scope, op=name, name=op.name) for op in ops for name in op.ops)


def _nodes_by_kernel(lowered: LoweredGraph) -> list[set[str]]:
    """What each kernel computes, views included."""
    # The lowered op that a library call calls; empty where the record does not say which.
    own = []
    for kernel, listed in lowered.kernels.items():
        op = extern_op(_TURN.sub("", kernel))
        calls = [n for n in listed if op and n in lowered.by_name and lowered.by_name[n].op == op]
        own.append(calls[0] if len(calls) == 1 else "")  # 1
    called = {node for node in own if node}
    found = []
    for node, listed in zip(own, lowered.kernels.values(), strict=True):
        computing = {node} if node else {n for n in lowered.computing(listed) if n not in called}  # 2
        views = {n for n in listed if n in lowered.behind and lowered.behind[n] & computing}  # 3
        found.append(computing | views)
    return found


def extern_op(kernel: str) -> str:
    """`aten::addmm` for `extern_kernels.addmm` or `torch.ops.aten.addmm.default`; empty for a generated kernel."""
    match = _EXTERN.match(kernel)
    if match is None:
        return ""
    return f"{match['namespace'] or 'aten'}::{_ALIASES.get(match['op'], match['op'])}"


def event_name(kernel: str, prefix: str) -> str:
    """The name of a kernel's event in the trace; only generated C++ carries the number of its graph."""
    name = _TURN.sub("", kernel)
    return extern_op(name) or (prefix + name if name.startswith("cpp_") else name)


REGION = "Torch-Compiled Region: "
"""What torch's profiler puts before the compile id in the event around a run of a compiled graph."""

_INDUCTOR: dict[str, object] = {
    "cpp.enable_kernel_profile": True,
    "trace.provenance_tracking_level": 1,
    "fx_graph_cache": False,
}
_AOT: dict[str, object] = {"enable_autograd_cache": False}
"""C++ kernels become profiler events (40 ns a launch where no profiler runs), Inductor records where each kernel comes
from, and no graph comes from a cache, whose record names the nodes of the graph that was compiled first."""


class InductorProvenance:
    """A backend for `torch.compile`: Inductor itself, and the record of what it compiled."""

    def __init__(self, module: Any) -> None:
        self._names = ModuleNames(module)
        self._graphs: dict[str, CompiledGraph] = {}

    @property
    def compiled(self) -> Compiled:
        """Every graph compiled so far."""
        return Compiled(compiler="inductor", graphs=tuple(self._graphs.values()))

    def backend(self, graph: Any, inputs: Sequence[Any]) -> Callable[..., object]:
        """Compile one graph that Dynamo traced, as `backend="inductor"` does."""
        from torch._functorch import config as aot
        from torch._inductor import config
        from torch._inductor.compile_fx import compile_fx, compile_fx_inner

        region = REGION + str(torch._guards.CompileContext.current_compile_id())  # noqa: SLF001
        traced = traced_ops(graph.graph, self._names)

        def inner(lowered: Any, arguments: Sequence[Any], **options: Any) -> Any:
            result = compile_fx_inner(lowered, arguments, **options)
            recorded = json.loads(getattr(result, "inductor_provenance_mapping_str", None) or "{}")
            if "cppCodeToPost" in recorded:
                number = options.get("graph_id")
                record = LoweredGraph(
                    nodes=lowered_nodes(lowered.graph),
                    sources=recorded.get("postToPre", {}),
                    kernels=recorded["cppCodeToPost"],
                    prefix="" if number is None else f"graph_{number}_",
                )
                launches, elided = launches_from_record(traced, record)
                self._graphs[region] = CompiledGraph(region=region, launches=launches, elided=elided)
            return result

        with config.patch(_supported(config, _INDUCTOR)), aot.patch(_supported(aot, _AOT)):
            compiled: Callable[..., object] = compile_fx(graph, inputs, inner_compile=inner)
        return compiled


def _supported(config: Any, wanted: dict[str, object]) -> dict[str, object]:
    """The settings that this torch knows."""
    known = config.get_config_copy()
    return {key: value for key, value in wanted.items() if key in known}
