"""Starting the engines' processes anew for the next rounds: weights, exports and graphs are those of the first launch."""

from pathlib import Path

import msgspec

from attrib.capture.config.variables import variables_of
from attrib.capture.ort.profile_merge import LaunchProfile
from attrib.capture.session.commands import load_command, open_command
from attrib.capture.session.context import SessionContext
from attrib.capture.session.graphs import GraphChain
from attrib.capture.session.measure import BlockRunner, warm_up
from attrib.capture.workers.messages import Finish, Loaded, Opened, Written
from attrib.capture.workers.process import WorkerError
from attrib.model.manifest import PROFILE_ZERO, Role

STEPS_OF_A_LAUNCH = 100_000
"""Profiled steps are numbered from a multiple of this, so that those of all launches can lie in one trace."""


def launch_again(context: SessionContext, chain: GraphChain | None, launch: int) -> None:
    """End the processes that run, start new ones, and warm them up; a side that fails is given up.

    Args:
        context: The capture.
        chain: What ONNX Runtime opens.
        launch: Number of the launch that begins.
    """
    for runner in list(context.runners.values()):
        try:
            take_profile(context, runner)
        except WorkerError as error:
            context.fail_side(runner.role, error)
    context.check_some_side()
    for role in context.runners:
        context.workers.stop(role)
    for role in context.runners:
        context.workers.start(role, context.sides.engines[role], variables_of(context.options.env))
        _send(context, chain, role, launch)
    for role, runner in list(context.runners.items()):
        try:
            runner.worker = context.workers[role]
            _receive(context, role)
            warm_up(runner, context.latencies, context.options.warmup, launch=launch)
        except WorkerError as error:
            context.fail_side(role, error)
    context.check_some_side()


def take_profile(context: SessionContext, runner: BlockRunner) -> None:
    """Let the process write what it recorded, and note it beside that of the launches before.

    Raises:
        WorkerError: It could not.
    """
    note_profile(context, runner, runner.worker.ask(Finish(), Written).files)


def note_profile(context: SessionContext, runner: BlockRunner, files: tuple[str, ...]) -> None:
    """Note the files that a process wrote at its end."""
    for file in map(Path, files):
        if file.suffix == ".json" and context.sides.engines[runner.role] == "onnxruntime":
            zero = context.zeros.get(
                runner.role, context.record.sides[runner.role].settings.get(PROFILE_ZERO, "0")
            )
            runner.profiles.append(LaunchProfile(file, int(zero)))
        elif file.name not in {known.name for known in runner.others}:
            runner.others.append(file)  # what the first launch says of the model holds for all


def _send(context: SessionContext, chain: GraphChain | None, role: Role, launch: int) -> None:
    folder = context.workers.folder(role) / f"launch-{launch}"
    folder.mkdir(exist_ok=True)
    first = launch * STEPS_OF_A_LAUNCH
    if context.sides.engines[role] == "torch":
        load = load_command(context.options, context.source, context.threads, str(folder))
        context.workers[role].send(msgspec.structs.replace(load, first_step=first))
        return
    assert chain is not None  # noqa: S101  (this side had its sessions)
    command = open_command(
        context.options, chain.files[-1], context.inputs_file, context.threads, str(folder)
    )
    context.workers[role].send(msgspec.structs.replace(command, first_step=first))


def _receive(context: SessionContext, role: Role) -> None:
    """Take the new process's answer, and check that it runs what the first one ran.

    Raises:
        WorkerError: It could not, or runs something else.
    """
    worker = context.workers[role]
    worker.ready()
    if context.sides.engines[role] == "torch":
        if worker.receive(Loaded).fingerprint != context.fingerprint:
            raise WorkerError(
                "the factory makes other weights each time it is called, so its launches cannot be compared",
                hint="seed it, load the weights from a file, or measure one launch with --launches 1",
            )
        return
    opened = worker.receive(Opened)
    if opened.providers != context.record.sides[role].providers:
        raise WorkerError(f"another launch ran on {', '.join(opened.providers)}")
    context.zeros[role] = opened.settings.get(PROFILE_ZERO, "0")
