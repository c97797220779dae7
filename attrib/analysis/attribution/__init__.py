"""From events to an exact partition of each step, and from two partitions to one ledger.

Knows no rule and no rendering.
"""

__all__ = ["judgement", "page_faults", "partitions", "timeline"]
