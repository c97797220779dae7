"""The graphs of a bench: each export and each rewrite is done once, and found again by the options that determine it."""

import filecmp
import glob
import shutil
from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path

import msgspec

from attrib.capture.export.user_graph import check_user_graph
from attrib.capture.session.commands import export_command, recipe_of
from attrib.capture.session.graphs import GraphChain, GraphMaker
from attrib.capture.session.worker_pool import Workers
from attrib.capture.workload.sources import Source
from attrib.errors import AttribError
from attrib.model.capture_options import CaptureOptions

_ROOM = 3
"""Free space to keep, in sizes of the graph that is about to be rewritten: a copy, the result, the tool's own files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeGraph:
    """A graph that was exported or brought by the user, and perhaps rewritten.

    Attributes:
        chain: It and those before it.
        fingerprint: Of the weights that were exported; empty for the user's own graph.
        notes: What the user should know about the rewrites.
    """

    chain: GraphChain
    fingerprint: str = ""
    notes: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        """What ONNX Runtime opens."""
        return self.chain.files[-1]

    @property
    def parts(self) -> list[Path]:
        """The graph and the weights beside it."""
        return sorted(self.file.parent.glob(f"{glob.escape(self.file.name)}*"))

    @property
    def size(self) -> int:
        """Bytes of all of that."""
        return sum(part.stat().st_size for part in self.parts)

    def same(self, other: "MadeGraph") -> bool:
        """Whether the other one's files hold the same bytes."""
        pairs = list(zip_longest(self.parts, other.parts))
        return all(None not in pair and filecmp.cmp(*pair, shallow=False) for pair in pairs)


class BenchGraphs:
    """Makes graphs with the exporter's worker, which runs only while there is something to make."""

    def __init__(self, workers: Workers, source: Source) -> None:
        self._workers = workers
        self._source = source
        self._maker = GraphMaker(workers, source)
        self._made: dict[Hashable, MadeGraph | AttribError] = {}
        self._folders = 0

    def make(self, options: CaptureOptions, inputs: Path) -> MadeGraph:
        """Make the graph that ONNX Runtime is to open, from the longest part of the way that was gone before.

        Args:
            options: Which model, how exported, how rewritten.
            inputs: The workload's inputs, for rewrites that calibrate.

        Raises:
            AttribError: It cannot be exported or rewritten; the same again where that was tried before.
        """
        keys = [self._key(options, count) for count in range(len(options.optimize) + 1)]
        known = max((count for count, key in enumerate(keys) if key in self._made), default=-1)
        try:
            for count in range(known + 1, len(keys)):
                try:
                    if count:
                        step = msgspec.structs.replace(options, optimize=options.optimize[count - 1 : count])
                        made = self._rewrite(step, self._find(keys[count - 1]), inputs)
                    else:
                        made = self._begin(options)
                    self._made[keys[count]] = made
                except AttribError as error:
                    self._made[keys[count]] = error
        finally:
            self._maker.end()
        return self._find(keys[-1])

    def _find(self, key: Hashable) -> MadeGraph:
        found = self._made[key]
        if isinstance(found, AttribError):
            raise found.with_traceback(None)
        return found

    def _key(self, options: CaptureOptions, rewrites: int) -> Hashable:
        """What determines the graph after so many rewrites."""
        recipe = recipe_of(options, self._source)
        if options.onnx is None:
            return export_command(options, self._source, ""), options.optimize[:rewrites]
        about = options.onnx.stat() if options.onnx.exists() else None
        version = (about.st_mtime_ns, about.st_size) if about else ()
        return options.onnx.absolute(), version, recipe, options.optimize[:rewrites]

    def _begin(self, options: CaptureOptions) -> MadeGraph:
        """Export the first graph of a chain, or take the user's."""
        if options.onnx is not None:
            opset = check_user_graph(options.onnx)
            return MadeGraph(chain=self._maker.take_first(options, opset)[0])
        self._maker.begin(options, self._new_folder())
        chain, fingerprint = self._maker.take_first(options, 0)
        return MadeGraph(chain=chain, fingerprint=fingerprint)

    def _rewrite(self, step: CaptureOptions, before: MadeGraph, inputs: Path) -> MadeGraph:
        """Make the next graph of a chain; `step` has one rewrite only."""
        self._make_room(before)
        folder = self._new_folder()
        optimized = self._maker.rewrite(step, before.chain, inputs, folder)
        for copy in folder.glob("given.onnx*"):
            copy.unlink()
        chain = before.chain.with_rewrites(optimized)
        chain = replace(chain, rewrites=(*before.chain.rewrites, *optimized.rewrites))
        return replace(before, chain=chain, notes=(*before.notes, *optimized.notes))

    def _new_folder(self) -> Path:
        self._folders += 1
        folder = self._workers.folder(f"graph-{self._folders}")
        folder.mkdir()
        return folder

    def _make_room(self, before: MadeGraph) -> None:
        """Forget rewritten graphs, the oldest first, while the disk has no room for another one.

        A session that runs such a graph has read it, or holds its file open.
        """
        needed = _ROOM * before.size
        old = [key for key, made in self._made.items() if isinstance(made, MadeGraph) and made.chain.rewrites]
        for key in old:
            made = self._made[key]
            if shutil.disk_usage(self._workers.temporary).free >= needed:
                return
            if isinstance(made, MadeGraph) and made is not before:
                shutil.rmtree(made.file.parent, ignore_errors=True)
                del self._made[key]
