"""Variants of one model timed in turns: what `attrib verify` measures with.

From outside: `bench.Bench` and `ablation`. It measures with the parts of a session, writes no trace directory, and knows
nothing of findings or experiments: what to try is decided in `attrib.verify`.
"""
