"""Asks one engine one question and prints the answer as JSON: `python -P probe.py runtime|torch|provider [NAME]`.

It runs in a process of its own, because a provider that cannot load may crash, hang or print pages. It is run as a
file and imports nothing of attrib. Whatever libraries print goes to stderr; stdout holds the answer alone.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

CPU = "CPUExecutionProvider"

MODEL = (
    b'\x08\x08:D\n\x11\n\x01x\n\x01x\x12\x01y"\x06MatMul\x12\x05probeZ\x13\n\x01x\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x02'
    b"\n\x02\x08\x02b\x13\n\x01y\x12\x0e\n\x0c\x08\x01\x12\x08\n\x02\x08\x02\n\x02\x08\x02B\x04\n\x00\x10\r"
)
"""`y = x @ x` for 2 by 2 matrices in ONNX, in an opset and format that every provider knows.

Written out, because the interpreter that runs ONNX Runtime need not have `onnx`; a test makes it anew and compares.
"""


def runtime() -> dict[str, Any]:
    """ONNX Runtime's version, the providers of this build, and the CUDA that it was built for."""
    import onnxruntime as ort

    build = _build()
    return {
        "version": ort.__version__,
        "package": package_name(),
        "available": ort.get_available_providers(),
        "cuda": str(getattr(build, "cuda_version", "") or getattr(ort, "cuda_version", "") or ""),
        "cudnn": str(getattr(build, "cudnn_version", "") or ""),
    }


def package_name() -> str:
    """The package that brought ONNX Runtime, e.g. `onnxruntime-openvino`; empty where the build does not say."""
    return str(getattr(_build(), "package_name", ""))


def _build() -> Any:
    """What the build says of itself; None where it says nothing."""
    try:
        from onnxruntime.capi import build_and_package_info
    except ImportError:
        return None
    return build_and_package_info


def torch() -> dict[str, Any]:
    """PyTorch's version and CUDA, and whether it computes."""
    import torch as engine

    with engine.inference_mode():
        product = (engine.full((2, 2), 1.5) @ engine.full((2, 2), 2.0)).tolist()
    usable = engine.cuda.is_available()
    return {
        "version": str(engine.__version__),
        "computes": product == [[6.0, 6.0], [6.0, 6.0]],
        "cuda": engine.version.cuda or "",
        "cudnn": str(engine.backends.cudnn.version() or "") if engine.version.cuda else "",
        "gpus": [engine.cuda.get_device_name(i) for i in range(engine.cuda.device_count())] if usable else [],
    }


def provider(name: str) -> dict[str, Any]:
    """Create a session on a tiny model with one provider, run it, and say which providers it really has."""
    import numpy as np
    import onnxruntime as ort

    if name.startswith(("CUDA", "Tensorrt", "NvTensorRT")) and hasattr(ort, "preload_dlls"):
        ort.preload_dlls()  # the libraries of the nvidia-* packages are not on the loader's path
    wanted = [name] if name == CPU else [name, CPU]
    session = ort.InferenceSession(MODEL, providers=wanted)
    (result,) = session.run(None, {"x": np.full((2, 2), 1.5, dtype=np.float32)})
    return {"providers": session.get_providers(), "computes": bool(np.allclose(result, 4.5))}


def main() -> None:
    """Answer on the real stdout, with everything else sent to stderr."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    questions: dict[str, Callable[..., dict[str, Any]]]
    questions = {"runtime": runtime, "torch": torch, "provider": provider}
    result = questions[sys.argv[1]](*sys.argv[2:])
    with answer:
        json.dump(result, answer)


if __name__ == "__main__":
    main()
