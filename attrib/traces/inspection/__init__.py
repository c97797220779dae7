"""What one trace holds, as data: `attrib inspect`.

Knows nothing of the other engine's trace.
"""

__all__ = ["inspection", "summary"]
