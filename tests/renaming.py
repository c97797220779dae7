"""Give every node and value of an ONNX model another name, so that only its structure is left.

Used to see what a match owes to names: `python -m tests.renaming IN.onnx OUT.onnx [--nodes empty]`.
"""

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import onnx

NodeNames = Literal["random", "empty", "same"]


class Renaming(NamedTuple):
    """The model under its new names, and what the names were: `{new: old}` for nodes and for values.

    Nodes that share a name, or have none, are not in `nodes`.
    """

    model: onnx.ModelProto
    nodes: dict[str, str]
    values: dict[str, str]


def renamed(
    model: onnx.ModelProto, seed: int = 0, nodes: NodeNames = "random", *, interface: bool = False
) -> Renaming:
    """A copy of a model without metadata in which every node and value has a random name.

    Args:
        model: Any model; branches and loops are renamed too.
        seed: The same seed gives the same names.
        nodes: `empty` takes the nodes' names away; `same` gives all nodes one name, which ONNX Runtime 1.31 refuses.
        interface: Also rename the inputs and outputs of the model itself.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    numbers = random.Random(seed)
    kept = set() if interface else {v.name for v in (*copy.graph.input, *copy.graph.output)}
    names = sorted({name for graph in _graphs(copy.graph) for name in _values(graph)} - kept - {""})
    new = dict(zip(names, _fresh(numbers, len(names), "v"), strict=True))
    old_nodes = {}
    every = [node for graph in _graphs(copy.graph) for node in graph.node]
    for node, name in zip(every, _fresh(numbers, len(every), "n"), strict=True):
        chosen = {"random": name, "empty": "", "same": "node"}[nodes]
        if nodes == "random":
            old_nodes[name] = node.name
        node.name = chosen
        _strip(node)
    for graph in _graphs(copy.graph):
        _rename_values(graph, new)
    _strip(copy)
    return Renaming(copy, old_nodes, {fresh: name for name, fresh in new.items()})


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _graphs(inner)


def _values(graph: onnx.GraphProto) -> Iterator[str]:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield from (*node.input, *node.output)


def _fresh(numbers: random.Random, count: int, prefix: str) -> list[str]:
    found = [f"{prefix}{number:x}" for number in numbers.sample(range(1 << 32), count)]
    numbers.shuffle(found)
    return found


def _rename_values(graph: onnx.GraphProto, new: dict[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        value.name = new.get(value.name, value.name)
        _strip(value)
    for node in graph.node:
        node.input[:] = [new.get(name, name) for name in node.input]
        node.output[:] = [new.get(name, name) for name in node.output]
    graph.name = "graph"
    _strip(graph)


def _strip(message: onnx.ModelProto | onnx.GraphProto | onnx.NodeProto | onnx.ValueInfoProto) -> None:
    for field in ("metadata_props", "doc_string", "producer_name", "producer_version"):
        if field in message.DESCRIPTOR.fields_by_name:
            message.ClearField(field)


def main() -> None:
    """Rename a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--nodes", choices=("random", "empty", "same"), default="random")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = renamed(onnx.load(options.source), options.seed, options.nodes)
    onnx.save(found.model, options.target)


if __name__ == "__main__":
    main()
