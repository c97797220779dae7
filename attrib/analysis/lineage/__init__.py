"""The exported graph, the graph that ran, and which node of the one became which node of the other.

It reads graphs alone: no trace, no time, no PyTorch call.
"""
