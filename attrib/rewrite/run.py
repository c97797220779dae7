"""Runs the rewrites that were asked for, one after the other, inside a worker."""

from collections import Counter
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from attrib.errors import AttribError, is_full_disk, reason
from attrib.model.manifest import Rewrite
from attrib.rewrite.files import copy_graph, load_graph
from attrib.rewrite.registry import REWRITES, Job
from attrib.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """A rewrite that was done: where its graph lies, the manifest's entry, and what the user should know."""

    file: Path
    entry: Rewrite
    notes: tuple[str, ...]


def run_rewrites(names: tuple[str, ...], first: Job) -> list[Rewritten]:
    """Rewrite a graph once for each name, each from the graph before it.

    Args:
        names: Names of `REWRITES`.
        first: The graph to begin with, and a target whose folder takes everything that is written.

    Raises:
        AttribError: One of them failed; the message says which.
    """
    folder = first.target.parent
    source = first.source
    if source.parent != folder:
        # The tools write beside what they read, which must not be the user's directory.
        source = folder / "given.onnx"
        copy_graph(first.source, source)
    done: list[Rewritten] = []
    for number, name in enumerate(names, 1):
        job = replace(first, source=source, target=folder / f"rewritten-{number}.onnx")
        rewriter = REWRITES[name]
        try:
            outcome = rewriter(job)
            before, after = _nodes(job.source), _nodes(job.target)
        except Exception as error:
            if is_full_disk(error):
                raise
            known = error if isinstance(error, AttribError) else None
            raise AttribError(
                f"--optimize {name} failed: {known or reason(error)}",
                hint=(known and known.hint)
                or f"leave out --optimize {name}, or try another exporter, opset or --attention",
            ) from error
        unchanged = (f"--optimize {name} changed no node of the graph",) if before == after else ()
        entry = Rewrite(
            name=name,
            tool=_tool(rewriter.package),
            settings=outcome.settings,
            graph=f"onnx/{job.target.name}",
            nodes=after.total(),
        )
        done.append(Rewritten(file=job.target, entry=entry, notes=outcome.notes + unchanged))
        source = job.target
    return done


def _nodes(file: Path) -> Counter[Any]:
    """What each node of the main graph computes from which values; its name and metadata do not count."""
    nodes = load_graph(file).graph.node
    return Counter((node.domain, node.op_type, tuple(node.input), tuple(node.output)) for node in nodes)


def _tool(package: str) -> str:
    """Name a package with its version; onnxruntime is published under several names, and attrib may run from its sources."""
    if package == "attrib":
        return f"attrib {__version__}"
    if package == "onnxruntime":
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"
    return f"{package} {metadata.version(package)}"
