"""One capture from start to end, in the parent process: its phases, its record, and how it goes on after an interruption.

Imports no engine: it talks to workers.
"""

__all__ = [
    "capture",
    "commands",
    "graphs",
    "latencies",
    "measure",
    "providers_from_manifest",
    "request_from_manifest",
    "resume",
    "worker_pool",
]
