"""Evidence that a trace directory lacks: what its absence costs this report, and how to record it.

A row of the table is one piece of evidence. What attrib captures itself has all of them; a pair of traces from elsewhere
usually lacks several, and is analyzed all the same.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec

from attrib.analysis.attribution.ledger.interrupted import RESUME
from attrib.analysis.lineage.graph import Graph
from attrib.model.document import Gap
from attrib.model.manifest import EXPORTED, OPTIMIZED, Role
from attrib.model.region import Region
from attrib.model.work import Partition
from attrib.units import whole_percent

MOSTLY = 0.5
"""Share of the node time from which on a way of matching is that of the whole directory."""


class Recorded(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """What a trace directory holds.

    Attributes:
        plain: The sides with plain runs.
        graphs: The captured graphs by path.
        partitions: The profiled steps of the sides that have any.
        regions: The matched calls and nodes.
        peaks: What the machine can do at most was measured.
        unread: Whose values the comparison of both sides left out, by the path of a graph (`torch` for PyTorch), and why.
        one_model: Both sides may be of one model.
    """

    plain: frozenset[Role]
    graphs: Mapping[str, Graph]
    partitions: Mapping[Role, Partition]
    regions: tuple[Region, ...]
    peaks: bool = True
    unread: Mapping[str, str] = msgspec.field(default_factory=dict)
    one_model: bool = True

    @property
    def compares(self) -> bool:
        """Whether both sides are there, of one model and run by different engines."""
        return self.one_model and len({p.engine for p in self.partitions.values()}) > 1

    @property
    def engines(self) -> dict[Role, Partition]:
        """The profiled steps by the engine that ran them; of two sides with one engine, those of the second."""
        return {its.engine: its for its in self.partitions.values()}

    @property
    def lacks_scopes(self) -> bool:
        """Whether PyTorch's trace names no module."""
        return "torch" in self.engines and not any(work.scope for work in self.engines["torch"].work)

    @property
    def names_modules(self) -> bool:
        """Whether the exported graph names modules; also where there is none."""
        graph = self.graphs.get(EXPORTED)
        return graph is None or any(node.scope for node in graph.nodes)

    @property
    def spells_modules_otherwise(self) -> bool:
        """Whether both sides name modules, and most of the time could not be matched by them."""
        return not self.lacks_scopes and self.names_modules and self.by_order() > MOSTLY

    def by_order(self) -> float:
        """Share of the nodes' time that was matched to calls by order and shape alone."""
        return self._share(region for region in self.regions if region.match.method == "shape-order")

    def by_parts(self) -> float:
        """Share of the nodes' time in parts of the graph that a provider compiled."""
        return self._share(
            region for region in self.regions if region.match.method == "partition" and region.calls
        )

    def parts_by_order(self) -> bool:
        """Whether nothing said which part of the graph each compiled node is."""
        return bool(self.by_parts()) and not any(
            "placement.json" in line for region in self.regions for line in region.match.evidence
        )

    def unmatched(self) -> float:
        """Share of the nodes' time that has no call."""
        return self._share(region for region in self.regions if not region.calls)

    def _share(self, regions: Iterable[Region]) -> float:
        ort = self.partitions["onnxruntime"]
        times = dict(zip((w.id for w in ort.work), ort.work_ns.sum(axis=1).tolist(), strict=True))
        chosen = sum(times.get(node, 0) for region in regions for node in region.nodes)
        return float(chosen / max(sum(times.values()), 1))


class _Evidence(NamedTuple):
    """One piece of evidence: when it is missing, and the three sentences about it."""

    missing: Callable[[Recorded], bool]
    what: str
    cost: Callable[[Recorded], str]
    how: str


def find_missing_evidence(recorded: Recorded) -> tuple[Gap, ...]:
    """The evidence that is missing, in the order of what it costs."""
    missing = (
        Gap(what=piece.what, cost=piece.cost(recorded), how=piece.how)
        for piece in (_EVIDENCE if recorded.partitions else (_NO_PROFILE,))
        if piece.missing(recorded)
    )
    unread = (
        Gap(
            what="some values of " + ("PyTorch's step" if where == "torch" else where),
            cost=f"what they would have shown rests on names, weights and order instead: {why}",
            how="nothing is to be done where a value cannot be read; a capture that takes longer has more time for them",
        )
        for where, why in recorded.unread.items()
    )
    return (*missing, *unread)


def _says(text: str) -> Callable[[Recorded], str]:
    return lambda _: text


def _matching(recorded: Recorded) -> str:
    lost = (
        (
            recorded.by_order(),
            "of the node time is matched by order and shape alone (confidence at most 0.5)",
        ),
        (recorded.unmatched(), "of the node time has no counterpart in PyTorch"),
    )
    return (
        "; ".join(f"{whole_percent(share)} {what}" for share, what in lost if share)
        or "matches rest on less evidence"
    )


def _lacks_shapes(engine: Role) -> Callable[[Recorded], bool]:
    return lambda recorded: (
        engine in recorded.engines and not any(work.inputs for work in recorded.engines[engine].work)
    )


_EVIDENCE = (
    _Evidence(
        lambda r: "torch" not in r.partitions,
        "PyTorch's trace",
        _says("nothing to compare with: only ONNX Runtime's own breakdown"),
        "with torch.profiler.profile(record_shapes=True, with_stack=True) as p: run some steps, then"
        ' p.export_chrome_trace("trace.json")',
    ),
    _Evidence(
        lambda r: "onnxruntime" not in r.partitions,
        "ONNX Runtime's profile",
        _says("nothing to compare with: only PyTorch's own breakdown"),
        "set SessionOptions.enable_profiling = True, run some steps, then call session.end_profiling()",
    ),
    _Evidence(
        lambda r: "torch" in r.engines and bool(r.engines["torch"].unseen),
        "kernel times of PyTorch",
        _says("the times of its calls are those of enqueuing the work, not of doing it: enqueue time, not kernel time"),
        "profile with ProfilerActivity.CUDA beside ProfilerActivity.CPU",
    ),
    _Evidence(
        lambda r: "onnxruntime" in r.engines and bool(r.engines["onnxruntime"].unseen),
        "kernel times of ONNX Runtime",
        _says("the times of its nodes on a device are those of enqueuing the work, not of doing it: enqueue time, not"
              " kernel time; copies and fallback cannot be priced"),
        "attrib profile --device cuda records the runs under torch.profiler, which sees every kernel",
    ),
    _Evidence(
        lambda r: not r.plain >= r.partitions.keys(),
        "plain runs of both engines",
        _says(
            "no headline and no intervals from plain steps: all times are profiled ones, and hold the cost of the profilers"
        ),
        "attrib profile --model ... records plain and profiled steps of both engines",
    ),
    _Evidence(
        lambda r: r.compares and EXPORTED not in r.graphs,
        "the exported graph",
        _matching,
        "put the .onnx file that was loaded into the directory; its weights are not needed",
    ),
    _Evidence(
        lambda r: r.compares and not r.names_modules,
        "module names in the exported graph",
        _matching,
        "export with torch.onnx.export(..., dynamo=True), and run no tool that drops metadata before the profile",
    ),
    _Evidence(
        lambda r: r.compares and OPTIMIZED not in r.graphs and not r.by_parts(),
        "the graph that ran",
        _says("nodes that ONNX Runtime fused are found by the names they carry, and which rewrite made them is unknown"),
        'set SessionOptions.optimized_model_filepath = "optimized.onnx" in the session that is profiled',
    ),
    _Evidence(
        lambda r: r.compares and r.parts_by_order(),
        "which part of the graph each compiled node is",
        lambda r: (
            f"{whole_percent(r.by_parts())} of the node time is in compiled nodes, whose parts are inferred"
            " from what ran outside of them (confidence 0.6 at most)"
        ),
        'with ONNX Runtime 1.24 or later: set session entry "session.record_ep_graph_assignment_info" to "1"; attrib profile'
        " does so and keeps what the session says",
    ),
    _Evidence(
        lambda r: r.lacks_scopes,
        "PyTorch's modules",
        _says("rows are named after operators only, and nodes cannot be matched module by module"),
        "profile with with_stack=True, or with attrib profile, which names modules as the model does",
    ),
    _Evidence(
        lambda r: r.compares and EXPORTED in r.graphs and r.spells_modules_otherwise,
        "one spelling of the modules on both sides",
        _matching,
        "profile with attrib profile: it marks modules by their qualified names, as exporters write them",
    ),
    _Evidence(
        _lacks_shapes("torch"),
        "shapes in PyTorch's trace",
        _says("no match is checked against the tensors that PyTorch read"),
        "profile with record_shapes=True",
    ),
    _Evidence(
        _lacks_shapes("onnxruntime"),
        "shapes in ONNX Runtime's profile",
        _says("no match is checked against the tensors that ONNX Runtime read"),
        "record the profile with a current ONNX Runtime",
    ),
    _Evidence(
        lambda r: not r.peaks,
        "the machine's peaks",
        _says("how far either engine is from what this machine can do is unknown"),
        "attrib profile --model ... measures them in about a second",
    ),
)  # fmt: skip

_NO_PROFILE = _Evidence(
    lambda r: not r.partitions,
    "the profiles of both engines",
    _says("only the headline: what makes the difference is not known"),
    RESUME,
)
"""An interrupted capture: everything else follows from it."""
