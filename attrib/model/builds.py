"""Two builds of ONNX Runtime on one model: what each took for the same nodes. Part of an experiment's result.

All durations are integer nanoseconds of a profiled step: they hold the cost of recording, which both builds pay. A change is
after minus before: positive means that the second build takes longer.
"""

import msgspec

from attrib.model.estimate import Delta


class _Struct(msgspec.Struct, frozen=True, kw_only=True):
    pass


class RuntimeBuild(_Struct, frozen=True, kw_only=True):
    """One build, and what a profiled step took in it.

    Attributes:
        package: The package that brought it, e.g. `onnxruntime-openvino`; empty where the build does not say.
        version: Its version.
        python: Version of the interpreter that ran it.
        nodes: How many nodes a step executes.
        node_ns: What all of them take.
        outside_ns: What the rest of the step takes: executor, session and the call from Python.
    """

    package: str
    version: str
    python: str
    nodes: int
    node_ns: int
    outside_ns: int

    @property
    def name(self) -> str:
        """Package and version as a reader writes them."""
        return f"{self.package or 'onnxruntime'} {self.version}"


class BuildNodes(_Struct, frozen=True, kw_only=True):
    """What some nodes of the exported graph became in one build.

    Attributes:
        ops: Ops of the nodes that ran, with a count where one occurs several times; as in one of the modules.
        nodes: Names of the nodes that ran, as the profile has them; long lists are cut.
        more: How many names were cut.
        rewrites: What its optimizer did here and the other build's did not, one sentence each.
        ns: What they take together.
    """

    ops: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()
    more: int = 0
    rewrites: tuple[str, ...] = ()
    ns: int = 0


class NodeChange(_Struct, frozen=True, kw_only=True):
    """The same work in both builds: nodes of the exported graph, whatever either optimizer made of them.

    Work of the same kind in modules that differ only by a number stands in one entry.

    Attributes:
        module: The module of the exported nodes, `*` where several differ by a number only; the name of a node where the
            exporter recorded no module.
        exported: Ops of the exported nodes, as in one of the modules; empty for nodes that a build put in.
        count: How many are summed here.
        before: What they became in the first build.
        after: In the second one.
        change_ns: The change with its 95 % interval.
        rewritten: The builds run other ops for it.
        certain: The interval of the change excludes 0 by more than chance among so many, and it is large enough, or the ops
            are others.
    """

    module: str
    exported: tuple[str, ...]
    count: int
    before: BuildNodes
    after: BuildNodes
    change_ns: Delta
    rewritten: bool
    certain: bool


class BuildComparison(_Struct, frozen=True, kw_only=True):
    """Two builds of ONNX Runtime, node by node.

    Attributes:
        before: The build of the capture.
        after: The one that it was compared with.
        changes: Changes that are certain first, then other nodes, each the largest first. Together with those left out they
            sum to the change of the nodes' time exactly.
        left_out: How many entries were left out.
        left_out_before_ns: What these take in the first build.
        left_out_after_ns: In the second one.
        launches: Launches behind the intervals.
        matched: By what nodes of the two builds are the same work: `graph`, through the exported graph, or `name`, where a
            build saves no graph.
        remarks: What the reader should know, one sentence each.
    """

    before: RuntimeBuild
    after: RuntimeBuild
    changes: tuple[NodeChange, ...]
    left_out: int = 0
    left_out_before_ns: int = 0
    left_out_after_ns: int = 0
    launches: int = 1
    matched: str = "graph"
    remarks: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether package and version are the same on both sides, so that it is an A/A comparison."""
        return (self.before.package, self.before.version) == (self.after.package, self.after.version)
