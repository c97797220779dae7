"""What both engines compute, compared value by value: what calls and nodes are matched by; nothing of it is timed.

PyTorch's worker writes what the calls of one step took and returned; that of ONNX Runtime runs the graphs as they are, with
their values as outputs, and compares each with PyTorch's tensors. A graph is run in pieces, so that the values of
one piece fit into memory; what would take more than a share of the capture's time is left out, and said to be.
"""

import math
import shutil
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from attrib.analysis.lineage.components import input_free_values
from attrib.analysis.lineage.graph import Graph
from attrib.analysis.lineage.reader import graph_from_bytes
from attrib.capture.session.commands import open_command
from attrib.capture.session.context import SessionContext
from attrib.capture.session.graphs import GraphChain
from attrib.capture.workers.messages import (
    CompareValues,
    IndexStep,
    Open,
    RecordStep,
    StepIndexed,
    ValuesCompared,
    Written,
)
from attrib.capture.workers.process import Worker, WorkerError
from attrib.capture.workload.recorded_step import RecordedStep, read_index
from attrib.capture.workload.same_numbers import tolerance_of
from attrib.errors import AttribError, first_line
from attrib.model.execution_providers import CPU_PROVIDER
from attrib.model.manifest import CHANGED_OUTPUTS, CHANGED_STATE, EXPORTED, OPTIMIZED
from attrib.model.values import VALUES_FILE, CallValues, GraphValue, Values
from attrib.rewrite.files import copy_graph, load_graph
from attrib.rewrite.registry import lowest_precision
from attrib.scrub import scrub

MOST_BYTES = 4 << 30
"""Tensors of PyTorch's step that are kept in the temporary folder; half of what is free there where that is less."""

PIECE_BYTES = 512 << 20
"""Values of a graph that are computed at once, as far as their sizes are known."""

SHARE = 0.25
"""Share of the capture's time so far that this may take."""

LEAST_S = 20.0
"""It may take so many seconds whatever the capture took."""

_UNCHECKED = "each step computes something else"
_TOO_LONG = (
    "{left} of {all} values were not read: they would have taken more than a quarter of the capture's time"
)


def can_compare(context: SessionContext, chain: GraphChain | None) -> bool:
    """Whether both engines ran and nobody asked to leave it."""
    both = len(set(context.sides.engines.values()) & context.runners.keys()) > 1
    return chain is not None and both and not context.options.no_values


def compare_values(context: SessionContext, chain: GraphChain) -> None:
    """Compare what PyTorch's calls and the graphs' nodes compute, and write what is equal."""
    file = f"{context.sides.folder('onnxruntime')}/{VALUES_FILE}"
    if context.directory.is_complete(file):
        return
    if context.record.sides["torch"].settings.keys() & {CHANGED_STATE, CHANGED_OUTPUTS}:
        context.directory.note_missing(file, _UNCHECKED)
        return
    folder = context.workers.temporary / "values"
    folder.mkdir(exist_ok=True)
    try:
        found = _Comparison(context, folder).run(chain)
        context.directory.write(file, msgspec.json.encode(found) + b"\n")
    except (AttribError, OSError) as error:
        # The capture is whole without it.
        context.directory.note_missing(file, scrub(first_line(error)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Comparison:
    """One comparison, in a folder of its own."""

    def __init__(self, context: SessionContext, folder: Path) -> None:
        self._context = context
        self._folder = folder
        self._began = time.monotonic()
        self._until = self._began + max(SHARE * (self._began - context.began), LEAST_S)
        self._unread: dict[str, str] = {}
        self._computed = frozenset[int]()

    def run(self, chain: GraphChain) -> Values:
        """Compare the graph as exported and the one that ran.

        Raises:
            AttribError: PyTorch's step could not be recorded, or not be read.
        """
        options, worker = self._context.options, self._context.runners["onnxruntime"].worker
        step, index = self._record_step()
        self._computed = frozenset(
            step.tensors[number].elements
            for call in step.calls
            for number in call.outputs
            if not call.fed and number >= 0 and step.tensors[number].elements > 1
        )
        precision, rewrites = options.precision, options.optimize
        ran, exported = tolerance_of(lowest_precision(precision, rewrites), rewrites), tolerance_of(precision)
        indexed = worker.ask(IndexStep(step=str(index), tolerance=exported), StepIndexed)
        if step.left_out:
            self._unread["torch"] = f"{step.left_out} tensors of PyTorch's step had no place"
        average = sum(tensor.bytes for tensor in step.tensors) // max(len(step.tensors), 1)
        command = open_command(options, chain.files[-1], self._context.inputs_file, self._context.threads, "")
        graphs: dict[str, dict[str, GraphValue]] = {}
        optimized = self._context.workers.folder("onnxruntime") / Path(OPTIMIZED).name
        if self._context.directory.is_complete(OPTIMIZED) and optimized.exists():
            graphs[OPTIMIZED] = self._read(
                worker, OPTIMIZED, optimized, chain.files[-1].parent, command, ran, average, {}
            )
        # A value that both graphs have is read once; a rewrite may have changed what it holds.
        known = graphs.get(OPTIMIZED, {}) if not rewrites else {}
        on_cpu = msgspec.structs.replace(
            command, providers=(CPU_PROVIDER,), provider_options={}, provider_libraries={}
        )
        graphs[EXPORTED] = self._read(
            worker,
            EXPORTED,
            chain.files[0],
            chain.files[0].parent,
            on_cpu,
            exported,
            average,
            known,
        )
        return Values(
            tolerance=ran,
            seconds=round(time.monotonic() - self._began, 2),
            kinds=indexed.kinds,
            near=indexed.near,
            calls=tuple(_calls_of(step, indexed.classes)),
            graphs=graphs,
            unread=self._unread,
        )

    def _record_step(self) -> tuple[RecordedStep, Path]:
        most = min(MOST_BYTES, shutil.disk_usage(self._folder).free // 2)
        command = RecordStep(folder=str(self._folder), most_bytes=most)
        written = self._context.workers["torch"].ask(command, Written)
        index = Path(written.files[0])
        return read_index(index), index

    def _read(
        self,
        worker: Worker,
        path: str,
        file: Path,
        origin: Path,
        opening: Open,
        tolerance: float,
        average: int,
        known: dict[str, GraphValue],
    ) -> dict[str, GraphValue]:
        """What the values of one graph equal, those that are known already among them."""
        graph = graph_from_bytes((self._context.directory.root / path).read_bytes(), path)
        copy = self._folder / Path(path).name
        copy_graph(file, copy, origin)
        model = load_graph(copy)
        names = _names_of(model, graph, self._computed if path == EXPORTED else frozenset())
        found = {name: known[name] for name in (*graph.inputs, *names) if name in known}
        pieces = list(_pieces([name for name in names if name not in known], graph, average))
        command = CompareValues(
            opening=msgspec.structs.replace(opening, model=str(copy.with_name("probe.onnx"))),
            tolerance=tolerance,
        )
        returned = len(model.graph.output)
        while pieces:
            if time.monotonic() > self._until:
                left = sum(map(len, pieces))
                self._unread[path] = _TOO_LONG.format(left=left, all=len(names))
                break
            piece = pieces.pop(0)
            _write_probe(model, returned, piece, Path(command.opening.model))
            try:
                found |= worker.ask(command, ValuesCompared).values
            except WorkerError as error:
                self._unread.setdefault(path, scrub(first_line(error)))
                if len(piece) == 1:
                    continue
                # One value that cannot be an output must not hide all others.
                pieces[:0] = [piece[: len(piece) // 2], piece[len(piece) // 2 :]]
        return found


def _names_of(model: Any, graph: Graph, computed: Collection[int]) -> list[str]:
    """The values of the main graph that depend on an input of the model, in topological order.

    Where PyTorch computes something from nothing that the inputs hold, also the constants of those sizes, and what the graph
    computes from constants alone.
    """
    free = input_free_values(graph)
    made = [name for node in model.graph.node for name in node.output if name]
    if not computed:
        return [name for name in made if name not in free]
    constants = [tensor.name for tensor in model.graph.initializer if math.prod(tensor.dims) in computed]
    return [*constants, *made]


def _pieces(names: Sequence[str], graph: Graph, average: int) -> Iterator[list[str]]:
    """The names in pieces of so many bytes; `average` bytes where the file does not state a size."""
    piece: list[str] = []
    size = 0
    for name in names:
        stated = graph.values.get(name)
        known = stated is not None and min(stated.shape, default=1) >= 0
        own = stated.elements * _WIDEST if stated is not None and known else average
        if piece and size + own > PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(name)
        size += own
    if piece:
        yield piece


_WIDEST = 4
"""Bytes of an element, for the size of a piece."""


def _write_probe(model: Any, returned: int, names: Sequence[str], file: Path) -> None:
    """Write a model that returns these values beside its own outputs, of which there are so many."""
    from onnx import ValueInfoProto

    del model.graph.output[returned:]
    there = {output.name for output in model.graph.output}
    model.graph.output.extend(ValueInfoProto(name=name) for name in names if name not in there)
    file.write_bytes(model.SerializeToString())


def _calls_of(step: RecordedStep, classes: Sequence[int]) -> Iterator[CallValues]:
    """The calls with the classes of what they took and returned."""
    for call in step.calls:
        yield CallValues(
            id=call.id,
            inputs=tuple(classes[number] for number in call.inputs if number >= 0),
            outputs=tuple(classes[number] if number >= 0 else -1 for number in call.outputs),
        )
