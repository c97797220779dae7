"""Steps split by what a GPU did: kernels, copies, and the gaps between them.

Builds on the host's split; knows nothing of regions or of the ledger.
"""

__all__ = ["partition", "parts", "steps", "unseen"]
