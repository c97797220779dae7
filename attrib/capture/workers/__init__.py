"""Processes that run one engine each, and the messages between them and the parent.

The parent uses `process.Worker` and `messages`; the process itself runs `worker.main`, which imports the engine that it is
told. Nothing else here imports an engine, and nothing here knows of phases or of the trace directory.
"""
