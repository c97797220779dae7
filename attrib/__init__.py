"""attrib explains why a model is slower or faster in ONNX Runtime than in PyTorch.

The entry points, `profile`, `compare`, `load`, `diff`, `verify.run` and `verify.against_ort`, are imported on first use:
`import attrib` stays light.
"""

import importlib
from typing import Any

from attrib.version import __version__

__all__ = ["__version__", "compare", "diff", "load", "profile", "verify"]


def __getattr__(name: str) -> Any:
    if name in ("compare", "diff", "load", "profile"):
        from attrib import api

        return getattr(api, name)
    if name == "verify":
        return importlib.import_module("attrib.verify")
    raise AttributeError(f"module 'attrib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
