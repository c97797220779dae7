"""PyTorch's worker: eager and compiled models, module scopes, profiles, and what its profiler costs.

Runs in a worker; knows nothing of ONNX Runtime or of the parent.
"""

__all__ = ["engine", "kineto_merge"]
