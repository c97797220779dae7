"""The exporter's worker: PyTorch's model to an ONNX file, and the file that a user brings.

Runs in a worker; times nothing.
"""

__all__ = ["engine", "user_graph"]
