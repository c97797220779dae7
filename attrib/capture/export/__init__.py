"""The exporter's worker: PyTorch's model to an ONNX file, and the file that a user brings."""
