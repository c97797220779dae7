"""Steps split by what the processor did: calls, nodes, and the framework between them."""
