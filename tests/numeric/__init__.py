"""Whether a matched region computes the same numbers in both engines: the check behind the mapping.

A match is a claim about tensors. `torch_values` runs the model in PyTorch and keeps what every call returns, under the
call ids that attrib uses. `ort_values` runs the very graph that ONNX Runtime executed, with the values that leave each
region as extra outputs. `verdicts` compares the two, region by region.
"""
