"""Which PyTorch calls and which ONNX nodes compute the same tensors, with the evidence for it.

Knows no times: what a match costs is the ledger's business.
"""

__all__ = ["cache_work", "compiled", "executed", "ops", "regions", "same_model", "step_values", "value_check"]
