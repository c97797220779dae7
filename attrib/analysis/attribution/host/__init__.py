"""Steps split by what the processor did: calls, nodes, and the framework between them.

Knows nothing of devices, of regions or of the ledger.
"""

__all__ = [
    "foreign_steps",
    "intervals",
    "lanes",
    "ort_partition",
    "python_time",
    "steps",
    "torch_kernels",
    "torch_partition",
]
