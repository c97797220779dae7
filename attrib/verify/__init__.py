"""Counterfactual experiments: apply a fix, measure it beside the original, and compare with what was predicted."""
