"""attrib explains why a model is slower or faster in ONNX Runtime than in PyTorch.

The two entry points, `profile` and `load`, are imported on first use, so that `import attrib` stays light.
"""

from typing import Any

from attrib.version import __version__

__all__ = ["__version__", "load", "profile"]


def __getattr__(name: str) -> Any:
    if name in ("load", "profile"):
        from attrib import api

        return getattr(api, name)
    raise AttributeError(f"module 'attrib' has no attribute {name!r}")
