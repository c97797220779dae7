"""What the profile says a change will save, written down before anything is measured.

Measures nothing.
"""

__all__ = ["bounds", "claims", "heads", "nodes", "prediction", "pytorch", "threads", "unfused"]
