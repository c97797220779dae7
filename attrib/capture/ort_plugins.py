"""Execution providers in libraries of their own (ONNX Runtime 1.22 and later), inside the worker."""

from typing import Any

import onnxruntime as ort

from attrib.capture.failures import first_line
from attrib.errors import AttribError

_SINCE = "1.22"
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
    built_in = {"CPUExecutionProvider"}
    for name, path in libraries.items():
        _register(name, path)
    devices: dict[str, list[Any]] = {}
    for device in ort.get_ep_devices():
        if device.ep_name not in built_in:
            devices.setdefault(device.ep_name, []).append(device)
    if not devices:
        raise AttribError(
            f"the provider library {', '.join(libraries)} finds no device that it can use on this machine",
            hint="--provider CPUExecutionProvider does without it",
        )
    return devices


def _register(name: str, path: str) -> None:
    if (name, path) in _registered:
        return
    try:
        ort.register_execution_provider_library(name, path)
    except Exception as error:
        raise AttribError(
            f"ONNX Runtime cannot load the provider library {name}: {first_line(error)}",
            hint="--provider-library NAME=PATH needs a library with `CreateEpFactories`, built for this ONNX Runtime",
        ) from error
    _registered.add((name, path))


def add_plugin(options: Any, devices: list[Any], given: dict[str, str]) -> None:
    """Let a session use a provider's first device; the order is ONNX Runtime's own."""
    options.add_provider_for_devices(devices[:1], given)
