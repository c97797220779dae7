"""Captures on a GPU, each made once for all the tests that read it."""

from collections.abc import Callable
from typing import Any

import pytest


def why_not() -> str:
    """Why nothing here can run on this machine; empty where it can."""
    import onnxruntime
    import torch

    if torch.version.cuda is None:
        return "PyTorch is a CPU build: torch.cuda is not available"
    if not torch.cuda.is_available():
        return "torch.cuda finds no usable NVIDIA GPU"
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "this ONNX Runtime was built without CUDA"
    return ""


@pytest.fixture(autouse=True)
def needs_gpu(request: pytest.FixtureRequest) -> None:
    """Skip what is marked `gpu` where there is none, with the reason."""
    if request.node.get_closest_marker("gpu") and (reason := why_not()):
        pytest.skip(f"needs an NVIDIA GPU: {reason}")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The analysis of a case, captured when it is first asked for."""
    from gpu_cases import SINGLE, options_of, single_options

    from attrib.api import load
    from attrib.capture import capture

    found: dict[str, Any] = {}
    folder = tmp_path_factory.mktemp("gpu")

    def analyzed(case: str) -> Any:
        if case not in found:
            options = (
                single_options(case, folder / case) if case in SINGLE else options_of(case, folder / case)
            )
            found[case] = load(capture(options))
        return found[case]

    return analyzed
