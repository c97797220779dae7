"""Calls and nodes that compute the same tensors: a visible tuple of small matchers, and the regions they give."""
