"""Which PyTorch calls and which ONNX nodes compute the same tensors, with the evidence for it."""
