"""Files that are whole or not there: the trace directory, temporary folders, locks, and what a signal leaves.

Knows nothing of what the files mean.
"""

__all__ = ["interrupts", "temporary", "writer"]
