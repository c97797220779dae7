"""Processes that run one engine each, and the messages between them and the parent."""
