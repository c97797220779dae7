"""Processes that run one engine each, and the messages between them and the parent.

Knows no engine: `worker` imports the one that it is started for.
"""

__all__ = ["kineto_blocks", "messages", "process", "silence", "steps"]
