"""The vocabulary that every layer speaks: frozen structs and column tables, with no behavior beyond checking themselves.

Imports nothing of attrib but errors and wording.
"""

__all__ = [
    "builds",
    "capture_options",
    "capture_request",
    "compiled",
    "damage",
    "device",
    "diff",
    "disturbance",
    "document",
    "estimate",
    "events",
    "execution_providers",
    "experiment",
    "flow",
    "latency",
    "manifest",
    "placement",
    "provenance",
    "region",
    "repeats",
    "roofline",
    "tensor",
    "timeline",
    "values",
    "work",
]
