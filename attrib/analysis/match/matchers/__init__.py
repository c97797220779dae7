"""One way a file to find the call that a node came from; `registry` has the order in which they are tried.

A matcher knows no other one, and nothing of partitions.
"""

__all__ = ["by_name", "registry"]
