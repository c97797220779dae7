"""Nodes that a provider compiled into one: which part of the graph each of them covers, and which calls lie in it."""
