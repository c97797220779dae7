"""What work has to do at least, and how far a row is from what the machine can do.

Knows shapes and measured peaks; no trace and no engine.
"""

__all__ = ["cost", "ops", "peaks", "roofline"]
