"""Counterfactual experiments: apply a fix, measure it beside the original, and compare with what was predicted.

`attrib.verify.run(trace_dir)` does what `attrib verify TRACE_DIR` does, and `attrib.verify.against_ort(trace_dir, python)`
what that does with `--against-ort`; both are imported on first use, because this name is the package as well.
"""

from typing import Any

__all__ = ["against_ort", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from attrib.verify import verification

        return getattr(verification, name)
    raise AttributeError(f"module 'attrib.verify' has no attribute {name!r}")
