"""attrib explains why a model is slower or faster in ONNX Runtime than in PyTorch.

The entry points, `profile`, `load` and `verify.run`, are imported on first use, so that `import attrib` stays light.
"""

import importlib
from typing import Any

from attrib.version import __version__

__all__ = ["__version__", "load", "profile", "verify"]


def __getattr__(name: str) -> Any:
    if name in ("load", "profile"):
        from attrib import api

        return getattr(api, name)
    if name == "verify":
        return importlib.import_module("attrib.verify")
    raise AttributeError(f"module 'attrib' has no attribute {name!r}")
