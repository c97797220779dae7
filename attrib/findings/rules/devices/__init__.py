"""Rules about where nodes ran and what waited for what."""

__all__ = [
    "engine_rebuild",
    "fallback_nodes",
    "launch_bound",
    "memcpy_nodes",
    "partition_cuts",
    "provider_not_used",
]
