"""The graphs: exported or the user's own, rewritten, opened; each is kept without its weights as soon as it is there."""

from pathlib import Path

from attrib.capture.session.artifacts import write_placement
from attrib.capture.session.commands import open_command, providers_of
from attrib.capture.session.context import State
from attrib.capture.session.graphs import GraphChain
from attrib.capture.session.phase_load import start_side
from attrib.capture.workers.messages import Opened
from attrib.capture.workers.process import WorkerError
from attrib.model.execution_providers import CPU_PROVIDER
from attrib.model.manifest import EXPORTED, OPTIMIZED, Role
from attrib.rewrite.files import strip_graph


def make_graphs(state: State) -> GraphChain | None:
    """The graph to run and those before it, which are kept as they come; None where there is none."""
    if not state.sides.running("onnxruntime"):
        return None
    try:
        chain, fingerprint = state.graphs.first(state.options, state.user_opset)
        _check_weights(state, fingerprint)
        _keep_graph(state, EXPORTED, chain.files[0])
        return _rewritten(state, chain) if state.options.optimize else chain
    except WorkerError as error:
        for role in state.sides.running("onnxruntime"):
            state.fail_side(role, error)
        return None
    finally:
        state.graphs.end()


def _check_weights(state: State, fingerprint: str) -> None:
    if fingerprint and fingerprint != state.fingerprint:
        state.warn(
            "the factory makes other weights each time it is called, so the two engines run different weights:"
            " seed it, or load the weights from a file"
        )


def _rewritten(state: State, chain: GraphChain) -> GraphChain:
    optimized = state.graphs.rewritten(state.options, chain, state.inputs_file)
    for note in optimized.notes:
        state.warn(note)
    for file, rewrite in zip(optimized.models, optimized.rewrites, strict=True):
        _keep_graph(state, rewrite.graph, Path(file))
    return chain.rewritten(optimized)


def _keep_graph(state: State, path: str, file: Path, origin: Path | None = None) -> None:
    """A graph without its weights for the trace directory, and with them where the user wants that.

    The weights lie beside the graph, or in `origin`.
    """
    if not file.exists():
        return  # ONNX Runtime wrote none
    if not state.directory.is_complete(path):
        state.directory.write(path, strip_graph(file))
    elif state.kept:
        state.kept.check_graph(path, strip_graph(file))
    else:
        return  # the other side of an A/A capture ran the same one
    if state.saved_models is not None:
        state.saved_models.save(file, Path(path).name, origin or file.parent)


def open_sessions(state: State, chain: GraphChain | None) -> None:
    """Create the sessions of the last graph."""
    if chain is None:
        return
    model = chain.files[-1]
    roles = state.sides.running("onnxruntime")
    for role in roles:
        folder = str(state.workers.folder(role))
        state.workers[role].send(open_command(state.options, model, state.inputs_file, state.threads, folder))
    for role in roles:
        try:
            version = state.workers[role].ready()
            opened = state.workers[role].receive(Opened)
        except WorkerError as error:
            state.fail_side(role, error)
            continue
        _note_opened(state, role, opened, version, chain)
        _keep_what_ran(state, role, opened, model.parent)


def _keep_what_ran(state: State, role: Role, opened: Opened, origin: Path) -> None:
    """The graph that ran, and who took which of its nodes."""
    if opened.optimized:
        _keep_graph(state, OPTIMIZED, Path(opened.optimized), origin)
    else:
        compiled = ", ".join(name for name in opened.providers if name != CPU_PROVIDER)
        state.directory.missing(
            OPTIMIZED,
            f"{compiled} compiled parts of the graph, and ONNX Runtime cannot save such a graph",
        )
    write_placement(state.directory, state.sides.folder(role), opened)


def _note_opened(state: State, role: Role, opened: Opened, version: str, chain: GraphChain) -> None:
    for message in opened.warnings:
        state.warn(message)
    if absent := [name for name in providers_of(state.options) if name not in opened.providers]:
        state.warn(
            f"{', '.join(absent)} could not be loaded, so ONNX Runtime ran on {', '.join(opened.providers)}:"
            " see `attrib doctor`"
        )
    facts = chain.side(state.options)
    facts["settings"] = opened.settings | facts["settings"]
    facts |= _who_ran(state, role)
    start_side(state, role, version=version, providers=opened.providers, threads=opened.threads, **facts)


def _who_ran(state: State, role: Role) -> dict[str, str]:
    """Which package of ONNX Runtime ran, and under which Python where it is not attrib's own."""
    ready = state.workers[role].facts
    if ready is None:
        return {}
    if state.options.ort_python is None:
        return {"package": ready.package}
    state.record.ran_elsewhere(ready.package or "onnxruntime", ready.version)
    return {"package": ready.package, "interpreter": ready.python}
