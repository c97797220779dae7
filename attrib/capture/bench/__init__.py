"""Variants of one model timed in turn: what `attrib verify` measures with.

Writes no trace directory, and profiles only where two builds of ONNX Runtime are compared node by node.
"""

__all__ = ["ablation", "ablation_engine", "bench", "launches", "profiles"]
