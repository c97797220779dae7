"""ONNX Runtime's worker: sessions, inputs, profiles, and what its profiler costs.

Runs in a worker; knows nothing of the PyTorch side or of the parent.
"""

__all__ = ["engine", "placement", "profile_merge", "run_once"]
