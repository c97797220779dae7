"""Variants of one model timed in turn: what `attrib verify` measures with.

Profiles nothing and writes no trace directory.
"""

__all__ = ["ablation", "ablation_engine", "bench", "launches"]
