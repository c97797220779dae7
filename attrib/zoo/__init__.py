"""Built-in workloads: published architecture configurations, and the tasks that put a head on them.

Only a capture's worker imports `modules`, which imports torch.
"""

__all__ = ["architectures", "examples", "modules", "names", "tasks"]
