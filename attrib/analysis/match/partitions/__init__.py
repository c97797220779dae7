"""Nodes that a provider compiled into one: which part of the graph each of them covers.

Knows nothing of the matchers.
"""

__all__ = ["coverage_from_order", "partition_assignment", "partitions"]
