"""Loading: the workers are started and the model is built; its inputs are the first thing that is kept."""

import dataclasses
from pathlib import Path
from typing import Any

from attrib.capture.config.variables import variables_of
from attrib.capture.session.commands import load_command
from attrib.capture.session.context import SessionContext
from attrib.capture.session.graphs import GraphMaker
from attrib.capture.session.measure import BlockRunner
from attrib.capture.session.record import workload_of
from attrib.capture.workers.messages import Loaded
from attrib.capture.workload.handover import save_handover
from attrib.capture.workload.inputs import inputs_hash, load_inputs
from attrib.model.manifest import PROFILE_ZERO, ROLES, Role

LOADER = "loader"
_INPUTS = "inputs.npz"


def load(context: SessionContext) -> None:
    """Build the model where PyTorch runs; the exporter builds its own at the same time."""
    if context.handover is not None:
        file = context.workers.temporary / "module.pt"
        save_handover(context.handover, file)
        context.source = dataclasses.replace(context.source, location=str(file))
        context.graphs = GraphMaker(context.workers, context.source)
    wanted: dict[str, str] = {str(role): engine for role, engine in context.sides.engines.items()}
    if "torch" not in wanted.values():
        wanted[LOADER] = "torch"
    for name, engine in wanted.items():
        context.workers.start(name, engine, variables_of(context.options.env))
    loaders = [name for name, engine in wanted.items() if engine == "torch"]
    for name in loaders:
        folder = str(context.workers.folder(name))
        context.workers[name].send(load_command(context.options, context.source, context.threads, folder))
    if context.sides.roles_of("onnxruntime"):
        context.graphs.begin(context.options)
    for name in loaders:
        version = context.workers[name].ready()
        loaded = context.workers[name].receive(Loaded)
        if not context.fingerprint:
            _note_model(context, loaded)
        for role in ROLES:
            if role == name:
                settings = {"precision": context.options.precision} | loaded.settings
                start_side(context, role, version=version, settings=settings, threads=loaded.threads)
    context.workers.stop(LOADER)


def _note_model(context: SessionContext, loaded: Loaded) -> None:
    """Note the model of the first worker that has it; of a resumed capture, once it is seen to be the same."""
    context.inputs_file = Path(loaded.inputs_file)
    context.fingerprint = loaded.fingerprint
    sha256 = inputs_hash(load_inputs(context.inputs_file))
    if context.checkpoint:
        context.checkpoint.check_model(sha256, loaded.fingerprint)
        context.accepted = True
    context.record.fingerprint = loaded.fingerprint
    if not context.record.loaded:
        context.record.workload = workload_of(context.options, context.source, loaded, sha256)
        context.record.loaded = True
    for change in loaded.compressed:
        context.warn(
            f"--compress {change.name} {change.what}: an output differs by {change.apart:.2g} of its largest value; only the"
            " model's accuracy on real data can say whether it is still good enough"
        )
    if not context.directory.is_complete(_INPUTS):
        context.directory.write(_INPUTS, context.inputs_file.read_bytes())
    context.write_manifest()


def start_side(context: SessionContext, role: Role, **facts: Any) -> None:
    """Begin the record of a side that is ready to be measured."""
    checkpoint = context.checkpoint
    if checkpoint:
        checkpoint.check_engine(role, facts["version"])
    old = checkpoint.manifest.sides.get(role) if checkpoint else None
    if old is not None:
        facts |= {"overhead": old.overhead, "peaks": old.peaks}
    if old is not None and checkpoint and checkpoint.profiled:
        # The profile that stays is the old process's, and so are its clocks and how it was warmed up.
        clocks = {key: old.settings[key] for key in old.settings if key.startswith(("clock_", PROFILE_ZERO))}
        facts["settings"] = facts["settings"] | clocks
        facts |= {
            "warmup": old.warmup,
            "warmed_up": old.warmed_up,
            "idle_cpu_share": old.idle_cpu_share,
        }
    context.sides.begin(role, **facts)
    context.runners[role] = BlockRunner(role, context.workers[role])
