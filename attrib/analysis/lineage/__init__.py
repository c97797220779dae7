"""The exported graph, the graph that ran, and which node of the one became which node of the other.

Knows graphs only: no traces, no times, no PyTorch calls.
"""

__all__ = ["components", "disjoint_sets", "graph", "reader", "representation", "rewrites"]
