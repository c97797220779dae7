"""The graphs: exported or the user's own, rewritten, opened; each is kept without its weights as soon as it is there."""

from pathlib import Path

from attrib.capture.session.artifacts import write_placement
from attrib.capture.session.commands import open_command, providers_of
from attrib.capture.session.context import SessionContext
from attrib.capture.session.graphs import GraphChain
from attrib.capture.session.phase_load import start_side
from attrib.capture.workers.messages import Opened
from attrib.capture.workers.process import WorkerError
from attrib.model.execution_providers import CPU_PROVIDER
from attrib.model.manifest import EXPORTED, OPTIMIZED, Role
from attrib.rewrite.files import strip_graph


def make_graphs(context: SessionContext) -> GraphChain | None:
    """Make the graph to run and those before it, which are kept as they come; None where there is none."""
    if not context.sides.roles_of("onnxruntime"):
        return None
    try:
        chain, fingerprint = context.graphs.take_first(context.options, context.user_opset)
        if fingerprint and fingerprint != context.fingerprint:
            context.warn(
                "the factory makes other weights each time it is called, so the two engines run different weights:"
                " seed it, or load the weights from a file"
            )
        _keep_graph(context, EXPORTED, chain.files[0])
        return _rewrite(context, chain) if context.options.optimize else chain
    except WorkerError as error:
        for role in context.sides.roles_of("onnxruntime"):
            context.fail_side(role, error)
        return None
    finally:
        context.graphs.end()


def _rewrite(context: SessionContext, chain: GraphChain) -> GraphChain:
    optimized = context.graphs.rewrite(context.options, chain, context.inputs_file)
    for note in optimized.notes:
        context.warn(note)
    for file, rewrite in zip(optimized.models, optimized.rewrites, strict=True):
        _keep_graph(context, rewrite.graph, Path(file))
    return chain.with_rewrites(optimized)


def _keep_graph(context: SessionContext, path: str, file: Path, origin: Path | None = None) -> None:
    """Write a graph without its weights into the trace directory, and with them where the user wants that.

    The weights lie beside the graph, or in `origin`.
    """
    if not file.exists():
        return  # ONNX Runtime wrote none
    if not context.directory.is_complete(path):
        context.directory.write(path, strip_graph(file))
    elif context.checkpoint:
        context.checkpoint.check_graph(path, strip_graph(file))
    else:
        return  # the other side of an A/A capture ran the same one
    if context.saved_models is not None:
        context.saved_models.save(file, Path(path).name, origin or file.parent)


def open_sessions(context: SessionContext, chain: GraphChain | None) -> None:
    """Create the sessions of the last graph, and keep it as ONNX Runtime optimized it."""
    if chain is None:
        return
    model = chain.files[-1]
    roles = context.sides.roles_of("onnxruntime")
    for role in roles:
        folder = str(context.workers.folder(role))
        context.workers[role].send(
            open_command(context.options, model, context.inputs_file, context.threads, folder)
        )
    for role in roles:
        try:
            version = context.workers[role].ready()
            opened = context.workers[role].receive(Opened)
        except WorkerError as error:
            context.fail_side(role, error)
            continue
        _note_opened(context, role, opened, version, chain)
        if opened.optimized:
            _keep_graph(context, OPTIMIZED, Path(opened.optimized), model.parent)
        else:
            compiled = ", ".join(name for name in opened.providers if name != CPU_PROVIDER)
            context.directory.note_missing(
                OPTIMIZED,
                f"{compiled} compiled parts of the graph, and ONNX Runtime cannot save such a graph",
            )
        write_placement(context.directory, context.sides.folder(role), opened)


def _note_opened(
    context: SessionContext, role: Role, opened: Opened, version: str, chain: GraphChain
) -> None:
    """Begin the record of a side that has its sessions."""
    for message in opened.warnings:
        context.warn(message)
    if absent := [name for name in providers_of(context.options) if name not in opened.providers]:
        context.warn(
            f"{', '.join(absent)} could not be loaded, so ONNX Runtime ran on {', '.join(opened.providers)}:"
            " see `attrib doctor`"
        )
    facts = chain.side_facts(context.options)
    facts["settings"] = opened.settings | facts["settings"]
    ready = context.workers[role].facts
    if ready is not None:
        facts["package"] = ready.package
    if ready is not None and context.options.ort_python is not None:
        facts["interpreter"] = ready.python
        context.record.note_other_environment(ready.package or "onnxruntime", ready.version)
    start_side(context, role, version=version, providers=opened.providers, threads=opened.threads, **facts)
