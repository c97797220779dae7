"""Variants of one model timed in turns: what `attrib verify` measures with."""
