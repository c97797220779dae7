"""Creating ONNX Runtime's sessions, inside the worker: options, providers, and what to do where one is refused."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime as ort

from attrib.capture.config.provider_options import Options, thread_options
from attrib.capture.config.session_options import EXECUTION_MODES, set_options
from attrib.capture.ort.optimizers import find_optimizers
from attrib.capture.ort.placement import RECORD
from attrib.capture.workers.messages import Open
from attrib.capture.workers.silence import SPEAKS
from attrib.errors import AttribError, first_line
from attrib.model.execution_providers import CPU_PROVIDER, ONNX_RUNTIME, package_of

LEVELS = {
    "disabled": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": ort.GraphOptimizationLevel.ORT_ENABLE_ALL,
}
MODES = dict(
    zip(EXECUTION_MODES, (ort.ExecutionMode.ORT_SEQUENTIAL, ort.ExecutionMode.ORT_PARALLEL), strict=True)
)
LOG_SEVERITY = 2 if os.environ.get(SPEAKS) else 3
"""Warnings where somebody wants to hear them, else errors only."""
_LARGE = 1_500_000_000
"""Above this, folded weights could push a saved graph over protobuf's 2 GB: they go into a file beside it."""

_ORIGIN = re.compile(r"\S+\.(?:cc|cpp|h):\d+ [^()]*\([^()]*\)(?: const)? ")
"""File, line and signature at the beginning of an error: `/x/y.cc:12 bool ns::f(int) message`."""
_LONGEST_REASON = 300

CANNOT_SAVE = "compiled nodes"
"""Part of what ONNX Runtime says where a graph cannot be saved because a provider compiled parts of it."""

_WAYS_OUT = {
    "replace the existing tensor": "--opt-level basic: ONNX Runtime stumbles over names that it gave this graph when it"
    " optimized it before",
    "bound to different types": "the exporter mixed up the types: --exporter dynamo, --attention eager, or --opset 16",
    "graph capture feature": "leave out --cuda-graph: some nodes run on the CPU or in branches, which no CUDA graph can"
    " hold; `attrib profile` without it names them",
    "EP opt": "the provider's documentation lists the options that it takes: --provider-option KEY=VALUE",
    "nknown provider option": "the provider's documentation lists the options that it takes: --provider-option KEY=VALUE",
}
"""Part of ONNX Runtime's message -> what fixes it."""

Opening = Callable[[Path | None], Any]
"""Creates a session that saves its graph into a file, or saves none."""

_SINCE = "1.22"
"""The first version that takes provider libraries."""

_registered: set[tuple[str, str]] = set()


def plugin_providers(libraries: dict[str, str]) -> dict[str, list[Any]]:
    """The devices of each provider that these libraries bring, by the provider's name.

    Args:
        libraries: Paths by the name under which a library is registered.

    Raises:
        AttribError: A library cannot be loaded, holds no provider, or finds no device on this machine.
    """
    if not libraries:
        return {}
    if not hasattr(ort, "register_execution_provider_library"):
        raise AttribError(
            f"ONNX Runtime {ort.__version__} takes no provider libraries",
            hint=f"--provider-library needs ONNX Runtime {_SINCE} or later",
        )
    for name, path in libraries.items():
        if (name, path) in _registered:
            continue
        try:
            ort.register_execution_provider_library(name, path)
        except Exception as error:
            raise AttribError(
                f"ONNX Runtime cannot load the provider library {name}: {first_line(error)}",
                hint="--provider-library NAME=PATH needs a library with `CreateEpFactories`, built for this ONNX Runtime",
            ) from error
        _registered.add((name, path))
    devices: dict[str, list[Any]] = {}
    for device in ort.get_ep_devices():
        if device.ep_name != CPU_PROVIDER:
            devices.setdefault(device.ep_name, []).append(device)
    if not devices:
        raise AttribError(
            f"the provider library {', '.join(libraries)} finds no device that it can use on this machine",
            hint=f"--provider {CPU_PROVIDER} does without it",
        )
    return devices


def session_of(command: Open, *, profile: Path | None = None, graph: Path | None = None) -> Any:
    """Create a session.

    Args:
        command: What to open, and how.
        profile: How the profile's file begins; None to record none.
        graph: Takes the optimized graph; None to save none.

    Raises:
        AttribError: It cannot be created.
    """
    options = _options(command, profile, graph)
    plugins = plugin_providers(command.provider_libraries)
    known = (*ort.get_available_providers(), *plugins)
    missing = [name for name in command.providers if name not in known]
    if missing:
        package = package_of(missing)
        elsewhere = f", or --ort-python with the interpreter of an environment that has {package}"
        raise AttribError(
            f"this onnxruntime has no {', '.join(missing)}",
            hint=f"--provider with one of: {', '.join(known)}{elsewhere if package != ONNX_RUNTIME else ''}",
        )
    without = find_optimizers(command.disabled_optimizers)
    # Where a session cannot be created, onnxruntime tries once more, with the optimizers that were to be left out, or
    # on the CPU, without the options that the user gave.
    strict = without or command.provider_options
    extra: dict[str, Any] = {"disabled_optimizers": without} if without else {}
    try:
        extra |= _providers(command, options, plugins) | ({"enable_fallback": 0} if strict else {})
        session = ort.InferenceSession(command.model, options, **extra)
    except Exception as error:
        raise _refusal(command, error) from error
    # A provider that was given options and is not there refused them, or cannot be loaded: no other stands in for it.
    absent = [name for name in command.provider_options if name not in session.get_providers()]
    if absent:
        given = ", ".join(f"{key}={value}" for key, value in command.provider_options[absent[0]].items())
        raise AttribError(
            f"ONNX Runtime could not create {absent[0]} with the options {given}",
            hint="leave out the --provider-option, or see `attrib doctor` for what the provider lacks",
        )
    return session


def save_partitioned(command: Open, level: str, graph: Path) -> None:
    """Save the graph that the CPU provider alone gets at a level; see `attrib.capture.ort.placement`.

    Raises:
        AttribError: There is no such session.
    """
    alone = msgspec.structs.replace(
        command, opt_level=level, providers=(CPU_PROVIDER,), provider_options={}, provider_libraries={}
    )
    session_of(alone, graph=graph)


def beyond_cpu(command: Open) -> bool:
    """Whether a provider other than the CPU's is asked for."""
    return any(name != CPU_PROVIDER for name in command.providers)


def _options(command: Open, profile: Path | None, graph: Path | None) -> Any:
    """The session's options: attrib's own, those that the user set, and those that the profile needs."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = command.threads
    options.graph_optimization_level = LEVELS[command.opt_level]
    options.log_severity_level = LOG_SEVERITY
    # A parallel executor with one thread runs one node after another.
    parallel = command.session_options.get("execution_mode") == "parallel"
    options.inter_op_num_threads = command.threads if parallel else 1
    set_options(options, command.session_options, MODES)
    if beyond_cpu(command) and RECORD not in command.session_options:
        options.add_session_config_entry(RECORD, "1")
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    if graph is not None:
        options.optimized_model_filepath = str(graph)
        model = Path(command.model)
        if sum(part.stat().st_size for part in model.parent.glob(f"{model.name}*")) > _LARGE:
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", f"{graph.name}.data"
            )
    return options


def _providers(command: Open, options: Any, plugins: dict[str, list[Any]]) -> dict[str, Any]:
    """The session's arguments that name its providers; none where `options` names them, as plugins need it."""
    pools = own_threads(command)
    given = [pools.get(name, {}) | command.provider_options.get(name, {}) for name in command.providers]
    if not any(name in plugins for name in command.providers):
        return {"providers": list(command.providers), "provider_options": given}
    for name, own in zip(command.providers, given, strict=True):
        if name in plugins:
            options.add_provider_for_devices(
                plugins[name][:1], own
            )  # its first device, in ONNX Runtime's order
        elif name != CPU_PROVIDER:  # it is appended anyway
            options.add_provider(name, own)
    return {}


def own_threads(command: Open) -> Options:
    """Threads for the providers that have a pool of their own, where the user has not said how many."""
    wanted = thread_options(command.providers, command.threads)
    asked = command.provider_options
    return {
        name: given
        for name, given in wanted.items()
        if not (given.keys() | {"load_config"}) & asked.get(name, {}).keys()
    }


def _refusal(command: Open, error: Exception) -> AttribError:
    """The error that says why there is no session, with the way out where it is known."""
    said = " ".join(_ORIGIN.sub("", str(error)).split())[:_LONGEST_REASON]
    why = f"{type(error).__name__}: {said}" if said else first_line(error)
    if command.precision == "bf16" and "NOT_IMPLEMENTED" in why:
        return AttribError(
            f"ONNX Runtime cannot run this model in bfloat16 on {', '.join(command.providers)}: {why}",
            hint="--precision fp32 or fp16, or a provider with bfloat16 kernels (--device cuda)",
        )
    hint = next((way for sign, way in _WAYS_OUT.items() if sign in why), "")
    return AttribError(f"ONNX Runtime cannot load the graph: {why}", hint=hint)


def with_graph_where_possible(opening: Opening, graph: Path, *, compiled: bool) -> tuple[Any, bool]:
    """Create a session that saves its graph if it can: one whose provider compiles parts of it cannot.

    Args:
        opening: Creates it.
        graph: Takes the graph.
        compiled: Another session has shown already that it cannot.

    Returns:
        The session, and whether it saved its graph.

    Raises:
        AttribError: There is no such session.
    """
    if compiled:
        return opening(None), False
    try:
        return opening(graph), True
    except AttribError as error:
        if CANNOT_SAVE not in str(error):
            raise
        return opening(None), False
