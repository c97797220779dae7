"""The exported graph, the graph that ran, and what became of what."""
