"""Rules that read the ledger and say what it means: one file a rule, and the runner.

Draws nothing; measures nothing.
"""

__all__ = ["commands", "protocol", "registry", "runner", "verified"]
