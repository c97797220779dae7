"""The ledger: rows whose differences sum to the measured one, with their intervals.

Knows no trace: it adds up what the partitions hold.
"""

__all__ = ["headline", "interrupted", "ledger", "profiled", "rows", "sampling", "segments"]
