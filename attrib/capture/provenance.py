"""Inductor's own provenance: which ops of the traced program each kernel of a compiled graph computes.

Three records are brought together, none of them by guessing names: the graph that Dynamo traced (ops, modules), the graph
that Inductor lowered (what depends on what), and `inductor_provenance_mapping_str`, which names the lowered nodes behind
each launch and the traced nodes behind each lowered one. Facts of torch 2.13; what an older version does not record is
missing.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch

from attrib.capture.provenance_graph import lowered_nodes
from attrib.capture.provenance_launches import Lowered, launches_of
from attrib.capture.provenance_ops import Traced, traced_ops
from attrib.capture.scopes import ModuleNames
from attrib.model.compiled import Compiled, CompiledGraph

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
            self._note(region, traced, lowered, result, options.get("graph_id"))
            return result

        with config.patch(_known(config, _INDUCTOR)), aot.patch(_known(aot, _AOT)):
            compiled: Callable[..., object] = compile_fx(graph, inputs, inner_compile=inner)
        return compiled

    def _note(self, region: str, traced: Sequence[Traced], lowered: Any, result: Any, number: object) -> None:
        recorded = json.loads(getattr(result, "inductor_provenance_mapping_str", None) or "{}")
        if "cppCodeToPost" not in recorded:
            return
        launches, elided = launches_of(
            traced,
            Lowered(
                nodes=lowered_nodes(lowered.graph),
                sources=recorded.get("postToPre", {}),
                kernels=recorded["cppCodeToPost"],
                prefix="" if number is None else f"graph_{number}_",
            ),
        )
        self._graphs[region] = CompiledGraph(region=region, launches=launches, elided=elided)


def _known(config: Any, wanted: dict[str, object]) -> dict[str, object]:
    """Those of the settings that this torch has."""
    known = config.get_config_copy()
    return {key: value for key, value in wanted.items() if key in known}
