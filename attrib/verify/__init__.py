"""Counterfactual experiments: apply a fix, measure it beside the original, and compare with what was predicted.

`attrib.verify.run(trace_dir)` does what `attrib verify TRACE_DIR` does; it is imported on first use, because this name is
the package as well.
"""

from typing import Any

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    if name == "run":
        from attrib.verify.verification import run

        return run
    raise AttributeError(f"module 'attrib.verify' has no attribute {name!r}")
