"""Steps split by what a GPU did: kernels, copies, and the gaps between them."""
