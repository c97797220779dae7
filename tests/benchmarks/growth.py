"""How the mapping and the ledger grow with the graph: `python tests/benchmarks/growth.py`.

The graphs are chains of transformer-like layers, exported with fx metadata and rewritten as ONNX Runtime's optimizer does
(linear to Reshape-Gemm-Reshape, add and layer norm fused). Linear growth means a ratio of 10 for 10 times the nodes.
Each kind leaves out more evidence: the fx nodes, the modules, the files. Times are of the processor, not of the clock.

`--directories` adds whole trace directories, recorded with both engines on the spot (see `growth_directories`).
"""

import argparse
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from growth_directories import directories_table
from msgspec.structs import replace

from attrib.analysis.attribution.ledger.headline import headline
from attrib.analysis.attribution.ledger.ledger import build_ledger
from attrib.analysis.lineage.graph import Graph, GraphNode
from attrib.analysis.match.regions import regions
from attrib.model.tensor import Tensor
from attrib.model.work import Partition, Work

X = Tensor("float", (1, 128, 768))
STEPS = 12


def layer(i: int) -> tuple[list[Work], list[tuple[str, str, str, str]], list[tuple[str, str, str]]]:
    """Calls, exported nodes (op, inputs, outputs, fx node) and executed nodes (op, inputs, outputs) of one layer."""
    scope, enter, leave = f"layer.{i}", f"x{i}", f"x{i + 1}"
    calls = [
        Work(
            id=f"{scope}.dense/aten::linear#0",
            engine="torch",
            op="aten::linear",
            scope=f"{scope}.dense",
            inputs=(X,),
        ),
        Work(id=f"{scope}/aten::add#0", engine="torch", op="aten::add", scope=scope, inputs=(X,)),
        Work(
            id=f"{scope}.norm/aten::layer_norm#0",
            engine="torch",
            op="aten::layer_norm",
            scope=f"{scope}.norm",
            inputs=(X,),
        ),
    ]
    exported = [
        ("MatMul", f"{enter} w", f"m{i}", "dense:linear"),
        ("Add", f"m{i} b", f"l{i}", "dense:linear"),
        ("Add", f"l{i} {enter}", f"a{i}", ":add"),
        ("LayerNormalization", f"a{i} g", leave, "norm:layer_norm"),
    ]
    ran = [
        ("Reshape", f"{enter} c", f"r{i}"),
        ("Gemm", f"r{i} w b", f"q{i}"),
        ("Reshape", f"q{i} c", f"l{i}"),
        ("SkipLayerNormalization", f"l{i} {enter} g", leave),
    ]
    return calls, exported, ran


def graph(nodes: list[GraphNode]) -> Graph:
    """A graph over one input and four constants."""
    return Graph(
        nodes=tuple(nodes),
        inputs=("x0",),
        outputs=nodes[-1].outputs,
        constants=frozenset("wbgc"),
        values={},
        opset=20,
    )


def build(layers: int) -> tuple[tuple[Work, ...], tuple[Work, ...], Graph, Graph]:
    """A model of so many layers, on both sides."""
    calls, exported, ran, work = [], [], [], []
    for i in range(layers):
        ours, original, executed = layer(i)
        calls += ours
        for op, ins, outs, origin in original:
            child, fx = origin.split(":")
            scope = f"layer.{i}.{child}".rstrip(".")
            exported.append(GraphNode(
                name=f"e{len(exported)}", index=len(exported), op=op, domain="", inputs=tuple(ins.split()),
                outputs=(outs,), scope=scope, fx_node=f"{fx}_{i}", fx_target=f"aten.{fx}.default",
            ))  # fmt: skip
        for op, ins, outs in executed:
            ran.append(GraphNode(
                name=f"n{len(ran)}", index=len(ran), op=op, domain="", inputs=tuple(ins.split()), outputs=(outs,)
            ))  # fmt: skip
            work.append(
                Work(
                    id=f"n{len(work)}",
                    engine="onnxruntime",
                    op=op,
                    order=len(work),
                    inputs=(X,),
                    outputs=(X,),
                )
            )
    return tuple(calls), tuple(work), graph(exported), graph(ran)


def partition(work: tuple[Work, ...]) -> Partition:
    """Steps of random times for the work."""
    times = np.random.default_rng(0).integers(1_000, 1_000_000, (len(work), STEPS))
    zeros = np.zeros(len(work) + 1, dtype=np.int64)
    return Partition(
        engine=work[0].engine, work=work, parts=("rest",), work_ns=times, parts_ns=np.full((1, STEPS), 1000),
        walls_ns=times.sum(axis=0) + 1000, blocks=np.arange(STEPS) // 2, inside=zeros, outside=zeros, scopes=zeros,
    )  # fmt: skip


def without(graph: Graph, kind: str) -> Graph:
    """The exported graph with the evidence of a kind of file."""
    if kind == "fx nodes":
        return graph
    return replace(
        graph,
        nodes=tuple(
            replace(node, fx_node="", fx_target="", scope=node.scope if kind == "modules" else None)
            for node in graph.nodes
        ),
    )


def prepared(nodes: int, kind: str) -> Callable[[], tuple[float, float]]:
    """Something that maps such a graph, makes its ledger, and says how many seconds of processor time either took."""
    calls, work, exported, ran = build(nodes // 4)
    graphs = () if kind == "no file" else (without(exported, kind), ran)
    torch, ort = partition(calls), partition(work)
    plain = {b: np.full(5, int(torch.walls_ns.mean())) for b in range(6)}

    def once() -> tuple[float, float]:
        begin = time.process_time()
        found = regions(calls, work, graphs)
        mapped = time.process_time()
        build_ledger({"torch": torch, "onnxruntime": ort}, found, headline({"torch": plain, "onnxruntime": plain}),
                     overheads={}, provider="")  # fmt: skip
        return mapped - begin, time.process_time() - mapped

    return once


def measure(nodes: int, kind: str) -> tuple[float, float, int]:
    """Seconds of the mapping and of the ledger, the least of three; and peak bytes of both, in a pass of its own."""
    once = prepared(nodes, kind)
    mapping, ledger = min((once() for _ in range(3)), key=sum)
    tracemalloc.start()  # it makes everything several times slower
    once()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return mapping, ledger, peak


def graphs_table() -> None:
    """Mapping and ledger of graphs of two sizes, for each kind of evidence."""
    sizes, kinds = (1_000, 10_000), ("fx nodes", "modules", "neither", "no file")
    sys.stdout.write(
        "| evidence | nodes | mapping | ledger | peak memory | for 10 times the nodes |\n|---|---|---|---|---|---|\n"
    )
    for kind in kinds:
        rows = {size: measure(size, kind) for size in sizes}
        small, large = rows[sizes[0]], rows[sizes[1]]
        ratio = (large[0] + large[1]) / (small[0] + small[1])
        for size, (mapping, ledger, peak) in rows.items():
            said = f"{ratio:.1f} times the time" if size == sizes[1] else ""
            sys.stdout.write(
                f"| {kind} | {size:,} | {mapping:.3f} s | {ledger:.3f} s | {peak / 2**20:.0f} MiB | {said} |\n"
            )
    sys.stdout.write("\nlinear within 20 %: at most 12 times the time\n")


def main() -> None:
    """Print the table of graphs, and with `--directories` those of whole trace directories too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directories", action="store_true", help="record real captures too (half an hour)")
    parser.add_argument("--keep", type=Path, help="keep the captures here, and use those that are there")
    options = parser.parse_args()
    graphs_table()
    if options.directories:
        with tempfile.TemporaryDirectory() as folder:
            directories_table(options.keep or Path(folder))


if __name__ == "__main__":
    main()
