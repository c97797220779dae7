"""Ablation: what part of a graph costs, measured by taking it out.

The two graphs to measure are the one that ONNX Runtime really ran, opened again without any optimization, and the same
without the chosen nodes. The values that these nodes made hold what they held in a run of the first graph: they become
initializers that a caller may override. ONNX Runtime takes such an initializer for an input: it neither folds nodes that
read it nor packs it beforehand, and it costs no feeding in each step. Nodes upstream whose results nobody reads any more
still run, because ONNX Runtime removes no dead nodes (tested). An output of the graph that the chosen nodes make is
returned through an Identity in both graphs, so that returning it costs the same in both.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from attrib.capture.session.worker_pool import Workers
from attrib.capture.workers.messages import Ablate, Ablated, Open, Opened
from attrib.capture.workers.process import WorkerError

_RUNTIME = "ablation-runtime"
_SURGEON = "ablation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """The two graphs of an ablation, with their weights beside them.

    Attributes:
        ran: The graph that ONNX Runtime makes of its model, as it saved it.
        baseline: The same, to be opened without optimization.
        variant: The baseline without the chosen nodes.
        removed: How many nodes that were.
        fed: Values that take their place.
        bytes: Size of these values.
    """

    ran: Path
    baseline: Path
    variant: Path
    removed: int
    fed: tuple[str, ...]
    bytes: int


def optimized_graph(workers: Workers, command: Open) -> Path:
    """Save the graph that ONNX Runtime makes of a model, with a session of its own.

    Raises:
        WorkerError: There is no such session, or it cannot save its graph.
    """
    worker = workers.start(_RUNTIME, "onnxruntime")
    try:
        worker.ready()
        folder = str(workers.folder(_RUNTIME))
        opened = worker.ask(msgspec.structs.replace(command, folder=folder, profiled=True), Opened)
        if not opened.optimized:
            raise WorkerError(
                f"{command.providers[0]} compiles parts of the graph, and ONNX Runtime cannot save such a graph",
                hint="ablations need a provider that runs node by node, e.g. --provider CPUExecutionProvider",
            )
        return Path(opened.optimized)
    finally:
        workers.stop(_RUNTIME)


def cut_graph(workers: Workers, command: Open, ran: Path, produced: tuple[str, ...]) -> Cut:
    """Write a graph with and without the chosen nodes.

    Args:
        workers: Who starts processes.
        command: How the model is opened.
        ran: From `optimized_graph`.
        produced: The values by which the chosen nodes are known: each makes at least one of them.

    Raises:
        WorkerError: A value cannot be recorded.
    """
    worker = workers.start(_SURGEON, "ablation")
    try:
        worker.ready()
        ablate = Ablate(
            model=str(ran),
            origin=str(Path(command.model).parent),
            inputs=command.inputs,
            providers=command.providers,
            produced=produced,
            folder=str(workers.folder(_SURGEON)),
        )
        done = worker.ask(ablate, Ablated)
    finally:
        workers.stop(_SURGEON)
    return Cut(
        ran=ran,
        baseline=Path(done.baseline),
        variant=Path(done.variant),
        removed=done.removed,
        fed=done.fed,
        bytes=done.bytes,
    )


def split(graph: Any, produced: set[str]) -> tuple[list[Any], list[str]]:
    """Find the nodes of a graph that make any of these values, and which of theirs the others or the caller read."""
    from attrib.rewrite.files import graphs_of

    chosen = [node for node in graph.node if produced.intersection(node.output)]
    made = [name for node in chosen for name in node.output if name]
    left = [node for node in graph.node if not produced.intersection(node.output)]
    read = {name for node in left for name in node.input} | {value.name for value in graph.output}
    for node in left:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                read |= {name for part in graphs_of(inner) for deep in part.node for name in deep.input}
                read |= {value.name for part in graphs_of(inner) for value in part.output}
    return chosen, [name for name in made if name in read]


def return_through_identity(graph: Any, produced: set[str]) -> set[str]:
    """Return every output of the graph that the chosen nodes make through an Identity.

    Returns:
        The values by which the chosen nodes are known now.
    """
    from onnx import helper

    from attrib.rewrite.files import graphs_of

    made = {name for node in graph.node if produced.intersection(node.output) for name in node.output}
    inner = {output.name: f"{output.name}/ablated" for output in graph.output if output.name in made}
    for node in [node for part in graphs_of(graph) for node in part.node]:
        node.input[:] = [inner.get(name, name) for name in node.input]
        node.output[:] = [inner.get(name, name) for name in node.output]
    for name, own in inner.items():
        graph.node.append(helper.make_node("Identity", [own], [name], name=f"{own}/copy"))
    return {inner.get(name, name) for name in produced}


def take_out(graph: Any, produced: set[str], values: dict[str, Any]) -> int:
    """Remove the chosen nodes; what they made holds `values`. Returns how many there were."""
    from onnx import helper, numpy_helper

    chosen, _ = split(graph, produced)
    for node in chosen:
        graph.node.remove(node)
    for name, array in values.items():
        tensor = numpy_helper.from_array(array, name)
        graph.initializer.append(tensor)
        # An initializer that is an input as well can be overridden, so nothing may rely on it.
        graph.input.append(helper.make_tensor_value_info(name, tensor.data_type, array.shape))
    known = set(values)
    kept = [value for value in graph.value_info if value.name not in known]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return len(chosen)
