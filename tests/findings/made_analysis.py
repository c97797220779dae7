"""Analyses of made-up models: the true ledger of random times, for graphs in which every rule finds what it looks for."""

from dataclasses import dataclass, field

import numpy as np

from attrib.analysis.attribution.judgement import judge
from attrib.analysis.attribution.ledger.headline import headline
from attrib.analysis.attribution.ledger.ledger import build_ledger
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.findings.protocol import Evidence
from attrib.model.device import DeviceUse
from attrib.model.document import MachineState, PageFaults
from attrib.model.estimate import Delta
from attrib.model.manifest import EXPORTED, OPTIMIZED, SURPLUS, OutputDifference
from attrib.model.region import Match, Region
from attrib.model.tensor import Tensor
from attrib.model.work import Partition, Work
from tests.findings.evidence_factory import manifest, tensor

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
TENSORRT, REBUILT = "TensorrtExecutionProvider", "TRTKernel_rebuilt"
TOKENS = 32
HIDDEN = tensor(1, TOKENS, 768)
WIDE = tensor(1, TOKENS, 3072)
DOUBLE = tensor(1, TOKENS, 3072, dtype="double")
WEIGHTS = tensor(768, 3072)


@dataclass
class Model:
    """What a model is put together from, piece by piece; the end of each name tells the pieces apart."""

    provider: str = CPU
    end: str = ""
    nodes: list[GraphNode] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    calls: list[Work] = field(default_factory=list)
    regions: list[Region] = field(default_factory=list)
    constants: set[str] = field(default_factory=set)
    overridable: set[str] = field(default_factory=set)
    values: dict[str, Tensor] = field(default_factory=dict)
    surplus: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)
    """Outputs with other numbers than PyTorch's."""
    heavy: set[str] = field(default_factory=set)
    """Units that take ten times as long as drawn."""
    keeping: set[str] = field(default_factory=set)
    """Units that keep a language model's cache."""

    def node(self, op, inputs, output, *, result=HIDDEN, reads=(HIDDEN,), on="", name="", **more):
        """Add a node that ran; what it reads and makes has the end of this piece."""
        name = (name or op.lower() + "-" + output) + self.end
        constant = {value + self.end for value in inputs if value.startswith("const")}
        self.constants |= constant
        self.values |= dict.fromkeys(constant, WEIGHTS)
        self.nodes.append(
            GraphNode(
                name=name,
                index=len(self.nodes),
                op=op,
                domain=more.pop("domain", ""),
                inputs=tuple(value + self.end for value in inputs),
                outputs=(output + self.end,),
                parent=more.pop("parent", -1),
                branch=more.pop("branch", ""),
                attributes=more,
            )
        )
        work = Work(
            id=name, engine="onnxruntime", op=op, provider=on or self.provider, order=len(self.works),
            inputs=reads, outputs=(result,),
        )  # fmt: skip
        self.works.append(work)
        return name

    def call(self, op, *, scope="encoder.layer.0", reads=(HIDDEN,)):
        """Add a call of PyTorch."""
        name = f"{scope}/aten::{op}#{len(self.calls)}"
        self.calls.append(
            Work(id=name, engine="torch", op=f"aten::{op}", scope=scope, order=len(self.calls), inputs=reads)
        )
        return name

    def region(self, calls, nodes, origin="both", confidence=1.0):
        """Join calls and nodes that were added before."""
        match = Match(method="fx-node" if calls and nodes else "none", confidence=confidence)
        self.regions.append(
            Region(
                id=f"region {len(self.regions)}", module="encoder.layer.0", calls=tuple(calls), nodes=tuple(nodes),
                match=match, origin=origin,
            )
        )  # fmt: skip


def linear(m):
    m.region(
        [m.call("linear", reads=(HIDDEN, tensor(3072, 768)))],
        [m.node("Gemm", ["x", "const"], "gemm", result=WIDE, reads=(HIDDEN, WEIGHTS))],
    )


def attention(m):
    names = [m.node("MatMul", ["q", "k"], "scores", result=tensor(1, 12, TOKENS, TOKENS))]
    names += [m.node("Softmax", ["scores"], "soft", result=tensor(1, 12, TOKENS, TOKENS))]
    names += [m.node("IsNaN", ["soft"], "nan"), m.node("Where", ["nan", "const-zero", "soft"], "safe")]
    names += [
        m.node("MatMul", ["safe", "v"], "attended"),
        m.node("Transpose", ["attended"], "turned", perm="0,2,1,3"),
    ]
    m.region([m.call("scaled_dot_product_attention")], names)


def unfused_gelu(m):
    names = [m.node("Div", ["x", "const-root"], "a", result=WIDE), m.node("Erf", ["a"], "b", result=WIDE)]
    names += [
        m.node("Add", ["b", "const-one"], "c", result=WIDE),
        m.node("Mul", ["x", "c"], "d", result=WIDE),
    ]
    names += [m.node("Mul", ["d", "const-half"], "e", result=WIDE)]
    m.region([m.call("gelu", reads=(WIDE,))], names)


def unfused_norm(m):
    names = [m.node("ReduceMean", ["x"], "mean"), m.node("Sqrt", ["mean"], "root")]
    m.region([m.call("layer_norm")], names)


def fused(m):
    m.region([m.call("add"), m.call("layer_norm")], [m.node("SkipLayerNormalization", ["x", "r"], "skip")])


def einsum(m):
    equation = {"equation": "bsi,io->bso"}
    name = m.node("Einsum", ["x", "const"], "ein", result=WIDE, reads=(HIDDEN, WEIGHTS), **equation)
    m.heavy.add(name)
    m.region([m.call("einsum")], [name])
    linear(m)


def batch_norm(m):
    rows = tensor(512, 768)
    norm = m.node(
        "BatchNormalization", ["x", "const", "const", "const", "const"], "bn", result=rows, reads=(rows,)
    )
    m.region([m.call("batch_norm", reads=(rows,))], [norm])
    product = m.node("Gemm", ["bn", "const"], "behind", result=rows, reads=(rows, tensor(768, 768)))
    m.region([m.call("linear", reads=(rows, tensor(768, 768)))], [product])


def double(m):
    into = m.node("Cast", ["x"], "xd", result=tensor(1, TOKENS, 768, dtype="double"))
    product = m.node("MatMul", ["xd", "const"], "yd", result=DOUBLE, reads=(HIDDEN, WEIGHTS))
    back = m.node("Cast", ["yd"], "y", result=WIDE, reads=(DOUBLE,))
    m.region([m.call("linear", reads=(HIDDEN, tensor(3072, 768)))], [into, product, back])


def double_in_pytorch(m):
    call = m.call("linear", reads=(tensor(1, TOKENS, 768, dtype="double"), tensor(3072, 768, dtype="double")))
    m.heavy.add(call)
    m.region([call], [m.node("MatMul", ["x", "const"], "product", result=WIDE, reads=(HIDDEN, WEIGHTS))])


def inverse_transposes(m):
    names = [m.node("Transpose", ["x"], "t", perm="0,2,1"), m.node("Gelu", ["t"], "g")]
    names += [m.node("Transpose", ["g"], "back", perm="0,2,1")]
    m.region([m.call("gelu")], names)


def moved(m):
    m.region([m.call("transpose")], [m.node("Concat", ["x", "z"], "joined")])


def cached(m):
    whole = tensor(1, 12, TOKENS, 64)
    names = [m.node("Concat", ["past_key_values", "new"], "present", result=whole)]
    names += [m.node("Expand", ["present", "const-shape"], "repeated", result=whole)]
    calls = [m.call("cat")]
    m.keeping.update(names, calls)
    m.region(calls, names)


def casts(m):
    half = tensor(1, TOKENS, 768, dtype="float16")
    m.values["h" + m.end] = half
    m.region([], [m.node("Cast", ["x"], "h", result=half)], "onnxruntime")
    own = m.node("Cast", ["h"], "back", reads=(half,), name="InsertedPrecisionFreeCast_")
    m.region([], [own], "onnxruntime")


def twins(m):
    same = [m.node("Gemm", ["x", "const-same"], f"twin{i}", reads=(HIDDEN, WEIGHTS)) for i in range(2)]
    m.region([m.call("linear")], same[:1])
    m.region([], same[1:], "onnxruntime")


def loop(m):
    holder = len(m.nodes) + 1
    inner = m.node("Add", ["x", "x"], "inner", parent=holder)
    m.region([], [inner, m.node("Loop", ["n", "inner"], "looped")], "onnxruntime")


def branches(m):
    holder = len(m.nodes) + 2
    inner = [
        m.node("Add", ["x", "x"], f"in-{name}", parent=holder, branch=name)
        for name in ("then_branch", "else_branch")
    ]
    m.region([], [*inner, m.node("If", ["condition"], "chosen")], "onnxruntime")


def compiled(m):
    """Two parts that a provider compiled, one of which it built again, and a node between them that it did not take."""
    parts = [(REBUILT, "first"), ("TRTKernel_second", "second")]
    names = [m.node(op, ["x"], out, on=TENSORRT, name=f"{TENSORRT}_{op}") for op, out in parts[:1]]
    between = m.node("IsNaN", ["first"], "between", on=CPU)
    names += [m.node(op, ["between"], out, on=TENSORRT, name=f"{TENSORRT}_{op}") for op, out in parts[1:]]
    m.region([m.call("linear"), m.call("linear")], names)
    m.region([], [between], "onnxruntime")


def quantized(m):
    m.region([], [m.node("DequantizeLinear", ["const-q", "s"], "table")], "onnxruntime")
    product = m.node("MatMulIntegerToFloat", ["x", "const-q"], "integer")
    m.region([m.call("linear", reads=(HIDDEN, tensor(3072, 768)))], [product])


def shapes(m):
    names = [m.node("Shape", ["x"], "shape"), m.node("Unsqueeze", ["shape"], "more")]
    m.region([], names, "onnxruntime")


def index(m):
    m.region(
        [m.call("index")], [m.node("GatherND", ["x", "i"], "picked"), m.node("Where", ["picked"], "kept")]
    )


def extra(m):
    m.region([], [m.node("TopK", ["x"], "top")], "onnxruntime")


def folded(m):
    m.region([m.call("cumsum", scope="embeddings")], [], "torch")


def written_out(m):
    scope = "encoder.layer.0.act"
    calls = [m.call(op, scope=scope, reads=(WIDE,)) for op in ("mul", "erf", "add", "mul")]
    m.region(calls, [m.node("Gelu", ["x"], "gelu", result=WIDE)])


def on_the_host(m):
    names = [m.node("MemcpyToHost", ["x"], "down"), m.node("Erf", ["down"], "erf", on=CPU)]
    names += [m.node("MemcpyFromHost", ["erf"], "up"), m.node("Sqrt", ["up"], "after")]
    m.region([m.call("erf")], names[1:2])
    m.region([m.call("sqrt")], names[3:])
    m.region([], [names[0], names[2]], "onnxruntime")


def surplus(m):
    m.surplus.append("extra" + m.end)
    m.region([], [m.node("Neg", ["x"], "extra")], "onnxruntime")


def unknown(m):
    m.unlike.append("unknown" + m.end)
    m.region([], [m.node("Selu", ["x"], "unknown")], "unknown", confidence=0.0)


def bias(m):
    """What a level below `all` leaves, and constants that a caller may replace."""
    m.overridable.add("const-b" + m.end)
    names = [m.node("MatMul", ["x", "const-w"], "p", result=WIDE, reads=(HIDDEN, WEIGHTS))]
    names += [m.node("Add", ["p", "const-b"], "biased", result=WIDE)]
    m.region([m.call("linear", reads=(HIDDEN, tensor(3072, 768)))], names)


PIECES = (
    linear, attention, unfused_gelu, unfused_norm, fused, einsum, double, double_in_pytorch, inverse_transposes, moved,
    casts, twins, loop, branches, compiled, quantized, shapes, index, extra, folded, written_out, on_the_host, surplus,
    unknown, bias, batch_norm, cached,
)  # fmt: skip


@dataclass(frozen=True)
class Chances:
    """What is drawn beside the pieces: the seed of all times, and how they were measured.

    `plain` is the plain step over the profiled one: the profiler costs time, or so much was taken out that too little is
    left. `spread` is that of the units' times (sigma of their logarithm), `noise` that of one unit between steps, `favor`
    ONNX Runtime's time over PyTorch's, and `faults` the share of the plain step that page faults take.
    """

    seed: int = 0
    plain: float = 1.0
    spread: float = 1.0
    noise: float = 0.02
    favor: float = 1.0
    launches: int = 3
    level: str = "all"
    threads: tuple[int, int] = (2, 2)
    padding: float = 0.0
    on_gpu: bool = False
    faults: float = 0.0


def analysis_of(pieces, chances: Chances) -> Evidence:
    """The evidence of a capture of these pieces; everything that a rule may ask of the ledger is the true ledger's."""
    model = Model(provider=CUDA if chances.on_gpu else CPU)
    for number, piece in enumerate(pieces):
        model.end = f"_{number}"
        piece(model)
    draw = np.random.default_rng(chances.seed)
    rounds = 4 * chances.launches
    parts = {
        "torch": ("torch dispatch", "Python of encoder"),
        "onnxruntime": ("ort executor", "ort session", "ort api"),
    }
    units, favor = (
        {"torch": model.calls, "onnxruntime": model.works},
        {"torch": 1.0, "onnxruntime": chances.favor},
    )
    partitions = {
        role: _partition(role, units[role], parts[role], chances, draw, favor[role], model.heavy)
        for role in parts
    }
    launch_of = {number: number // 4 for number in range(rounds)}
    plain = {
        role: {
            number: (np.median(its.walls_ns) * chances.plain * draw.normal(1, 0.01, 5).clip(0.5)).astype(
                np.int64
            )
            for number in range(rounds)
        }
        for role, its in partitions.items()
    }
    top = headline(plain, launch_of)
    provider = model.provider
    ledger = build_ledger(
        partitions,
        model.regions,
        top,
        overheads=dict.fromkeys(partitions),
        provider=provider,
        keeping=model.keeping,
    )
    read = {value for node in model.nodes for value in node.inputs}
    ends = [value for node in model.nodes if node.parent < 0 for value in node.outputs if value not in read]
    graph = Graph(
        nodes=tuple(model.nodes),
        inputs=("x", *sorted(model.overridable)),
        outputs=tuple(ends),
        constants=frozenset(model.constants),
        overridable=frozenset(model.overridable),
        values=model.values,
        opset=18,
    )
    outputs = tuple(
        OutputDifference(
            name=name, shape=HIDDEN.shape, max_abs=0, max_rel=0, cosine=1, tolerance=1e-4,
            equal=name not in (*model.surplus, *model.unlike),
            reason=SURPLUS if name in model.surplus else "",
        )
        for name in graph.outputs
    )  # fmt: skip
    torch, ort = chances.threads
    told = manifest(
        torch={"threads": torch},
        onnxruntime={
            "threads": ort, "opt_level": chances.level, "settings": {"io_binding": "false"},
            "requested_providers": (provider,), "providers": tuple(dict.fromkeys((provider, CPU))),
        },
        workload={"seq_len": TOKENS, "padding": chances.padding},
        environment={"usable_cores": 4.0, "libc": "glibc 2.36"},
    )  # fmt: skip
    return Evidence(
        ledger=ledger,
        judgement=judge(top, ledger, None),
        latency=top.latency,
        manifest=told,
        partitions=partitions,
        work={role: {work.id: work for work in its.work} for role, its in partitions.items()},
        regions={region.id: region for region in model.regions},
        graphs={EXPORTED: graph, OPTIMIZED: graph},
        outputs=outputs,
        plain_ns={
            role: tuple(tuple(block.tolist()) for block in its.values()) for role, its in plain.items()
        },
        launches=chances.launches,
        machine=MachineState(faults={role: _faults(top, role, chances.faults) for role in partitions}),
    )


def _faults(top, role, share) -> PageFaults:
    """Page faults that cost a share of the plain step, of a microsecond each."""
    step = top.latency.torch_ns if role == "torch" else top.latency.onnxruntime_ns
    low, cost, high = (round(step.median * share * part) for part in (0.9, 1, 1.1))
    return PageFaults(
        plain=cost / 1000, launches=(cost / 1000,), price_ns=1000,
        cost_ns=Delta(median=cost, low=low, high=min(high, step.median)),
    )  # fmt: skip


def _partition(engine, works, parts, chances, draw, favor, heavy) -> Partition:
    """Steps in which each unit takes a time of its own, about alike in all of them."""
    steps, count = 8 * chances.launches, len(works) + len(parts)
    usual = 1e5 * draw.lognormal(0, chances.spread, count) * favor
    usual *= [10.0 if unit.id in heavy else 1.0 for unit in works] + [1.0] * len(parts)
    times = (usual[:, None] * draw.lognormal(0, chances.noise, (count, steps))).astype(np.int64)
    times[[i for i, unit in enumerate(works) if unit.op == REBUILT], 0] += 3_000_000_000
    nothing = np.zeros(count, dtype=np.int64)
    return Partition(
        engine=engine,
        work=tuple(works),
        parts=parts,
        work_ns=times[: len(works)],
        parts_ns=times[len(works) :],
        walls_ns=times.sum(axis=0),
        blocks=np.repeat(np.arange(4 * chances.launches), 2),
        inside=nothing,
        outside=nothing,
        scopes=nothing,
        device=_mostly_idle(times.sum(axis=0)) if chances.on_gpu else None,
    )


def _mostly_idle(walls) -> DeviceUse:
    """A device that waits for its host."""
    busy = walls // 20
    return DeviceUse(
        busy_ns=busy,
        kernels_ns=busy,
        copies_ns=np.zeros_like(busy),
        kernels=np.full_like(busy, 60),
        walls_ns=walls,
    )
