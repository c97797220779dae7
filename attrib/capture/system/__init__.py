"""The machine and its software: processors, load, providers, interpreters, and what they can do at most.

Nothing here imports an engine: providers are tried in processes of their own, in which `probe.py` runs as a script.
"""
