"""The exported graph, the graph that ran, and which node of the one became which node of the other."""
