"""Which PyTorch calls and which ONNX nodes compute the same tensors, with the evidence for it.

`regions.regions` is the way in: it knows graphs and work, and nothing of time. The order of the ways to match is in
`matchers.registry`.
"""
