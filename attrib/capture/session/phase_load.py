"""Loading: the workers are started and the model is built; its inputs are the first thing that is kept."""

import dataclasses
from pathlib import Path
from typing import Any

from attrib.capture.session.commands import load_command
from attrib.capture.session.context import State
from attrib.capture.session.graphs import GraphMaker
from attrib.capture.session.measure import Runner
from attrib.capture.session.record import workload_of
from attrib.capture.workers.messages import Loaded
from attrib.capture.workload.handover import save_handover
from attrib.capture.workload.inputs import inputs_hash, load_inputs
from attrib.model.manifest import PROFILE_ZERO, ROLES, Role

LOADER = "loader"
_INPUTS = "inputs.npz"


def load(state: State) -> None:
    """Build the model where PyTorch runs; the exporter builds its own at the same time."""
    if state.handover is not None:
        file = state.workers.temporary / "module.pt"
        save_handover(state.handover, file)
        state.source = dataclasses.replace(state.source, location=str(file))
        state.graphs = GraphMaker(state.workers, state.source)
    loaders = _start_workers(state)
    for name in loaders:
        folder = str(state.workers.folder(name))
        state.workers[name].send(load_command(state.options, state.source, state.threads, folder))
    if state.sides.running("onnxruntime"):
        state.graphs.begin(state.options)
    for name in loaders:
        version = state.workers[name].ready()
        _note_loaded(state, name, state.workers[name].receive(Loaded), version)
    state.workers.stop(LOADER)


def _start_workers(state: State) -> list[str]:
    """Start the engines; the names of those that build the model in PyTorch."""
    wanted: dict[str, str] = {str(role): engine for role, engine in state.sides.engines.items()}
    if "torch" not in wanted.values():
        wanted[LOADER] = "torch"
    for name, engine in wanted.items():
        state.workers.start(name, engine)
    return [name for name, engine in wanted.items() if engine == "torch"]


def _note_loaded(state: State, name: str, loaded: Loaded, version: str) -> None:
    if not state.fingerprint:
        _note_model(state, loaded)
    for role in ROLES:
        if role == name:
            settings = {"precision": state.options.precision} | loaded.settings
            start_side(state, role, version=version, settings=settings, threads=loaded.threads)


def _note_model(state: State, loaded: Loaded) -> None:
    """The model of the first worker that has it; of a resumed capture, once it is seen to be the same."""
    state.inputs_file = Path(loaded.inputs_file)
    state.fingerprint = loaded.fingerprint
    sha256 = inputs_hash(load_inputs(state.inputs_file))
    if state.kept:
        state.kept.check_model(sha256, loaded.fingerprint)
        state.accepted = True
    state.record.fingerprint = loaded.fingerprint
    if not state.record.loaded:
        state.record.workload = workload_of(state.options, state.source, loaded, sha256)
        state.record.loaded = True
    if not state.directory.is_complete(_INPUTS):
        state.directory.write(_INPUTS, state.inputs_file.read_bytes())
    state.write_manifest()


def start_side(state: State, role: Role, **facts: Any) -> None:
    """A side is ready to be measured."""
    old = state.kept.manifest.sides.get(role) if state.kept else None
    if state.kept:
        state.kept.check_engine(role, facts["version"])
    if old is not None:
        facts |= {"overhead": old.overhead, "peaks": old.peaks}
    if old is not None and state.kept and state.kept.profiled:
        # The profile that stays is the old process's, and so are its clocks and how it was warmed up.
        clocks = {key: old.settings[key] for key in old.settings if key.startswith(("clock_", PROFILE_ZERO))}
        facts["settings"] = facts["settings"] | clocks
        facts |= {
            "warmup": old.warmup,
            "warmed_up": old.warmed_up,
            "idle_cpu_share": old.idle_cpu_share,
        }
    state.sides.begin(role, **facts)
    state.runners[role] = Runner(role, state.workers[role])
